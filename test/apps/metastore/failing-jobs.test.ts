/** Jobs that fail, over Postgres: what the contract suite cannot move, and what must not happen meanwhile. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CompactionJob, FailedJob } from '#core/rpc/metastore.ts'
import { closeDeadJobs } from '#db/sql/close-dead-jobs.ts'
import { failExpiredJobs } from '#db/sql/fail-jobs.ts'
import { wakeIdleSegments } from '#db/sql/idle-segments.ts'
import { deleteGoneWorkers } from '#db/sql/workers.ts'
import { HOUR_MS, mergedOutput, makeSegment, type DatasetSpec } from '../../support/metastore-requests.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

let harness: SqlMetastore
let made = 0
before(async () => {
  harness = await createSqlMetastore({ planWindowsIntervalMs: 0 })
})
after(() => harness.close())

const poll = (more: Partial<Parameters<SqlMetastore['metastore']['pollJobs']>[0]> = {}) =>
  harness.metastore.pollJobs({ workerId: 'w', capacity: 32, running: [], failed: [], released: [], waitMs: 0, ...more })
const fail = (job: CompactionJob, more: Partial<FailedJob> = {}) =>
  poll({ capacity: 0, failed: [{ jobId: job.jobId, epoch: job.epoch, reason: 'no', ...more }] })
const commit = async (specs: DatasetSpec[]) => {
  const objectId = `f${++made}`
  await harness.metastore.commitSegment(makeSegment(objectId, specs))
  return objectId
}
/** The job of a fresh segment of one dataset, running. */
const runOne = async () => {
  const objectId = await commit([{ tenant: `t${made}`, profiles: [made] }])
  await harness.plan()
  const { jobs } = await poll()
  return jobs.find(({ sources }) => sources.some((source) => source.objectId === objectId))!
}
const text = ({ level, sources }: CompactionJob) =>
  `${level}: ${sources.map((s) => `${s.objectId}/${s.datasets.map((d) => d.descriptor.index).join(',')}`).join(' ')}`
const row = async (jobId: string) => (await harness.database.sql`select * from jobs where id = ${jobId}::bigint`)[0]!

test('a job that runs for longer than it may is lost to its worker, however well it renews, and that counts', async () => {
  const { sql } = harness.database
  const job = await runOne()
  const running = [{ jobId: job.jobId, epoch: job.epoch, progress: 0.25 }]
  assert.deepEqual((await poll({ capacity: 0, running })).lost, [])
  assert.equal((await row(job.jobId)).progress, 0.25)
  await sql`update jobs set started_at = now() - interval '11 minutes' where id = ${job.jobId}::bigint`
  assert.deepEqual((await poll({ capacity: 0, running })).lost, [job.jobId])
  const [outcome] = await failExpiredJobs(sql, harness.settings.jobPolicy)
  assert.deepEqual([outcome!.state, outcome!.reason], ['queued', 'ran for more than 600000 ms on w'])
  assert.equal((await row(job.jobId)).failures, 1)
})

test('a report under an old epoch, of another worker or of a job that is not running changes nothing', async () => {
  const job = await runOne()
  await fail(job, { epoch: job.epoch + 1 })
  await poll({
    workerId: 'stranger',
    capacity: 0,
    failed: [{ jobId: job.jobId, epoch: job.epoch, reason: 'not mine' }],
  })
  assert.equal((await row(job.jobId)).state, 'running')
  await fail(job)
  await fail(job)
  assert.deepEqual([(await row(job.jobId)).state, (await row(job.jobId)).failures], ['queued', 1])
  assert.equal((await harness.database.sql`select 1 from job_failures where job_id = ${job.jobId}::bigint`).length, 1)
})

test('reports and expiry of one job at once count once', async () => {
  const { sql } = harness.database
  for (let round = 0; round < 5; round++) {
    const job = await runOne()
    await sql`update jobs set expires_at = now() - interval '1 second' where id = ${job.jobId}::bigint`
    await Promise.all([fail(job), failExpiredJobs(sql, harness.settings.jobPolicy), fail(job)])
    assert.equal((await row(job.jobId)).failures, 1)
  }
})

test('a job above level 1 is split by its datasets, each part with its skip lists', async () => {
  const { sql } = harness.database
  const objectId = await commit(['a', 'b', 'c'].map((service) => ({ tenant: 'up', service, profiles: [-1, -2] })))
  await harness.plan()
  // Jobs of earlier tests whose backoff of a second has ended may come before it.
  const job = (await poll()).jobs.find(({ sources }) => sources.some((source) => source.objectId === objectId))!
  const { jobId, epoch } = job
  await harness.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs: [mergedOutput('up1', job)] })
  await sql`update datasets set skip_positions = '{1}' where object_id = 'up1' and dataset_index = 1`
  await harness.plan()
  const whole = (await poll()).jobs.find(({ level }) => level === 5)!
  assert.equal(text(whole), '5: up1/0,1,2')
  await fail(whole, { kind: 'corrupt-source', culprits: [{ objectId: 'up1', index: 2 }] })
  await harness.endBackoff()
  const parts = (await poll()).jobs.filter(({ level }) => level === 5).sort((a, b) => (text(a) < text(b) ? -1 : 1))
  assert.deepEqual(parts.map(text), ['5: up1/0,1', '5: up1/2'])
  assert.deepEqual(
    parts[0]!.sources[0]!.datasets.map(({ skip }) => skip),
    [[], [1]],
  )
  const outputs = [mergedOutput('up5', parts[0]!)]
  const term = { workerId: 'w', jobId: parts[0]!.jobId, epoch: parts[0]!.epoch }
  assert.equal((await harness.metastore.commitCompaction({ ...term, outputs })).verdict, 'committed')
  const live = await sql`select object_id, dataset_index from datasets where tenant = 'up' and is_live order by 1, 2`
  assert.deepEqual(
    live.map((each) => `${each.object_id}/${each.dataset_index}`),
    ['up1/2', 'up5/0', 'up5/1'],
  )
  assert.equal(
    (await harness.metastore.commitCompaction({ ...term, jobId: whole.jobId, epoch: whole.epoch, outputs: [] }))
      .verdict,
    'lost-lease',
  )
})

test('while every job fails none is parked: they wait; as soon as one is committed again, poison is poison', async () => {
  const { sql } = harness.database
  await sql`delete from job_failures`
  await sql`update jobs set finished_at = now() - interval '10 minutes' where finished_at is not null`
  for (let i = 0; i < 9; i++) {
    await commit([{ tenant: `out${i}`, profiles: [1_000 + i] }])
    await harness.plan()
  }
  for (let round = 0; round < 5; round++) {
    await harness.endBackoff()
    const { jobs } = await poll()
    await poll({ capacity: 0, failed: jobs.map(({ jobId, epoch }) => ({ jobId, epoch, reason: 'store is away' })) })
  }
  const count = async (state: string) =>
    (await sql`select 1 from jobs where state = ${state} and reason = 'store is away'`).length
  assert.equal(await count('parked'), 0)
  assert.ok((await count('queued')) >= 9)
  await harness.endBackoff()
  const [one, ...others] = (await poll()).jobs
  const outputs = [mergedOutput('back', one!)]
  const { jobId, epoch } = one!
  assert.equal(
    (await harness.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })).verdict,
    'committed',
  )
  const poison = others[0]!
  const failed = others.map((job) => ({ jobId: job.jobId, epoch: job.epoch, reason: 'poison' }))
  await poll({ capacity: 0, failed })
  for (let round = 0; round < 4 && (await row(poison.jobId)).state !== 'parked'; round++) {
    await harness.endBackoff()
    const again = (await poll()).jobs.map((job) => ({ jobId: job.jobId, epoch: job.epoch, reason: 'poison' }))
    await poll({ capacity: 0, failed: again })
  }
  assert.equal((await row(poison.jobId)).state, 'parked')
})

test('a job keeps its last failures, and reasons are cut and storable', async () => {
  const { sql } = harness.database
  await commit([{ tenant: 'talks', profiles: [5_000] }])
  await harness.plan()
  let jobId = ''
  for (let round = 0; round < 36; round++) {
    await sql`update jobs set state = 'queued', failures = 0, not_before = now() where id = ${jobId === '' ? '0' : jobId}::bigint`
    const job = (await poll()).jobs.find(({ sources }) => sources.some((s) => s.objectId === `f${made}`))!
    jobId = job.jobId
    await fail(job, { reason: `${round} \0 ${'x'.repeat(5_000)}`, kind: 'something new' })
  }
  const failures = await sql`select kind, reason from job_failures where job_id = ${jobId}::bigint order by id`
  assert.equal(failures.length, 32)
  assert.ok(failures.at(-1)!.reason.startsWith('35  x') && failures.at(-1)!.reason.length === 2_000)
  assert.equal(failures.at(-1)!.kind, 'error')
})

test('a parked job goes when its data does, and not before', async () => {
  const { sql } = harness.database
  const job = await runOne()
  await sql`update jobs set state = 'parked', holder = null, expires_at = null where id = ${job.jobId}::bigint`
  assert.ok(!(await closeDeadJobs(sql)).includes(job.jobId))
  await harness.retireDataset(job.sources[0]!.objectId, 0)
  assert.deepEqual(await closeDeadJobs(sql), [job.jobId])
  const closed = await row(job.jobId)
  assert.deepEqual([closed.state, closed.reason], ['stale', 'its data is gone'])
  assert.equal((await sql`select 1 from job_sources where job_id = ${job.jobId}::bigint`).length, 0)
})

test('a segment of which nothing may be planned leaves the planner’s index, and comes back with the switch', async () => {
  const { sql } = harness.database
  await sql`insert into compaction_tenants (tenant, is_enabled, reason) values ('asleep', false, 'test')`
  const objectId = await commit([{ tenant: 'asleep', profiles: [7_000] }])
  const shared = await commit([
    { tenant: 'asleep', profiles: [7_001] },
    { tenant: 'awake', profiles: [7_002] },
  ])
  const idle = async () =>
    (await sql`select object_id from segments where is_idle order by object_id`).map((each) => each.object_id)
  await harness.plan()
  assert.deepEqual(await idle(), [objectId], 'the other is held by a job')
  const job = (await poll()).jobs.find(({ sources }) => sources.some((each) => each.objectId === shared))!
  assert.deepEqual(
    job.sources.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.tenant)),
    ['awake'],
  )
  const { jobId, epoch } = job
  const outputs = [mergedOutput('awake1', job)]
  assert.equal(
    (await harness.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })).verdict,
    'committed',
  )
  await harness.plan()
  assert.deepEqual(await idle(), [objectId, shared].sort())
  const range = { startMs: HOUR_MS, endMs: HOUR_MS + 1_000, services: [] }
  assert.equal((await harness.metastore.planQuery({ tenants: ['asleep'], ...range })).objects.length, 2, 'it is read')
})

test('a segment that a deletion hides does not fall asleep: the deletion may be undone', async () => {
  const { sql } = harness.database
  const objectId = await commit([{ tenant: 'undone', profiles: [9_000] }])
  await sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at) values ('undone', 2, 2, now())`
  await harness.plan()
  const holding = async () => (await sql`select job_id from job_sources where object_id = ${objectId}`).length
  assert.equal(await holding(), 0)
  await sql`update tenant_incarnations set live_from = 1 where tenant = 'undone'`
  await harness.plan()
  assert.equal(await holding(), 1)
})

test('queued jobs of a tenant that is switched off are closed, and its data is planned anew afterwards', async () => {
  const { sql } = harness.database
  const objectId = await commit([{ tenant: 'wavers', profiles: [8_000] }])
  await harness.plan()
  const holding = async () => (await sql`select job_id from job_sources where object_id = ${objectId}`).length
  assert.equal(await holding(), 1)
  await sql`insert into compaction_tenants (tenant, is_enabled, reason) values ('wavers', false, 'test')`
  await harness.plan()
  assert.equal(await holding(), 0)
  const [job] = await sql`select state, reason from jobs where tenant = 'wavers'`
  assert.deepEqual([job!.state, job!.reason], ['stale', 'compaction of its tenant is off'])
  await sql`delete from compaction_tenants where tenant = 'wavers'`
  await wakeIdleSegments(sql, { tenant: 'wavers' })
  await harness.plan()
  assert.equal(await holding(), 1)
})

test('workers that are gone for a day are forgotten', async () => {
  const { sql } = harness.database
  await sql`delete from workers`
  await poll({ capacity: 0 })
  await sql`update workers set expires_at = now() - interval '25 hours' where worker_id = 'w'`
  await poll({ workerId: 'v', capacity: 0 })
  assert.equal(await deleteGoneWorkers(sql), 1)
  assert.deepEqual(
    (await sql`select worker_id from workers`).map((each) => each.worker_id),
    ['v'],
  )
})

test('a queued job whose data and objects are gone ends too: where only such are left none would ever be blamed', async () => {
  const { sql } = harness.database
  const objectId = await commit([{ tenant: 'gone', profiles: [-1] }])
  await sql`delete from job_sources where object_id = ${objectId}`
  const [made] = await sql<{ id: number }[]>`
    insert into jobs (state, level, size_bytes, rank, failure_kind) values ('queued', 1, 1, 0, 'missing-source') returning id`
  await sql`insert into job_sources values (${objectId}, ${made!.id}, '{0}', '{}', '{}')`
  const jobId = String(made!.id)
  assert.ok(!(await closeDeadJobs(sql)).includes(jobId), 'its data lives: it may come back')
  await harness.retireDataset(objectId, 0)
  await sql`update jobs set failure_kind = 'error' where id = ${made!.id}`
  assert.ok(!(await closeDeadJobs(sql)).includes(jobId), 'its commit will say so')
  await sql`update jobs set failure_kind = 'missing-source' where id = ${made!.id}`
  assert.ok((await closeDeadJobs(sql)).includes(jobId))
})
