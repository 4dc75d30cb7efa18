/**
 * Limits that operators changed in the metastore, over those of the process and its file. A row that this version cannot
 * read is passed over and said; others hold.
 */
import { parseLimits, type TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { LimitOverrides, TenantOverrides } from '#core/rpc/tenant-limits.ts'
import type { LimitsFile } from './limits-file.ts'
import { watchRows } from './watch-rows.ts'

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly overrides: Pick<LimitOverrides, 'listOverrides'>
}

/** What `inner` says, with the rows over it; stopping it stops `inner`. */
export async function openLimitRows(inner: LimitsFile, { clock, log, overrides }: Deps): Promise<LimitsFile> {
  let rows = new Rows(inner, [], log)
  const watched = {
    what: 'limits of tenants',
    ask: (known: { generation: number }) => overrides.listOverrides(known),
    take: (tenants: readonly TenantOverrides[]) => {
      rows = new Rows(inner, tenants, log)
    },
  }
  const watching = await watchRows(watched, { clock, log })
  return {
    limitsOf: (tenant) => rows.limitsOf(tenant),
    policyOf: (tenant) => inner.policyOf(tenant),
    async stop() {
      await Promise.all([watching.stop(), inner.stop()])
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
