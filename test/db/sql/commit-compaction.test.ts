/** The verdict under races, with sources above level 0, and at the edges of its numbers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import type { SqlSession } from '#db/client.ts'
import { commitCompaction } from '#db/sql/commit-compaction.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { HOUR_MS, makeSegment, mergedOutput } from '../../support/metastore-requests.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

let harness: SqlMetastore
let made = 0
before(async () => {
  harness = await createSqlMetastore()
})
after(() => harness.close())

const poll = (workerId: string) =>
  harness.metastore.pollJobs({ workerId, capacity: 32, running: [], failed: [], released: [], waitMs: 0 })

/** The job of these that merges the object; jobs of other tests may be due beside it. */
function jobOf(jobs: readonly CompactionJob[], objectId: string): CompactionJob {
  const found = jobs.filter(({ sources }) => sources.some((source) => source.objectId === objectId))
  assert.equal(found.length, 1, `jobs of ${objectId}`)
  return found[0]!
}

/** Two live segments in one running job of `w`. */
async function prepare(): Promise<{ n: number; tenant: string; job: CompactionJob }> {
  const n = ++made
  const tenant = `tenant-${n}`
  for (const side of ['a', 'b']) {
    const profiles = [n * 100 + (side === 'a' ? 0 : 1)]
    await harness.metastore.commitSegment(makeSegment(`${side}${n}`, [{ tenant, profiles }]))
  }
  await harness.plan()
  const { jobs } = await poll('w')
  return { n, tenant, job: jobOf(jobs, `a${n}`) }
}

const finish = (job: CompactionJob, outputs: ReturnType<typeof mergedOutput>[], workerId = 'w') =>
  harness.metastore.commitCompaction({ workerId, jobId: job.jobId, epoch: job.epoch, outputs })

async function planned(tenant: string): Promise<string[]> {
  const { objects } = await harness.metastore.planQuery({
    tenants: [tenant],
    services: [],
    startMs: 0,
    endMs: HOUR_MS * 2,
  })
  return objects.flatMap((object) => object.datasets.map((d) => `${object.objectId}/${d.descriptor.index}`))
}

test('the locked row is judged, not the snapshot: a source retired while the commit waits makes it stale (H37)', async () => {
  const { n, tenant, job } = await prepare()
  const retire = async (tx: SqlSession) => {
    await tx`update objects set live_datasets = 0 where id = ${`b${n}`}`
    await tx`update segments set live = B'0', is_live = false where object_id = ${`b${n}`}`
  }
  const answer = await raceForLocks(harness.database.sql, retire, () =>
    finish(job, [mergedOutput(`out${n}`, job, tenant)]),
  )
  assert.deepEqual(answer, { verdict: 'stale', staleObjectIds: [`b${n}`] })
  assert.deepEqual(await planned(tenant), [`a${n}/0`])
})

test('live sources are not given up for nothing: a commit without outputs is refused, and the job stays', async () => {
  const { n, tenant, job } = await prepare()
  assert.deepEqual(await finish(job, []), { verdict: 'lost-lease', staleObjectIds: [] })
  assert.deepEqual(await planned(tenant), [`a${n}/0`, `b${n}/0`])
  const answer = await finish(job, [mergedOutput(`out${n}`, job, tenant)])
  assert.equal(answer.verdict, 'committed')
})

test('a source row that is gone altogether is stale too (H38)', async () => {
  const { n, tenant, job } = await prepare()
  await harness.database.sql`delete from segments where object_id = ${`a${n}`}`
  const answer = await finish(job, [mergedOutput(`out${n}`, job, tenant)])
  assert.deepEqual(answer, { verdict: 'stale', staleObjectIds: [`a${n}`] })
})

test('a source whose skip list changed is stale', async () => {
  const { n, tenant, job } = await prepare()
  await harness.database
    .sql`update segments set skip_dataset = '{0}', skip_position = '{0}' where object_id = ${`a${n}`}`
  const answer = await finish(job, [mergedOutput(`out${n}`, job, tenant)])
  assert.deepEqual(answer, { verdict: 'stale', staleObjectIds: [`a${n}`] })
})

test('of two commits of one assignment at once exactly one is published (H41)', async () => {
  for (let round = 0; round < 20; round++) {
    const { n, tenant, job } = await prepare()
    const answers = await Promise.all([
      finish(job, [mergedOutput(`x${n}`, job, tenant)]),
      finish(job, [mergedOutput(`y${n}`, job, tenant)]),
    ])
    assert.deepEqual(answers.map((answer) => answer.verdict).sort(), ['committed', 'lost-lease'])
    const winner = answers[0].verdict === 'committed' ? 'x' : 'y'
    assert.deepEqual(await planned(tenant), [`${winner}${n}/0`])
    const [row] = await harness.database
      .sql`select 1 from tombstones where object_id = ${winner === 'x' ? `y${n}` : `x${n}`}`
    assert.notEqual(row, undefined)
  }
})

test('a takeover that wins the job row first leaves the zombie with nothing', async () => {
  const { n, tenant, job } = await prepare()
  const takeOver = (tx: SqlSession) =>
    tx`update jobs set epoch = epoch + 1, holder = 'heir' where id = ${job.jobId}::bigint`
  const answer = await raceForLocks(harness.database.sql, takeOver, () =>
    finish(job, [mergedOutput(`out${n}`, job, tenant)]),
  )
  assert.equal(answer.verdict, 'lost-lease')
  assert.deepEqual(await planned(tenant), [`a${n}/0`, `b${n}/0`])
  const output = mergedOutput(`heir${n}`, job, tenant)
  assert.equal((await finish({ ...job, epoch: job.epoch + 1 }, [output], 'heir')).verdict, 'committed')
})

test('an output whose id was collected as an orphan is not published', async () => {
  const { n, tenant, job } = await prepare()
  await harness.database.sql`insert into object_ids (id, retired_at) values (${`out${n}`}, now())`
  assert.equal((await finish(job, [mergedOutput(`out${n}`, job, tenant)])).verdict, 'lost-lease')
  assert.deepEqual(await planned(tenant), [`a${n}/0`, `b${n}/0`])
  assert.equal((await finish(job, [mergedOutput(`other${n}`, job, tenant)])).verdict, 'committed')
})

test('sources above level 0: part of an object is retired, the object lives until its last dataset', async () => {
  const n = ++made
  const tenant = `tenant-${n}`
  const specs = [0, 1, 2].map((i) => ({ tenant, service: `s${i}`, profiles: [n * 100 + i] }))
  await harness.metastore.commitSegment(makeSegment(`a${n}`, specs))
  await harness.plan()
  const job = jobOf((await poll('w')).jobs, `a${n}`)
  await finish(job, [mergedOutput(`l1-${n}`, job, tenant)])
  const sql = harness.database.sql
  const openJob = async (indexes: number[]): Promise<CompactionJob> => {
    const [row] = await sql<{ id: number }[]>`
      insert into jobs (state, level, size_bytes, rank) values ('queued', 2, 1, 0) returning id`
    await sql`insert into job_sources values (${`l1-${n}`}, ${row!.id}, ${indexes}::int[], '{}', '{}')`
    return jobOf((await poll('w')).jobs, `l1-${n}`)
  }
  const first = await openJob([0, 2])
  assert.deepEqual(
    first.sources[0]!.datasets.map((d) => d.descriptor.index),
    [0, 2],
  )
  assert.equal(first.sources[0]!.level, 1)
  assert.equal((await finish(first, [mergedOutput(`l2-${n}`, first)])).verdict, 'committed')
  assert.deepEqual(await planned(tenant), [`l1-${n}/1`, `l2-${n}/0`, `l2-${n}/1`])
  const buried = async () => (await sql`select 1 from tombstones where object_id = ${`l1-${n}`}`).length
  assert.equal(await buried(), 0)
  const again = await openJob([0, 1])
  assert.deepEqual(await finish(again, [mergedOutput(`l3-${n}`, again)]), {
    verdict: 'stale',
    staleObjectIds: [`l1-${n}`],
  })
  const last = await openJob([1])
  assert.equal((await finish(last, [mergedOutput(`l4-${n}`, last)])).verdict, 'committed')
  assert.equal(await buried(), 1)
})

test('two parts of one segment at once: each clears its own bits of the row that the other has changed', async () => {
  const n = ++made
  const tenant = `tenant-${n}`
  const services = ['a', 'b', 'c'].map((service, i) => ({ tenant, service, profiles: [n * 100 + i] }))
  await harness.metastore.commitSegment(makeSegment(`p${n}`, services))
  await harness.plan()
  const whole = jobOf((await poll('w')).jobs, `p${n}`)
  const term = { jobId: whole.jobId, epoch: whole.epoch, reason: 'large', kind: 'over-budget' }
  const failed = [{ ...term, culprits: [{ objectId: `p${n}`, index: 1 }] }]
  await harness.metastore.pollJobs({ workerId: 'w', capacity: 0, running: [], failed, released: [], waitMs: 0 })
  const parts = (await poll('w')).jobs.filter(({ sources }) => sources[0]!.objectId === `p${n}`)
  const [one, two] = parts.sort((a, b) => a.sources[0]!.datasets.length - b.sources[0]!.datasets.length)
  // The second waits for the first with a snapshot of before it.
  const first = async (tx: SqlSession) => {
    const outputs = [mergedOutput(`x${n}`, one!, tenant)]
    const request = { workerId: 'w', jobId: one!.jobId, epoch: one!.epoch, outputs }
    assert.equal((await commitCompaction(tx, request, { deletionGraceMs: 1 })).verdict, 'committed')
  }
  const answer = await raceForLocks(harness.database.sql, first, () =>
    finish(two!, [mergedOutput(`y${n}`, two!, tenant)]),
  )
  assert.equal(answer.verdict, 'committed')
  assert.deepEqual(await planned(tenant), [`x${n}/0`, `y${n}/0`, `y${n}/1`])
  const { sql } = harness.database
  const [segment] = await sql`select live::text, is_live from segments where object_id = ${`p${n}`}`
  assert.deepEqual([segment!.live, segment!.is_live], ['000', false])
  assert.equal((await sql`select 1 from tombstones where object_id = ${`p${n}`}`).length, 1)
})

test('a dataset is the first of one open job at most', async () => {
  const { n } = await prepare()
  const sql = harness.database.sql
  const [row] = await sql<
    { id: number }[]
  >`insert into jobs (state, level, size_bytes, rank) values ('parked', 1, 1, 0) returning id`
  await assert.rejects(sql`insert into job_sources values (${`a${n}`}, ${row!.id}, '{0}', '{}', '{}', '0')`, {
    code: '23505',
  })
})

for (const start of ['2147483646', '9007199254740990']) {
  test(`job ids from ${start} on work: claim, renew, fail, commit`, async () => {
    await harness.database.sql`select setval('jobs_id_seq', ${start}::bigint)`
    for (let i = 0; i < 3; i++) {
      const { n, tenant, job } = await prepare()
      assert.ok(BigInt(job.jobId) > BigInt(start))
      const running = [{ jobId: job.jobId, epoch: job.epoch }]
      assert.deepEqual(
        (await harness.metastore.pollJobs({ workerId: 'w', capacity: 0, running, failed: [], released: [], waitMs: 0 }))
          .lost,
        [],
      )
      const failed = [{ ...running[0]!, reason: 'test' }]
      await harness.metastore.pollJobs({ workerId: 'w', capacity: 0, running: [], failed, released: [], waitMs: 0 })
      await harness.endBackoff()
      const again = (await poll('w')).jobs.find(({ jobId }) => jobId === job.jobId)
      assert.ok(again !== undefined)
      assert.equal((await finish(again, [mergedOutput(`out${n}`, again, tenant)])).verdict, 'committed')
    }
  })
}
