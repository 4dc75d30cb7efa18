/**
 * What the edge talks to, on loopback: one segment-writer, one metastore, one query-backend, from their factories in this
 * process, over a real Postgres and real files, behind the listener and the internal Connect services that they have in
 * production.
 *
 * Three tenants meet what cannot be made to happen at will: `down` (the writer is unavailable), `slow` (its rate is
 * 1 byte a second) and `hangs` (a query that ends only when it is cancelled).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import type { QueryBackend, StacktracesRequest, StacktracesResponse } from '#core/rpc/query-backend.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { mountAdhoc } from '#platform/connect/adhoc-service.ts'
import { mountAsyncResults } from '#platform/connect/async-result-service.ts'
import { mountLabelReport } from '#platform/connect/label-service.ts'
import { mountMetastore, mountQueryBackend, mountSegmentWriter } from '#platform/connect/services.ts'
import { createDigest } from '#platform/digest.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createAdhocStore } from '../../apps/query-backend/adhoc-store.ts'
import { createAsyncStore } from '../../apps/query-backend/async-store.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { createLabelReporter } from '../../apps/query-backend/labels.ts'
import { createSegmentWriter } from '../../apps/segment-writer/app.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { createSqlMetastore } from '../support/sql-metastore.ts'

export const TENANT_DOWN = 'down'
export const TENANT_SLOW = 'slow'
export const TENANT_HANGS = 'hangs'

/** Fifty bodies of 1 MB and their copies pass at once in the suite of the memory. */
const BODY_LIMIT_BYTES = 64 * MIB

export interface Fleet {
  readonly url: string
  /** Settles with the next query of the tenant `hangs`, as soon as it has reached the query-backend. */
  nextHangingQuery(): Promise<HangingQuery>
  /** Calls that reached the writer, by tenant. */
  writes(tenant: string): number
  stop(): Promise<void>
}

export interface HangingQuery {
  /** Settles when its caller is gone. */
  readonly cancelled: Promise<void>
}

const LIMITS: TenantLimits = { ...DEFAULT_LIMITS, ingestionRateBytes: 0, maxProfileSizeBytes: 16 * MIB }

function limitsOf(tenant: string, own: Partial<TenantLimits>): TenantLimits {
  // A second's worth is one byte: every push after it waits for an hour, the longest that a writer says.
  return tenant === TENANT_SLOW ? { ...LIMITS, ingestionRateBytes: 1, ingestionBurstBytes: 1 } : { ...LIMITS, ...own }
}

/** `limits`: of the writer. */
export async function startFleet(limits: Partial<TenantLimits> = {}): Promise<Fleet> {
  const { metastore, close } = await createSqlMetastore()
  const directory = await mkdtemp(join(tmpdir(), 'cinder-edge-'))
  const store = await openFilesystemStore(directory)
  const codec = createCodec()
  const log = createSilentLog()
  const writer = createSegmentWriter(
    { store, metastore, codec, log, digest: createDigest(), clock: createClock(), random: createRandom() },
    {
      limitsOf: (tenant) => limitsOf(tenant, limits),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 256 * MIB,
      writeDeadlineMs: 20_000,
      threads: 0,
    },
  )
  const waiting: ((query: HangingQuery) => void)[] = []
  const front = countingWriter(writer)
  const app = new Hono()
  const options = { bodyLimitBytes: BODY_LIMIT_BYTES, compression: codecCompression(codec), log }
  mountMetastore(app, metastore, options)
  mountSegmentWriter(app, front, options)
  const backend = createQueryBackend({ store, codec, regex: createRegexCompiler() })
  mountQueryBackend(app, hangingBackend(backend, waiting), options)
  mountLabelReport(app, createLabelReporter({ store, codec, regex: createRegexCompiler() }), options)
  mountAsyncResults(app, createAsyncStore({ store, clock: createClock() }), options)
  mountAdhoc(app, createAdhocStore({ store, clock: createClock(), random: createRandom() }), options)
  const host = '127.0.0.1'
  const listener = serveHttp({ name: 'fleet', app, host, port: 0, bodyLimitBytes: BODY_LIMIT_BYTES })
  return {
    url: listener.url,
    nextHangingQuery() {
      const arriving = Promise.withResolvers<HangingQuery>()
      waiting.push(arriving.resolve)
      return arriving.promise
    },
    writes: (tenant) => front.calls.get(tenant) ?? 0,
    async stop() {
      await metastore.stop()
      await listener.stop()
      await writer.stop()
      await close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function countingWriter(writer: SegmentWriter): SegmentWriter & { readonly calls: Map<string, number> } {
  const calls = new Map<string, number>()
  return {
    calls,
    async write(request) {
      calls.set(request.tenant, (calls.get(request.tenant) ?? 0) + 1)
      if (request.tenant === TENANT_DOWN) {
        throw new CinderError('unavailable', 'the store does not answer', { retryAfterMs: 2_500 })
      }
      return writer.write(request)
    },
  }
}

function hangingBackend(backend: QueryBackend, waiting: ((query: HangingQuery) => void)[]): QueryBackend {
  return {
    timeSeries: (request, signal) => backend.timeSeries(request, signal),
    points: (request, signal) => backend.points(request, signal),
    mergeProfile: (request, signal) => backend.mergeProfile(request, signal),
    stacktraces(request, signal) {
      const hangs = request.objects.some(({ datasets }) =>
        datasets.some((each) => each.descriptor.tenant === TENANT_HANGS),
      )
      return hangs ? hang(request, signal!) : backend.stacktraces(request, signal)
    },
  }

  async function hang(_: StacktracesRequest, signal: AbortSignal): Promise<StacktracesResponse> {
    const cancelled = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    waiting.shift()?.({ cancelled })
    await cancelled
    throw new CinderError('canceled', 'the query was given up by its caller')
  }
}
