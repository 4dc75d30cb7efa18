/** The report over a real Postgres: what stands in the tables, how often they are asked, and a database that is away. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { StoreHealth } from '#core/store/store-health.ts'
import { createSql } from '#db/client.ts'
import { selectOldTransaction } from '#db/sql/status-transactions.ts'
import { createCodec } from '#platform/codec.ts'
import { createStatusClient, mountStatus } from '#platform/connect/status-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createStatus, type StatusDeps } from '../../../apps/metastore/status.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

const HOUR_MS = 3_600_000
let harness: SqlMetastore
before(async () => {
  harness = await createSqlMetastore()
})
after(() => harness.close())

const clock = new HandClock(Date.now())

function statusOver(more: Partial<StatusDeps> = {}) {
  const deps = { sql: harness.database.sql, clock, version: '1.2.3', instanceId: 'replica-a', retentionDefaultMs: 5 }
  return createStatus({ ...deps, ...more })
}

const poll = (workerId: string, failed: { jobId: string; epoch: number; reason: string }[] = []) =>
  harness.metastore.pollJobs({ workerId, capacity: 1, running: [], failed, released: [], waitMs: 0 })

test('an idle service: nothing waits, and the first level is a row of zeros', async () => {
  const report = await statusOver().getStatus()
  assert.equal(report.database.state, 'ok')
  assert.ok(report.database.schemaVersion >= 7)
  assert.ok(Math.abs(report.nowMs - Date.now()) < 60_000)
  assert.deepEqual(report.failed, [])
  assert.deepEqual(report.concerns, [])
  assert.equal(report.oldestInputMs, 0)
  assert.deepEqual(
    report.backlog.map(({ level, waiting, queued, oldestMs }) => [level, waiting, queued, oldestMs]),
    [[1, 0, 0, 0]],
  )
})

test('segments wait, then are queued, run, and are parked with their reason', async () => {
  const { sql } = harness.database
  await harness.metastore.commitSegment(makeSegment('status/one', [{ profiles: [1] }]))
  const waiting = await statusOver().getStatus()
  assert.deepEqual([waiting.backlog[0]!.waiting, waiting.backlog[0]!.queued], [1, 0])
  assert.ok(waiting.backlog[0]!.waitingBytes > 0)
  assert.equal(waiting.oldestInputMs, waiting.backlog[0]!.oldestMs)
  assert.ok(waiting.nowMs - waiting.oldestInputMs < 60_000)

  await harness.plan()
  const queued = await statusOver().getStatus()
  assert.deepEqual([queued.backlog[0]!.waiting, queued.backlog[0]!.queued], [0, 1])
  assert.ok(queued.oldestInputMs > 0)
  assert.equal(queued.leases.find(({ name }) => name === 'planning')?.isHeld, true)
  assert.equal(queued.leases.find(({ name }) => name === 'planning')?.holder, 'test-1')

  const { jobs } = await poll('worker-1')
  await sql`update jobs set progress = 0.5 where state = 'running'`
  const running = await statusOver().getStatus()
  const [job] = running.running as [(typeof running.running)[number]]
  assert.deepEqual([job.jobId, job.holder, job.sources, job.progress], [jobs[0]!.jobId, 'worker-1', 1, 0.5])
  assert.ok(job.expiresMs > running.nowMs)
  assert.equal(running.runningTotal, 1)

  await sql`update jobs set state = 'parked', holder = null, expires_at = null, reason = 'checksum differs'`
  const parked = await statusOver().getStatus()
  assert.deepEqual(
    parked.parked.map(({ jobId, reason }) => [jobId, reason]),
    [[jobs[0]!.jobId, 'checksum differs']],
  )
  assert.deepEqual([parked.backlog[0]!.parked, parked.oldestInputMs], [1, 0])
  assert.deepEqual(
    parked.concerns.map(({ subject }) => subject),
    ['jobs'],
  )
  await sql`delete from jobs`
})

test('workers with their jobs, tombstones by age, tenants and retention on their way out, a database behind', async () => {
  const { sql } = harness.database
  await sql`insert into workers (worker_id, address, version, threads, capacity, budget_bytes, used_bytes, running, expires_at)
    values ('w1', 'http://w1', '1', 4, 4, 1000, 100, 1, now() + interval '1 minute'),
      ('w2', '', '1', 4, 4, 1000, 0, 0, now() - interval '1 second')`
  await sql`insert into jobs (state, level, size_bytes, rank, epoch, holder, expires_at)
    values ('running', 2, 10, 0, 1, 'w1', now() + interval '10 seconds')`
  await sql`insert into tombstones (object_id, due_at, failures, reason, expires_at)
    values ('later', now() + interval '10 minutes', 0, null, null), ('due', now() - interval '1 minute', 0, null, now() + interval '1 minute'),
      ('overdue', now() - interval '2 hours', 3, 'AccessDenied', null)`
  await sql`insert into tenant_deletions (id, tenant, state, dead_below, previous_live_from, remove_at, size_bytes)
    values (900, 'gone', 'removing', 2, 1, now(), 2048), (901, 'back', 'hidden', 2, 1, now() + interval '1 day', 0)`
  await sql`insert into tenant_deletion_objects values (900, 'a', 1, false, now()), (900, 'b', 1, true, null)`
  await sql`insert into retention_rules (tenant, service, retention_ms, pending_ms, pending_from)
    values ('team', 'shop', null, ${7 * 24 * HOUR_MS}, now() + interval '1 day')`
  await sql`update recovery_state set behind_since = now(), behind_reason = 'commit 5 of 9'`
  const report = await statusOver().getStatus()
  assert.deepEqual(report.failed, [])
  const tombstones = await sql`select count(*)::int as n from tombstones`
  assert.equal(report.tombstones.queued, tombstones[0]!['n'])
  const { due, overdue, deleting, refused, refusal } = report.tombstones
  assert.deepEqual([due, overdue, deleting, refused, refusal], [2, 1, 1, 1, 'AccessDenied'])
  const mine = report.workers.filter(({ workerId }) => workerId === 'w1' || workerId === 'w2')
  assert.deepEqual(
    mine.map(({ workerId, isAlive, runningJobs }) => [workerId, isAlive, runningJobs.length]),
    [
      ['w1', true, 1],
      ['w2', false, 0],
    ],
  )
  assert.deepEqual(
    report.deletions.map(({ kind, tenant, service, state, detail }) => [kind, tenant, service, state, detail]),
    [
      ['tenant', 'back', '', 'hidden', '0 of 0 objects gone, 0 B'],
      ['tenant', 'gone', '', 'removing', '1 of 2 objects gone, 2.00 KiB'],
      ['retention', 'team', 'shop', 'announced', 'from the default to 7 d; can be cancelled until then'],
    ],
  )
  assert.deepEqual(
    [report.restore.state, report.restore.words],
    [
      'behind',
      'the database is behind the bucket: commit 5 of 9; nothing is deleted until cinder fsck --repair has run',
    ],
  )
  assert.deepEqual(
    report.concerns.map(({ severity, subject }) => `${severity} ${subject}`),
    ['critical restore', 'warning deletion'],
  )
})

test('the report is the same by Connect', async () => {
  const report = await statusOver().getStatus()
  const app = new Hono()
  const options = { bodyLimitBytes: 1_024, compression: codecCompression(createCodec()), log: createSilentLog() }
  report.store = { state: 'no-writes', sinceMs: 5, lastError: 'no space left' }
  mountStatus(app, { getStatus: () => Promise.resolve(report) }, options)
  const client = createStatusClient('http://metastore', { fetch: async (url, init) => await app.request(url, init) })
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (name, inner: unknown) => (name === '$typeName' ? undefined : inner)))
  assert.deepEqual(plain(await client.getStatus()), plain(report))
})

test('a store that was seen to take no writes is in the report, and first among what a person should look at', async () => {
  const health = new StoreHealth()
  const status = statusOver({ store: () => health.condition })
  assert.deepEqual((await status.getStatus()).store, { state: 'ok', sinceMs: 0, lastError: '' })
  const nowMs = Date.now()
  const full = { kind: 'unavailable', reason: 'storage_full', message: 'put k: ENOSPC' } as const
  health.noteFailure({ isWrite: true, startedMs: nowMs, nowMs }, full)
  clock.advance(60_000)
  const { concerns } = await status.getStatus()
  assert.deepEqual([concerns[0]?.severity, concerns[0]?.subject], ['critical', 'object store'])
  assert.match(concerns[0]!.text, /^takes no writes: .*\(put k: ENOSPC\)$/)
})

test('however many look, the database is asked once a second', async () => {
  const status = statusOver()
  const [first, second] = await Promise.all([status.getStatus(), status.getStatus()])
  assert.equal(first, second)
  clock.advance(999)
  assert.equal(await status.getStatus(), first)
  clock.advance(1)
  assert.notEqual(await status.getStatus(), first)
  clock.advance(-3_600_000)
  const afterSetBack = await status.getStatus()
  assert.notEqual(afterSetBack, first)
})

test('a section that cannot be read is named, and the rest stands', async () => {
  const { sql } = harness.database
  await sql`alter table workers rename to workers_hidden`
  try {
    const report = await statusOver().getStatus()
    assert.deepEqual(
      report.failed.map(({ section }) => section),
      ['workers'],
    )
    assert.ok(report.leases.length > 0)
    assert.ok(report.concerns.some(({ subject, text }) => subject === 'workers' && /could not be read/.test(text)))
  } finally {
    await sql`alter table workers_hidden rename to workers`
  }
})

test('without a database there is still a report, which says so', async () => {
  const away = createSql({ url: 'postgres://nobody@127.0.0.1:1/none' })
  after(() => away.end({ timeout: 1 }))
  const report = await statusOver({ sql: away }).getStatus()
  assert.equal(report.database.state, 'unreachable')
  assert.deepEqual(
    report.concerns.map(({ severity, subject }) => `${severity} ${subject}`),
    ['critical database'],
  )
  assert.match(report.concerns[0]!.text, /the database does not answer/)
})

test('a database that stalls costs a person four seconds, not more', async () => {
  const stalled = (() => Promise.withResolvers().promise) as unknown as StatusDeps['sql']
  const hand = new HandClock(1_000)
  const answer = statusOver({ sql: stalled, clock: hand }).getStatus()
  hand.advance(4_000)
  assert.match((await answer).database.lastError, /no answer within 4 s/)
})

test('a report that was dear is kept four times as long as it took', async () => {
  const hand = new HandClock(1_000)
  const { sql } = harness.database
  let asked = 0
  // Each statement takes 300 ms by this clock.
  const slow = new Proxy(sql, {
    apply(target, self, words: Parameters<typeof sql>) {
      asked++
      hand.advance(300)
      return Reflect.apply(target, self, words)
    },
  })
  const status = statusOver({ sql: slow, clock: hand })
  const first = await status.getStatus()
  const statements = asked
  hand.advance(4 * 300 * statements - 1)
  assert.equal(await status.getStatus(), first)
  hand.advance(1)
  assert.notEqual(await status.getStatus(), first)
})

test('a transaction that is open for long is named with its process and its client (H32)', async () => {
  const { database } = harness
  const other = database.connect({ maxConnections: 1 })
  const [begun, ended] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()]
  const holding = other.begin('isolation level repeatable read', async (tx) => {
    await tx`set local idle_in_transaction_session_timeout = 0`
    await tx`set local application_name = 'a report'`
    await tx`select count(*) from jobs`
    const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
    begun.resolve(row!.pid)
    await ended.promise
  })
  // Should it fail, so does the test.
  holding.catch((error: unknown) => begun.reject(error))
  const pid = await begun.promise
  try {
    const young = await selectOldTransaction(database.sql, { ageMinSeconds: 3_600 })
    assert.equal(young, undefined)
    const found = await selectOldTransaction(database.sql, { ageMinSeconds: 0 })
    assert.deepEqual(
      { ...found, sinceMs: 0, user: '', state: '' },
      {
        pid,
        application: 'a report',
        user: '',
        state: '',
        sinceMs: 0,
      },
    )
    assert.ok(found!.sinceMs > 0)
    assert.match(found!.state, /^(active|idle in transaction)$/)
  } finally {
    ended.resolve()
    await holding
  }
  assert.equal((await statusOver().getStatus()).database.oldTransaction, undefined)
})
