/** Compaction above level 1 through the metastore: what is planned, claimed, committed and tombstoned. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import { floorTo, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { insertWindowJobs } from '#db/sql/insert-window-jobs.ts'
import { selectWaitingDatasets } from '#db/sql/waiting-datasets.ts'
import { HOUR_MS, makeOutput, mergedOutput, makeSegment } from '../../support/metastore-requests.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

let harness: SqlMetastore
let made = 0
before(async () => {
  harness = await createSqlMetastore({ planWindowsIntervalMs: 0 })
})
after(() => harness.close())

const poll = async (): Promise<CompactionJob[]> =>
  (await harness.metastore.pollJobs({ workerId: 'w', capacity: 32, running: [], failed: [], released: [], waitMs: 0 }))
    .jobs

const finish = (job: CompactionJob, outputs: ReturnType<typeof makeOutput>[]) =>
  harness.metastore.commitCompaction({ workerId: 'w', jobId: job.jobId, epoch: job.epoch, outputs })

/** An object of level 1 with these datasets; every segment is compacted on its own. */
async function firstLevel(objectId: string, specs: Parameters<typeof makeOutput>[1]): Promise<void> {
  const own = specs.map((spec) => ({ ...spec, profiles: spec.profiles.map(() => -++made) }))
  await harness.metastore.commitSegment(makeSegment(`seg${++made}`, own))
  await harness.plan()
  const job = (await poll()).find(({ level }) => level === 1)!
  assert.equal((await finish(job, [makeOutput(objectId, specs)])).verdict, 'committed')
}

/** `level: object/indexes …` */
function text({ level, sources }: CompactionJob): string {
  const objects = sources.map((s) => `${s.objectId}/${s.datasets.map(({ descriptor }) => descriptor.index).join(',')}`)
  return `${level}: ${objects.join(' ')}`
}

async function live(tenant: string): Promise<string[]> {
  const range = { startMs: HOUR_MS - 2 * MS_PER_DAY, endMs: HOUR_MS + 2 * MS_PER_DAY }
  const { objects } = await harness.metastore.planQuery({ tenants: [tenant], services: [], ...range })
  return objects.flatMap(({ objectId, datasets }) =>
    datasets.map(({ descriptor }) => `${objectId}/${descriptor.index}`),
  )
}

const block = (objectId: string, tenant: string, services: string[], level: number) => {
  // A service named twice has two profiles.
  const output = makeOutput(
    objectId,
    [...Map.groupBy(services, (service) => service)].map(([service, profiles]) => ({
      tenant,
      service,
      profiles: profiles.map(() => 1),
    })),
    level,
  )
  const windowMs = level === 7 ? MS_PER_DAY : MS_PER_HOUR
  const datasets = output.datasets.map((each) => ({ ...each, windowMs, windowStartMs: floorTo(HOUR_MS, windowMs) }))
  return { ...output, datasets }
}

const everyRange = (tenant: string) => [{ tenant, fromMs: 0, toMs: HOUR_MS * 2 }]

test('a closed hour goes up by tenant, two jobs on the same objects at once; then the day; then nothing', async () => {
  const shared = [
    { tenant: 't', service: 's0', profiles: [1] },
    { tenant: 't', service: 's1', profiles: [1] },
    { tenant: 'u', service: 's0', profiles: [1] },
  ]
  await firstLevel('l1a', shared)
  assert.deepEqual(await poll(), [], 'nothing is planned without a pass')
  await harness.plan()
  const jobs = (await poll()).sort((a, b) => (text(a) < text(b) ? -1 : 1))
  assert.deepEqual(jobs.map(text), ['5: l1a/0,1', '5: l1a/2'])
  await harness.plan()
  assert.deepEqual(await poll(), [], 'what a job holds is not planned again')
  assert.equal((await finish(jobs[1]!, [block('u5', 'u', ['s0'], 5)])).verdict, 'committed')
  assert.deepEqual(await live('t'), ['l1a/0', 'l1a/1'])
  assert.deepEqual(await live('u'), ['u5/0'])
  const tombstones = () => harness.database.sql`select 1 from tombstones where object_id = 'l1a'`
  assert.equal((await tombstones()).length, 0, 'half of it is live')
  assert.equal((await finish(jobs[0]!, [block('t5', 't', ['s0', 's1'], 5)])).verdict, 'committed')
  assert.equal((await tombstones()).length, 1)
  await harness.plan()
  const days = (await poll()).sort((a, b) => (text(a) < text(b) ? -1 : 1))
  assert.deepEqual(days.map(text), ['7: t5/0,1', '7: u5/0'])
  await finish(days[0]!, [block('t7', 't', ['s0', 's1'], 7)])
  await finish(days[1]!, [block('u7', 'u', ['s0'], 7)])
  await harness.plan()
  assert.deepEqual(await poll(), [])
  assert.deepEqual(await live('t'), ['t7/0', 't7/1'])
})

test('late data of a finished day becomes a block of its hour, the day is read along and stays', async () => {
  await firstLevel('late', [{ tenant: 't', service: 's1', profiles: [1] }])
  await harness.plan()
  const [job] = await poll()
  assert.equal(text(job!), '5: late/0')
  const { waiting } = await selectWaitingDatasets(harness.database.sql, everyRange('t'), { limit: 100 })
  assert.deepEqual(
    waiting.map(({ objectId, index, level, isHeld }) => [objectId, index, level, isHeld]),
    [
      ['late', 0, 1, true],
      ['t7', 1, 7, false],
    ],
  )
  await finish(job!, [block('late5', 't', ['s1'], 5)])
  await harness.database.sql`update datasets set size_bytes = 100000 where object_id = 't7'`
  await harness.plan()
  assert.deepEqual(await poll(), [])
  await harness.database.sql`update datasets set size_bytes = 3999 where object_id = 't7'`
  await harness.plan()
  const [day] = await poll()
  assert.equal(text(day!), '7: late5/0 t7/1')
  await finish(day!, [block('t7b', 't', ['s1', 's1'], 7)])
  assert.deepEqual(await live('t'), ['t7/0', 't7b/0'])
})

test('a parked job keeps its datasets out of planning, and no later level waits for them (H58)', async () => {
  await firstLevel('p', [{ tenant: 'p', profiles: [1] }])
  await harness.plan()
  const [job] = await poll()
  await harness.database.sql`update jobs set state = 'parked', holder = null where id = ${job!.jobId}::bigint`
  const { waiting } = await selectWaitingDatasets(harness.database.sql, everyRange('p'), { limit: 100 })
  assert.deepEqual(
    waiting.filter(({ tenant }) => tenant === 'p'),
    [],
  )
  // Another service of the same hour, and more of the service itself, go up to the hour and to the day.
  await firstLevel('p2', [
    { tenant: 'p', profiles: [2] },
    { tenant: 'p', service: 'other', profiles: [3] },
  ])
  await harness.plan()
  const [hour] = await poll()
  assert.equal(text(hour!), '5: p2/0,1')
  await finish(hour!, [block('p5', 'p', ['other', 'web'], 5)])
  await harness.plan()
  const [next] = await poll()
  assert.match(text(next!), /^[67]: p5\/0,1$/)
  assert.deepEqual((await live('p')).sort(), ['p/0', 'p5/0', 'p5/1'])
  await finish(next!, [block('p7', 'p', ['other', 'web'], 7)])
})

test('under a lease that moved nothing is inserted; sources that have gone are left out', async () => {
  const { sql } = harness.database
  await firstLevel('g', [
    { tenant: 'g', profiles: [1, 2, 3, 4, 5, 6] },
    { tenant: 'g', service: 'z', profiles: [1] },
  ])
  await sql`update datasets set is_live = false where object_id = 'g' and dataset_index = 1`
  await sql`update datasets set skip_positions = '{2,5}' where object_id = 'g' and dataset_index = 0`
  const shape = { level: 2, sizeBytes: 1, windowStartMs: HOUR_MS, windowMs: MS_PER_HOUR }
  const jobs = [
    { ...shape, scope: 'one', sources: [{ objectId: 'g', indexes: [0, 1] }] },
    { ...shape, scope: 'two', sources: [{ objectId: 'gone', indexes: [0] }] },
  ]
  const term = { name: 'windows', holder: 'me', epoch: 3 }
  const options = { term, delaysSeconds: [1, 1] }
  assert.equal(await insertWindowJobs(sql, jobs, options), 0)
  await sql`insert into leases values ('windows', 'me', 3, now() + interval '1 minute')`
  assert.equal(await insertWindowJobs(sql, jobs, options), 1)
  const [job] = await poll()
  assert.deepEqual(
    job!.sources.flatMap(({ datasets }) => datasets.map(({ descriptor, skip }) => [descriptor.index, skip])),
    [[0, [2, 5]]],
  )
  assert.equal((await finish(job!, [mergedOutput('g2', job!)])).verdict, 'committed')
})
