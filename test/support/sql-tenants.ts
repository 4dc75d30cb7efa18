/** Tenants and retention beside a metastore on a database of its own; duties run by hand, delays end by a lever. */
import type { MetastoreSettings } from '../../apps/metastore/settings.ts'
import { createTenants, type Tenants } from '../../apps/metastore/tenants.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { acquireLease, type LeaseTerm } from '#db/sql/leases.ts'
import { createClock } from '#platform/clock.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { createSilentLog, type RememberedEvent } from './silent-log.ts'
import type { TenantsHarness } from './tenant-scene.ts'
import { createSqlMetastore, type SqlMetastore } from './sql-metastore.ts'

export interface SqlTenants extends TenantsHarness {
  readonly sqlMetastore: SqlMetastore
  readonly tenants: Tenants
  readonly store: ObjectStore
  readonly events: RememberedEvent[]
  term(name: string): Promise<LeaseTerm>
}

export async function createSqlTenants(overrides: Partial<MetastoreSettings> = {}): Promise<SqlTenants> {
  return tenantsOver(await createSqlMetastore(overrides), createMemoryStore())
}

export function tenantsOver(sqlMetastore: SqlMetastore, store: ObjectStore): SqlTenants {
  const { sql } = sqlMetastore.database
  const log = createSilentLog()
  const tenants = createTenants({
    sql,
    clock: createClock(),
    log,
    store,
    delayMs: MS_PER_DAY,
    deletionGraceMs: 900_000,
  })
  const epochs = new Map<string, number>()
  const term = async (name: string) => {
    const held = await acquireLease(sql, { name, holder: 'test', epoch: epochs.get(name), ttlMs: 60_000 })
    epochs.set(name, held!.epoch)
    return held!
  }
  const { signal } = new AbortController()
  return {
    sqlMetastore,
    metastore: sqlMetastore.metastore,
    tenants,
    service: tenants.service,
    store,
    events: log.events,
    term,
    plan: () => sqlMetastore.plan(),
    endGrace: () => sqlMetastore.endGrace(),
    async runDeletions() {
      await tenants.deletionPass.pass(await term('tenant deletion'), signal)
    },
    async runRetention() {
      return await tenants.retentionPass.pass(await term('retention'), signal)
    },
    async endDelay(tenant) {
      await sql`update tenant_deletions set remove_at = now() where tenant = ${tenant} and finished_at is null`
    },
    async endAnnouncement(tenant, service) {
      await sql`update retention_rules set pending_from = now() where tenant = ${tenant} and service = ${service}`
    },
    async nowMs() {
      const [row] = await sql<{ now: number }[]>`select floor(extract(epoch from now()) * 1000)::float8 as now`
      return row!.now
    },
    close: () => sqlMetastore.close(),
  }
}
