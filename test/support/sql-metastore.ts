/** The metastore on a database of its own, with planning by hand and the levers of the contract suite. */
import { createMetastore, type RunningMetastore } from '../../apps/metastore/app.ts'
import type { Database } from '../../apps/metastore/database.ts'
import { defaultSettings, type MetastoreSettings } from '../../apps/metastore/settings.ts'
import { createClock } from '#platform/clock.ts'
import type { MetastoreHarness } from '../contract/metastore.ts'
import { createSilentLog, type RememberedEvent } from './silent-log.ts'
import { withDatabase, type TestDatabase } from './postgres.ts'

export interface SqlMetastore extends MetastoreHarness {
  readonly metastore: RunningMetastore
  readonly database: TestDatabase
  readonly settings: MetastoreSettings
  readonly events: RememberedEvent[]
}

/** How the metastore reaches the database: directly by the test's own pool, or as it is told. */
export type OpenMetastoreDatabase = (database: TestDatabase) => Promise<Database>

export async function createSqlMetastore(
  overrides: Partial<MetastoreSettings> = {},
  open?: OpenMetastoreDatabase,
): Promise<SqlMetastore> {
  const database = await withDatabase()
  const { sql } = database
  const opened = await open?.(database)
  const defaults = defaultSettings('test-1')
  const settings: MetastoreSettings = {
    ...defaults,
    // Any age is old enough, and only plan() plans: the interval outlives the test.
    segmentPolicy: { ...defaults.segmentPolicy, triggerAgeMs: 0 },
    planIntervalMs: 3_600_000,
    planIdleIntervalMs: 3_600_000,
    planWindowsIntervalMs: 3_600_000,
    ...overrides,
  }
  const log = createSilentLog()
  const reached = opened === undefined ? { sql } : { sql: opened.sql, database: opened }
  const metastore = createMetastore({ ...reached, clock: createClock(), log, settings })
  return {
    metastore,
    database,
    settings,
    events: log.events,
    failuresMax: settings.jobPolicy.failuresMax,
    async plan() {
      await metastore.planner.pass()
    },
    async expireJobLeases() {
      await sql`update jobs set expires_at = now() - interval '1 second' where state = 'running'`
      await metastore.planner.pass()
    },
    async endBackoff() {
      await sql`update jobs set not_before = now() where state = 'queued'`
    },
    async endGrace() {
      await sql`update tombstones set due_at = now() - interval '1 second', expires_at = null`
    },
    async retireDataset(objectId, index) {
      await sql.begin(async (tx) => {
        await tx`update objects set live_datasets = live_datasets - 1 where id = ${objectId}`
        await tx`update segments set live = set_bit(live, ${index}, 0),
          is_live = position(B'1' in set_bit(live, ${index}, 0)) > 0 where object_id = ${objectId}`
      })
    },
    async close() {
      await metastore.stop()
      await opened?.stop()
      await database.close()
    },
  }
}
