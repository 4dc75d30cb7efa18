/**
 * Limits that operators changed in the metastore, over those of the process and its file.
 *
 * 1. Asked for at the start and every ten seconds, by generation: where nothing changed the answer is empty.
 * 2. A metastore that does not answer changes nothing: the last known limits stay, and it is said once.
 * 3. A row that this version cannot read is passed over and said; others hold.
 */
import { parseLimits, type TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { LimitOverrides, TenantOverrides } from '#core/rpc/tenant-limits.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { LimitsFile } from './limits-file.ts'

/** As for the file. */
const REREAD_MS = 10 * MS_PER_SECOND

const START_WAIT_MS = 2 * MS_PER_SECOND

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly overrides: Pick<LimitOverrides, 'listOverrides'>
}

/** What `inner` says, with the rows over it; stopping it stops `inner`. */
export async function openLimitRows(inner: LimitsFile, { clock, log, overrides }: Deps): Promise<LimitsFile> {
  const stopping = new AbortController()
  let rows = new Rows(inner, [], log)
  let generation = 0
  let isFailing = false
  const read = async () => {
    try {
      const answer = await overrides.listOverrides({ generation })
      isFailing = false
      if (!answer.changed) return
      generation = answer.generation
      rows = new Rows(inner, answer.tenants, log)
      log.info('limits of tenants read from the metastore', { tenants: answer.tenants.length, generation })
    } catch (error) {
      if (!isFailing) log.warn('limits of tenants are not read from the metastore, the last known ones stay', { error })
      isFailing = true
    }
  }
  // A metastore that is silent does not keep a writer from starting.
  await Promise.race([read(), clock.sleep(START_WAIT_MS)])
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(REREAD_MS, stopping.signal)
      if (!stopping.signal.aborted) await read()
    }
  })()
  return {
    limitsOf: (tenant) => rows.limitsOf(tenant),
    policyOf: (tenant) => inner.policyOf(tenant),
    async stop() {
      stopping.abort()
      await Promise.all([watching, inner.stop()])
    },
  }
}

interface Own {
  readonly base: TenantLimits
  readonly limits: TenantLimits
}

class Rows {
  readonly #inner: LimitsFile
  readonly #json = new Map<string, unknown>()
  /** Made anew only when what they stand on has changed: equal limits are one object. */
  readonly #own = new Map<string, Own>()

  constructor(inner: LimitsFile, tenants: readonly TenantOverrides[], log: Log) {
    this.#inner = inner
    for (const { tenant, overrides } of tenants) {
      try {
        const json: unknown = JSON.parse(overrides)
        parseLimits(json)
        this.#json.set(tenant, json)
      } catch (error) {
        log.error('limits of a tenant cannot be read, those of the file hold', { tenant, error })
      }
    }
  }

  limitsOf(tenant: string): TenantLimits {
    const base = this.#inner.limitsOf(tenant)
    const json = this.#json.get(tenant)
    if (json === undefined) return base
    const known = this.#own.get(tenant)
    if (known?.base === base) return known.limits
    const limits = parseLimits(json, base)
    this.#own.set(tenant, { base, limits })
    return limits
  }
}
