/** Planning and cleaning as duties: tails without traffic, polls that plan, takeovers, zombies, batches. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { insertJobs } from '#db/sql/insert-jobs.ts'
import { acquireLease, releaseLease } from '#db/sql/leases.ts'
import { selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { createMetastore } from '../../../apps/metastore/app.ts'
import { HeldLease } from '../../../apps/metastore/held-lease.ts'
import { untilBlocked } from '../../support/blocked-statement.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { idle } from '../../support/manual-clock.ts'
import { makeSegment, profileId } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

let harness: SqlMetastore
let made = 0
before(async () => {
  harness = await createSqlMetastore()
})
after(() => harness.close())

const commit = () => harness.metastore.commitSegment(makeSegment(`d${++made}`, [{ profiles: [made] }]))
const jobCount = async () => (await harness.database.sql`select 1 from jobs where state = 'queued'`).length
const replica = (instanceId: string, overrides = {}) => {
  const { sql } = harness.database
  const settings = { ...harness.settings, instanceId, ...overrides }
  return createMetastore({ sql, clock: createClock(), log: createSilentLog(), settings })
}
/** Looks again after every turn of the loop, until somebody sleeps on the clock or what was to sleep has ended. */
const untilSleeping = async (clock: HandClock, sleeper: Promise<unknown>) => {
  const state = { hasEnded: false }
  void sleeper.finally(() => (state.hasEnded = true))
  while (clock.sleeperCount === 0 && !state.hasEnded) await idle()
}
const freeLease = () => harness.database.sql`update leases set expires_at = now() where name = 'planning'`

test('the last segment becomes a job by the timer, although nothing more arrives and nobody polls (H45)', async () => {
  await commit()
  await freeLease()
  const timed = replica('timed', { planIntervalMs: 5, planIdleIntervalMs: 5 })
  const { promise, resolve } = Promise.withResolvers<void>()
  const { unlisten } = await harness.database.sql.listen('cinderblock_jobs', () => resolve())
  await timed.start()
  await promise
  await unlisten()
  assert.equal(await jobCount(), 1)
  await timed.stop()
})

test('a worker that waits is answered by a job made on another replica', async () => {
  await harness.database.sql`update jobs set state = 'done', finished_at = now()`
  const other = replica('other')
  await other.start()
  const waiting = other.pollJobs({ workerId: 'w', capacity: 1, running: [], failed: [], released: [], waitMs: 30_000 })
  await commit()
  await freeLease()
  await harness.plan()
  const { jobs } = await waiting
  assert.deepEqual(
    jobs.map((job) => job.sources.map((source) => source.objectId)),
    [[`d${made}`]],
  )
  await other.stop()
})

test('stop answers a waiting poll at once, gives the lease back, and may come twice or before start', async () => {
  const stopped = replica('stopped')
  await freeLease()
  await stopped.planner.pass()
  const waiting = stopped.pollJobs({
    workerId: 'w',
    capacity: 1,
    running: [],
    failed: [],
    released: [],
    waitMs: 30_000,
  })
  await Promise.all([stopped.stop(), stopped.stop()])
  assert.deepEqual(await waiting, { jobs: [], lost: [] })
  const next = await acquireLease(harness.database.sql, {
    name: 'planning',
    holder: 'next',
    epoch: undefined,
    ttlMs: 60_000,
  })
  assert.notEqual(next, undefined)
  await releaseLease(harness.database.sql, next!)
})

test('two planners at once: segments are in one job each', async () => {
  for (let round = 0; round < 20; round++) {
    await commit()
    await harness.database.sql`delete from leases`
    await Promise.all([replica(`a${round}`).planner.pass(), replica(`b${round}`).planner.pass()])
    const rows = await harness.database.sql`select 1 from job_sources where object_id = ${`d${made}`}`
    assert.equal(rows.length, 1)
  }
})

test('a planner that was frozen past its lease writes nothing (H29)', async () => {
  const { sql } = harness.database
  await commit()
  await sql`delete from leases`
  const zombie = await acquireLease(sql, { name: 'planning', holder: 'zombie', epoch: undefined, ttlMs: 60_000 })
  const { waiting, nowMs } = await selectWaitingSegments(sql, 100)
  const jobs = planSegmentJobs(waiting, harness.settings.segmentPolicy, nowMs)
  assert.equal(jobs.length, 1)
  await freeLease()
  const heir = await acquireLease(sql, { name: 'planning', holder: 'heir', epoch: undefined, ttlMs: 60_000 })
  assert.ok(heir!.epoch > zombie!.epoch)
  const before = await jobCount()
  assert.equal(await insertJobs(sql, jobs, { term: zombie!, ageingBytesPerSecond: 1 }), 0)
  assert.equal(await jobCount(), before)
  assert.equal(await releaseLease(sql, zombie!), false)
  assert.equal(await insertJobs(sql, jobs, { term: heir!, ageingBytesPerSecond: 1 }), 1)
  assert.equal(await insertJobs(sql, jobs, { term: heir!, ageingBytesPerSecond: 1 }), 0, 'they are in a job')
})

test('a lease: one holder, the exact term renews, an epoch is never given twice', async () => {
  const { sql } = harness.database
  const request = { name: 'x', ttlMs: 60_000, epoch: undefined }
  const terms = await Promise.all(['a', 'b', 'c', 'd'].map((holder) => acquireLease(sql, { ...request, holder })))
  const held = terms.filter((term) => term !== undefined)
  assert.equal(held.length, 1)
  const term = held[0]!
  assert.deepEqual(await acquireLease(sql, { ...request, ...term }), term)
  assert.equal(await acquireLease(sql, { ...request, holder: term.holder }), undefined, 'the holder without its epoch')
  assert.equal(await releaseLease(sql, { ...term, epoch: term.epoch + 1 }), false)
  assert.equal(await releaseLease(sql, term), true)
  assert.equal((await acquireLease(sql, { ...request, holder: 'e' }))!.epoch, term.epoch + 1)
})

test('a held lease is trusted for half its time, counted from before the request', async () => {
  const { sql } = harness.database
  const clock = new HandClock(1_000)
  let asked = 0
  const counted = new Proxy(sql, { apply: (target, self, args) => (asked++, Reflect.apply(target, self, args)) })
  const lease = new HeldLease({ sql: counted, clock, name: 'y', holder: 'me', ttlMs: 60_000 })
  const term = await lease.hold()
  clock.advance(29_999)
  assert.deepEqual(await lease.hold(), term)
  assert.equal(asked, 1)
  clock.advance(1)
  assert.deepEqual(await lease.hold(), term)
  assert.equal(asked, 2)
  await lease.release()
  assert.equal((await lease.hold())!.epoch, term!.epoch + 1)
})

test('a clock that is set back makes no lease trusted longer, however little it went back', async () => {
  const clock = new HandClock(3_600_000)
  let asked = 0
  const { sql } = harness.database
  const counted = new Proxy(sql, { apply: (target, self, args) => (asked++, Reflect.apply(target, self, args)) })
  const lease = new HeldLease({ sql: counted, clock, name: 'z', holder: 'me', ttlMs: 60_000 })
  const term = await lease.hold()
  clock.advance(20_000)
  await lease.hold()
  assert.equal(asked, 1)
  clock.advance(-1_000)
  assert.deepEqual(await lease.hold(), term)
  assert.equal(asked, 2)
  clock.advance(-3_600_000)
  assert.deepEqual(await lease.hold(), term)
  assert.equal(asked, 3)
  assert.deepEqual(await lease.hold(), term)
  assert.equal(asked, 3, 'trusted from there on')
})

test('small jobs first, but an old large one is not overtaken for ever; a parked one has its reason', async () => {
  const { sql } = harness.database
  await sql`delete from job_sources`
  await sql`delete from jobs`
  const mib = 1_048_576
  await sql`insert into jobs (state, level, size_bytes, rank) select 'queued', 1, size, extract(epoch from now()) - age + size / ${mib}::float8
    from (values (30 * ${mib}, 0), (2 * ${mib}, 0), (31 * ${mib}, 60)) as j(size, age)`
  const sizes: number[] = []
  for (let i = 0; i < 3; i++) {
    const { jobs } = await harness.metastore.pollJobs({
      workerId: 'w',
      capacity: 1,
      running: [],
      failed: [],
      released: [],
      waitMs: 0,
    })
    const [row] = await sql`select size_bytes / ${mib} as mib from jobs where id = ${jobs[0]!.jobId}::bigint`
    sizes.push(row!.mib)
  }
  assert.deepEqual(sizes, [31, 2, 30])
  for (let failure = 1; failure <= harness.failuresMax; failure++) {
    await harness.expireJobLeases()
    const rows =
      await sql`select state, failures, reason, extract(epoch from not_before - now())::float8 as wait from jobs order by id`
    const isLast = failure === harness.failuresMax
    for (const row of rows) {
      assert.equal(row.state, isLast ? 'parked' : 'queued')
      assert.equal(row.failures, failure)
      assert.equal(row.reason, 'lease expired: no word from w')
      if (!isLast) assert.ok(row.wait > 2 ** (failure - 1) - 1 && row.wait <= 2 ** (failure - 1))
    }
    await harness.endBackoff()
    await harness.metastore.pollJobs({ workerId: 'w', capacity: 3, running: [], failed: [], released: [], waitMs: 0 })
  }
})

test('the cleaner removes what is old, in batches, and nothing else', async () => {
  const { sql } = harness.database
  await sql`delete from profile_ids`
  await sql`insert into profile_ids (id, created_at)
    select decode(md5(n::text), 'hex'), now() - case when n <= 12000 then interval '16 minutes' else interval '14 minutes' end
    from generate_series(1, 12003) as n`
  await sql`delete from jobs`
  await sql`insert into jobs (state, level, size_bytes, rank, finished_at) values
    ('done', 1, 1, 1, now() - interval '61 minutes'), ('done', 1, 1, 1, now()), ('parked', 1, 1, 1, now() - interval '9 days')`
  await sql`insert into object_ids (id) values ('old'), ('new'), ('alive')`
  await sql`insert into objects (id, level, size_bytes, live_datasets, deleted_at) values
    ('old', 0, 1, 0, now() - interval '8 days'), ('new', 0, 1, 0, now() - interval '6 days'), ('alive', 0, 1, 1, null)`
  assert.deepEqual(await harness.metastore.cleaner.pass(), { profileIds: 12_000, jobs: 1, objects: 1 })
  assert.equal((await sql`select 1 from profile_ids`).length, 3)
  const left = await sql<{ id: string }[]>`select id from object_ids where id in ('old', 'new', 'alive') order by id`
  assert.deepEqual(
    left.map((row) => row.id),
    ['alive', 'new'],
  )
  assert.deepEqual(await harness.metastore.cleaner.pass(), { profileIds: 0, jobs: 0, objects: 0 })
})

test('a commit that the database does not answer in time is unknown, and its repeat finds the verdict', async () => {
  const { sql } = harness.database
  const clock = new HandClock()
  const impatient = createMetastore({ sql, clock, log: createSilentLog(), settings: harness.settings })
  const request = makeSegment('slow', [{ profiles: [70_000] }])
  await sql.begin(async (tx) => {
    // The commit holds its object's id by now, and waits for this profile's.
    await tx`insert into profile_ids (id) values (${profileId(70_000)})`
    const late = impatient.commitSegment(request)
    late.catch(() => undefined)
    await untilBlocked(harness.database.connect({ maxConnections: 1 }))
    clock.advance(harness.settings.commitDeadlineMs)
    await assert.rejects(late, { kind: 'unavailable', outcome: 'unknown' })
  })
  const repeat = await harness.metastore.commitSegment(request)
  assert.deepEqual(repeat, { verdict: 'replayed', skips: [{ index: 0, positions: [0] }] })
})

test('a clock that is set back delays neither planning nor planning upwards, and ends a poll that waits', async () => {
  const { sql } = harness.database
  const clock = new HandClock(7_200_000)
  await freeLease()
  await sql`delete from jobs`
  const settings = {
    ...harness.settings,
    // Nothing here is large or old enough for a job: the poll below waits.
    segmentPolicy: { ...harness.settings.segmentPolicy, triggerAgeMs: MS_PER_DAY, triggerCount: 1_000 },
    planIntervalMs: 500,
    planIdleIntervalMs: 2_000,
    planWindowsIntervalMs: 10_000,
  }
  const statements: string[] = []
  const watched = new Proxy(sql, {
    apply: (target, self, args: [TemplateStringsArray]) => {
      if (args[0].raw !== undefined) statements.push(args[0].join('?'))
      return Reflect.apply(target, self, args)
    },
  })
  const one = createMetastore({
    sql: watched,
    clock,
    log: createSilentLog(),
    settings: { ...settings, instanceId: 'back' },
  })
  const passes = async () => {
    statements.length = 0
    await one.planner.tick()
    const count = (words: string) => statements.filter((text) => text.includes(words)).length
    return [count('w.n > 0'), count('with recursive cell')]
  }
  assert.deepEqual(await passes(), [1, 0])
  assert.deepEqual(await passes(), [0, 0])
  clock.advance(-3_600_000)
  assert.deepEqual(await passes(), [1, 1])
  assert.deepEqual(await passes(), [0, 0])
  const waiting = one.pollJobs({ workerId: 'none', capacity: 1, running: [], failed: [], released: [], waitMs: 30_000 })
  await untilSleeping(clock, waiting)
  clock.advance(-1_800_000)
  clock.wakeAll()
  assert.deepEqual(await waiting, { jobs: [], lost: [] })
  await one.planner.release()
})

test('jobs of dead workers are queued again at once, by the beginning of their ids, without a failure', async () => {
  const { sql } = harness.database
  await sql`delete from job_sources`
  await sql`delete from jobs`
  await sql`insert into jobs (state, level, size_bytes, rank, epoch, holder, expires_at, failures) values
    ('running', 1, 1, 1, 4, 'all-in-one-a', now() - interval '1 hour', 2), ('running', 1, 1, 2, 5, 'all-in-one-b', now(), 0),
    ('running', 1, 1, 3, 6, 'worker-1', now() + interval '1 minute', 0), ('parked', 1, 1, 4, 7, null, null, 3),
    ('running', 1, 1, 5, 8, 'allXin-one-c', now() + interval '1 minute', 0)`
  await assert.rejects(harness.metastore.releaseHolders(''))
  assert.equal(await harness.metastore.releaseHolders('all-in-one-'), 2)
  assert.equal(await harness.metastore.releaseHolders('all-in-one-'), 0)
  const rows = await sql<
    { text: string }[]
  >`select concat_ws(' ', rank, state, epoch, holder, failures) as text from jobs
    where not_before <= now() order by rank`
  assert.deepEqual(
    rows.map(({ text }) => text),
    ['1 queued 4 2', '2 queued 5 0', '3 running 6 worker-1 0', '4 parked 7 3', '5 running 8 allXin-one-c 0'],
  )
})

test('a metastore that has stopped takes reports, and gives out no job and plans nothing', async () => {
  const { sql } = harness.database
  await sql`delete from jobs`
  await sql`insert into jobs (state, level, size_bytes, rank) values ('queued', 1, 1, 1)`
  const stopped = replica('stopped-2')
  const poll = { workerId: 'w', capacity: 1, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await stopped.pollJobs(poll)
  const { jobId, epoch } = jobs[0]!
  await stopped.stop()
  await freeLease()
  assert.deepEqual(await stopped.pollJobs({ ...poll, released: [{ jobId, epoch }] }), { jobs: [], lost: [] })
  const [job] = await sql`select state, failures from jobs where id = ${jobId}::bigint`
  assert.deepEqual({ ...job }, { state: 'queued', failures: 0 })
  const leases = await sql`select 1 from leases where name = 'planning' and expires_at > now()`
  assert.equal(leases.length, 0, 'the next process can plan at once')
})
