/**
 * A query-frontend over several query-backends that are called by Connect, over one store and a plan that the test gives.
 * Backends can be dead, and every one counts what it was asked.
 */
import { Hono } from 'hono'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore, SourceObject } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { createQueryBackendClient, mountQueryBackend } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { createQueryFrontend } from '../../apps/query-frontend/app.ts'
import { createSpreadBackend } from '../../apps/query-frontend/spread-backend.ts'
import { HandClock } from './hand-clock.ts'
import { createSilentLog } from './silent-log.ts'

export interface QueryFleetOptions {
  readonly store: ObjectStore
  readonly backends: number
  readonly plan: () => readonly SourceObject[]
  readonly nowMs: number
  readonly limits?: Partial<TenantLimits>
}

export interface QueryFleet {
  readonly app: Hono
  readonly clock: HandClock
  /** Backends that nobody reaches, by number. */
  readonly dead: Set<number>
  /** Calls of each backend that arrived. */
  readonly calls: number[]
}

export function createQueryFleet(options: QueryFleetOptions): QueryFleet {
  const parts = { codec: createCodec(), regex: createRegexCompiler(), log: createSilentLog() }
  const compression = codecCompression(parts.codec)
  const dead = new Set<number>()
  const calls = Array.from({ length: options.backends }, () => 0)
  const backends = calls.map((_, i) => {
    const app = new Hono()
    const backend = createQueryBackend({ ...parts, store: options.store })
    mountQueryBackend(app, backend, { bodyLimitBytes: 1 << 26, compression, log: parts.log })
    const send = async (url: string, init: RequestInit) => {
      if (dead.has(i)) throw new CinderError('unavailable', `nobody listens at ${url}`)
      calls[i]!++
      return app.request(url, init)
    }
    const name = `http://backend-${i}`
    return { name, backend: createQueryBackendClient(name, { fetch: send }) }
  })
  const clock = new HandClock(options.nowMs)
  const spread = createSpreadBackend(backends, { clock, random: createRandom() })
  const metastore = { planQuery: async () => ({ objects: options.plan().map((object) => ({ ...object })) }) }
  const app = createQueryFrontend(
    {
      ...parts,
      compression,
      clock,
      metastore: metastore as unknown as Metastore,
      backend: spread,
      ownerOf: spread.ownerOf,
    },
    { multitenancy: false, limitsOf: () => ({ ...DEFAULT_LIMITS, maxQueryLookbackMs: 0, ...options.limits }) },
  )
  return { app, clock, dead, calls }
}
