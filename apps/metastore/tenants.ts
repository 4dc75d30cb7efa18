/**
 * Tenants and retention of one metastore: the service, and the duties that carry out what it was asked for. Composed with
 * the metastore by who starts it; the bucket is optional, see tenant-deletion.ts.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { TenantService } from '#core/rpc/tenants.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import type { Duty } from './duties.ts'
import type { MetastoreSettings } from './settings.ts'
import { RetentionPass } from './retention.ts'
import { TenantDeletionPass, type TenantStore } from './tenant-deletion.ts'
import { createTenantService } from './tenant-service.ts'

export interface TenantsDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly store?: TenantStore | undefined
  /** Before a shortening of retention counts and before a deletion is for good. */
  readonly delayMs: number
  /** Queries that were planned before an object's last dataset went may read it for this long. */
  readonly deletionGraceMs: number
  /** How long the removal of a tenant waits for others' merges before it has a shared object written anew. */
  readonly rewriteAfterMs?: number
}

/** What of the settings concerns tenants. */
export function tenantsSettings(
  { jobPolicy }: MetastoreSettings,
  { deletionDelayMs }: { readonly deletionDelayMs: number },
): Pick<TenantsDeps, 'delayMs' | 'deletionGraceMs'> {
  return { delayMs: deletionDelayMs, deletionGraceMs: jobPolicy.deletionGraceMs }
}

export interface Tenants {
  readonly service: TenantService
  readonly duties: readonly Duty[]
  readonly retentionPass: RetentionPass
  readonly deletionPass: TenantDeletionPass
}

/** Bounds are whole hours: five minutes late is soon. */
const RETENTION_INTERVAL_MS = 5 * MS_PER_MINUTE
/** What it hides is out of sight already; this is how fast progress shows. */
const DELETION_INTERVAL_MS = 5 * MS_PER_SECOND

export function createTenants(deps: TenantsDeps): Tenants {
  const retentionPass = new RetentionPass(deps)
  const deletionPass = new TenantDeletionPass(deps)
  const duties: Duty[] = [
    {
      name: 'retention',
      intervalMs: RETENTION_INTERVAL_MS,
      run: async (term, signal) => void (await retentionPass.pass(term, signal)),
    },
    {
      name: 'tenant deletion',
      intervalMs: DELETION_INTERVAL_MS,
      // One tenant whose deletion fails holds up no other: the pass waits for each by itself.
      retryMaxMs: DELETION_INTERVAL_MS,
      run: (term, signal) => deletionPass.pass(term, signal),
    },
  ]
  return { service: createTenantService(deps), duties, retentionPass, deletionPass }
}
