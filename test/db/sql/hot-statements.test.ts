/**
 * Every call of the contract on a seeded database, by the server's own counters: no large table is read from end to end.
 * One connection, so that its counters can be flushed; the generic plan, which knows least.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import type { Sql } from '#db/client.ts'
import { closeDeadJobs } from '#db/sql/close-dead-jobs.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import type { JobService } from '#core/rpc/jobs.ts'
import { createJobService } from '../../../apps/metastore/job-service.ts'
import { createMetastore, type RunningMetastore } from '../../../apps/metastore/app.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { mergedOutput, makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { SEEDED_DAY_MS, seedMetastore } from '../../support/seeded-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const LARGE_ROWS = 1_000
let database: TestDatabase
let sql: Sql
let metastore: RunningMetastore
let jobs: JobService

before(async () => {
  database = await withDatabase()
  await seedMetastore(database.sql)
  sql = database.connect({ maxConnections: 1 })
  await sql`set plan_cache_mode = force_generic_plan`
  metastore = createMetastore({ sql, clock: createClock(), log: createSilentLog(), settings: defaultSettings('hot') })
  jobs = createJobService({ sql, settings: defaultSettings('hot') })
})
after(() => database.close())

async function walkedRows(): Promise<Map<string, number>> {
  await sql`select pg_stat_force_next_flush()`
  await sql`select pg_stat_clear_snapshot()`
  const rows = await sql<{ name: string; walked: number }[]>`
    select s.relname::text as name, s.seq_tup_read as walked
    from pg_stat_user_tables s join pg_class c on c.oid = s.relid where c.reltuples >= ${LARGE_ROWS}`
  return new Map(rows.map((row) => [row.name, row.walked]))
}

async function tablesWalkedBy(run: () => Promise<unknown>): Promise<string[]> {
  const before = await walkedRows()
  await run()
  const after = await walkedRows()
  return [...after].filter(([name, walked]) => walked - before.get(name)! >= LARGE_ROWS).map(([name]) => name)
}

const range = { tenants: ['t7'], startMs: SEEDED_DAY_MS, endMs: SEEDED_DAY_MS + 9_999_999 }
const labels = { ...range, names: [], namesOnly: false }
const w = { workerId: 'w', running: [], failed: [], released: [], waitMs: 0 }
let job = { jobId: '0', epoch: 0 }
let claimed: CompactionJob

const calls: [string, () => Promise<unknown>][] = [
  ['commit segment', () => metastore.commitSegment(makeSegment('hot-1', [{ tenant: 't1', profiles: [1, 2, 2] }]))],
  ['replay', () => metastore.commitSegment(makeSegment('hot-1', [{ tenant: 't1', profiles: [1, 2, 2] }]))],
  ['plan jobs', () => metastore.planner.pass()],
  [
    'claim',
    async () => {
      const { jobs } = await metastore.pollJobs({ ...w, capacity: 10 })
      assert.equal(jobs.length, 1)
      job = jobs[0]!
      claimed = jobs[0]!
    },
  ],
  ['renew', () => metastore.pollJobs({ ...w, capacity: 0, running: [job] })],
  [
    'commit compaction',
    async () => {
      const outputs = [mergedOutput('hot-out', claimed)]
      const answer = await metastore.commitCompaction({ workerId: 'w', ...job, outputs })
      assert.equal(answer.verdict, 'committed')
    },
  ],
  ['fail', () => metastore.pollJobs({ ...w, capacity: 0, failed: [{ ...job, reason: 'x' }] })],
  ['release', () => metastore.pollJobs({ ...w, capacity: 0, released: [job] })],
  ['release of dead workers', () => metastore.releaseHolders('dead-')],
  ['claim tombstones', () => metastore.claimTombstones({ holder: 'd', limit: 10 })],
  ['confirm deletions', () => metastore.confirmDeleted({ holder: 'd', deleted: [{ objectId: 'gone1', epoch: 1 }] })],
  ['plan query', () => metastore.planQuery({ ...range, services: ['s3'] })],
  ['label sets', () => metastore.labelSets(labels)],
  ['label sets of one name', () => metastore.labelSets({ ...labels, names: ['n'] })],
  ['label names', () => metastore.labelSets({ ...labels, namesOnly: true })],
  ['list jobs', () => jobs.listJobs({ states: ['parked'], tenant: 't1', level: 0, pageSize: 0, pageToken: '' })],
  ['get a job', () => jobs.getJob({ jobId: '1' })],
  ['retry a job', () => assert.rejects(jobs.retryJob({ jobId: '1' }), { kind: 'failed_precondition' })],
  ['set a mark', () => jobs.setMark({ objectId: 'o1', tenant: 't1', index: 0, reason: 'r' })],
  ['clear a mark', () => jobs.clearMark({ objectId: 'o1', tenant: 't1', index: 0 })],
  ['switch a tenant', () => jobs.setTenantCompaction({ tenant: 't1', isEnabled: true, reason: '' })],
  ['close jobs whose data is gone', () => closeDeadJobs(sql)],
  ['clean', () => metastore.cleaner.pass()],
]
for (const [name, run] of calls) {
  test(`${name} walks no large table`, async () => {
    assert.deepEqual(await tablesWalkedBy(run), [])
  })
}

test('a walk is seen', async () => {
  assert.deepEqual(await tablesWalkedBy(() => sql`select count(reason) from jobs`), ['jobs'])
})
