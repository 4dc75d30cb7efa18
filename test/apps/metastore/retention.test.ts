/** What only Postgres has: partitions that are dropped, the default from the settings, leases, tenant objects in the bucket. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { applyDefaultRetention } from '../../../apps/metastore/tenant-service.ts'
import { decodeTenantObject, isDeadIn, tenantObjectKey } from '#core/retention/tenant-object.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import { floorTo, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import type { Sql } from '#db/client.ts'
import { datasetPartitions, ensurePartition, listPartitions, segmentPartitions } from '#db/partitions.ts'
import { CUT_HOUR_HASH, CUT_HOUR_PAIRS } from '#db/sql/label-sets.ts'
import { unpackDueSegments } from '#db/sql/unpack-segments.ts'
import { mergedOutput, makeSegment } from '../../support/metastore-requests.ts'
import { createSqlTenants, type SqlTenants } from '../../support/sql-tenants.ts'

const DAY = MS_PER_DAY
const { signal } = new AbortController()

let site: SqlTenants
let sql: Sql
beforeEach(async () => {
  site = await createSqlTenants({ planWindowsIntervalMs: 0 })
  sql = site.sqlMetastore.database.sql
})
afterEach(() => site.close())

async function planned(tenant: string): Promise<string[]> {
  const nowMs = await site.nowMs()
  const range = { startMs: nowMs - 400 * DAY, endMs: nowMs + DAY }
  const { objects } = await site.metastore.planQuery({ tenants: [tenant], services: [], ...range })
  return objects.flatMap((object) =>
    object.datasets.map((d) => `${object.objectId}/${d.descriptor.index}/${object.level}`),
  )
}

/** As if the segment had come before. */
async function arrivedBefore(objectId: string, ageMs: number): Promise<void> {
  const earlier = sql`now() - ${ageMs}::float8 * interval '1 millisecond'`
  await sql`update objects set created_at = ${earlier} where id = ${objectId}`
  await sql`update segments set created_at = ${earlier} where object_id = ${objectId}`
}

/** One a tenant, by its name. */
async function windowJobs(): Promise<CompactionJob[]> {
  await site.plan()
  const poll = { workerId: 'w', capacity: 9, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await site.metastore.pollJobs(poll)
  const tenantOf = (job: CompactionJob) => job.sources[0]!.datasets[0]!.descriptor.tenant
  return [...jobs].sort((a, b) => (tenantOf(a) < tenantOf(b) ? -1 : 1))
}

test('a partition of segments is dropped when due; what is live in it points into the same object and is merged (H31)', async () => {
  const nowMs = await site.nowMs()
  for (const partition of segmentPartitions(nowMs - DAY)) await ensurePartition(sql, partition)
  const timeMs = floorTo(nowMs, MS_PER_HOUR) - 2 * DAY
  for (const id of ['a', 'b']) {
    await site.metastore.commitSegment(
      makeSegment(id, [
        { tenant: 't', service: 's', timeMs, profiles: [id.charCodeAt(0), 7] },
        { tenant: 'u', timeMs, profiles: [id.charCodeAt(0) + 100] },
      ]),
    )
    await arrivedBefore(id, DAY)
  }
  const before = await site.metastore.planQuery({ tenants: ['t', 'u'], services: [], startMs: 0, endMs: nowMs })
  await site.runRetention()
  assert.deepEqual(
    (await listPartitions(sql, 'segments')).map(({ toMs }) => toMs > nowMs - MS_PER_HOUR),
    [],
  )
  const after = await site.metastore.planQuery({ tenants: ['t', 'u'], services: [], startMs: 0, endMs: nowMs })
  assert.deepEqual(after, before, 'every descriptor and skip list')
  const jobs = await windowJobs()
  const plain = jobs.map(({ sources }) =>
    sources.map(({ objectId, level, datasets }) => [objectId, level, datasets.map(({ skip }) => skip)]),
  )
  assert.deepEqual(plain, [
    [
      ['a', 0, [[]]],
      ['b', 0, [[1]]],
    ],
    [
      ['a', 0, [[]]],
      ['b', 0, [[]]],
    ],
  ])
  for (const [i, job] of jobs.entries()) {
    const { jobId, epoch } = job
    const outputs = [mergedOutput(`out${i}`, job)]
    assert.equal((await site.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })).verdict, 'committed')
  }
  assert.deepEqual([await planned('t'), await planned('u')], [['out0/0/5'], ['out1/0/5']])
  await site.endGrace()
  const { tombstones } = await site.metastore.claimTombstones({ holder: 'd', limit: 9 })
  assert.deepEqual(
    tombstones.map(({ objectId }) => objectId),
    ['a', 'b'],
  )
})

test('a partition that an open job still needs stays; one whose job is parked does not', async () => {
  const nowMs = await site.nowMs()
  await site.metastore.commitSegment(makeSegment('a', [{ tenant: 't', timeMs: nowMs, profiles: [1] }]))
  await site.plan()
  const held = async () => {
    const [row] = await sql<{ is_live: boolean }[]>`select is_live from segments where object_id = 'a'`
    return row?.is_live ?? false
  }
  const unpack = async () =>
    unpackDueSegments(sql, { term: await site.term('retention'), batchObjects: 9 }, nowMs + DAY)
  assert.equal(await unpack(), 0)
  assert.ok(await held())
  await sql`update jobs set state = 'parked'`
  assert.equal(await unpack(), 1)
  assert.ok(!(await held()))
  assert.deepEqual(await planned('t'), ['a/0/0'])
})

test('an empty day of datasets is dropped once nothing of it is left, a day with data stays (H31, H64)', async () => {
  const nowMs = await site.nowMs()
  const days = [40, 20].map((age) => floorTo(nowMs - age * DAY, DAY))
  for (const partition of datasetPartitions(days, nowMs)) await ensurePartition(sql, partition)
  await site.metastore.commitSegment(
    makeSegment(
      'a',
      days.map((day, i) => ({ tenant: `t${i}`, timeMs: day + 1_000, profiles: [i] })),
    ),
  )
  await site.service.setRetention({ tenant: 't0', service: '', retentionMs: 31 * DAY, delayMs: 0 })
  await site.service.setRetention({ tenant: 't1', service: '', retentionMs: 19 * DAY, delayMs: 0 })
  await site.runRetention()
  assert.deepEqual([await planned('t0'), await planned('t1')], [[], []])
  assert.equal((await listPartitions(sql, 'datasets')).length, 2, 'their object is not deleted yet')
  await site.endGrace()
  const { tombstones } = await site.metastore.claimTombstones({ holder: 'd', limit: 9 })
  assert.deepEqual(
    tombstones.map(({ objectId }) => objectId),
    ['a'],
  )
  await site.metastore.confirmDeleted({ holder: 'd', deleted: tombstones })
  const { partitionsDropped } = await site.tenants.retentionPass.pass(await site.term('retention'), signal)
  assert.equal(partitionsDropped, 2)
  assert.equal((await sql`select 1 from label_sets`).length, 0)
})

test('that label sets were left out of an hour is known for as long as one of them may be asked for', async () => {
  const windowStartMs = floorTo((await site.nowMs()) - 20 * DAY, MS_PER_HOUR)
  const rowsOf = async () => (await sql`select pairs from label_sets order by pairs`).map((row) => row['pairs'])
  const [kept, gone] = ['kept', 'gone'].map((service) => ['pod', 'p', 'service_name', service])
  for (const pairs of [CUT_HOUR_PAIRS, kept!, gone!]) {
    await sql`insert into label_sets (tenant, window_start_ms, hash, pairs)
      values ('t', ${windowStartMs}, md5(${pairs}::text)::uuid, ${pairs})`
  }
  await site.service.setRetention({ tenant: 't', service: '', retentionMs: 10 * DAY, delayMs: 0 })
  await site.service.setRetention({ tenant: 't', service: 'kept', retentionMs: 30 * DAY, delayMs: 0 })
  await site.runRetention()
  assert.deepEqual(await rowsOf(), [CUT_HOUR_PAIRS, kept])
  await site.service.setRetention({ tenant: 't', service: 'kept', retentionMs: 15 * DAY, delayMs: 0 })
  await site.runRetention()
  assert.deepEqual(await rowsOf(), [])
})

test('a rule of one service alone takes away no word of what the others, which are kept for ever, were left out', async () => {
  const windowStartMs = floorTo((await site.nowMs()) - 20 * DAY, MS_PER_HOUR)
  await sql`insert into label_sets (tenant, window_start_ms, hash, pairs)
    values ('t', ${windowStartMs}, ${CUT_HOUR_HASH}, ${CUT_HOUR_PAIRS})`
  await site.service.setRetention({ tenant: 't', service: 'short', retentionMs: 10 * DAY, delayMs: 0 })
  await site.runRetention()
  assert.equal((await sql`select from label_sets`).length, 1)
  await site.service.setRetention({ tenant: 't', service: '', retentionMs: 15 * DAY, delayMs: 0 })
  await site.runRetention()
  assert.equal((await sql`select from label_sets`).length, 0)
})

test('the default: at once on an empty database, announced where data was kept for ever (H62)', async () => {
  const delay = { delayMs: DAY }
  assert.equal((await applyDefaultRetention(sql, 31 * DAY, delay)).retentionMs, 31 * DAY)
  await site.metastore.commitSegment(makeSegment('a', [{ profiles: [1], timeMs: (await site.nowMs()) - 10 * DAY }]))
  const shorter = await applyDefaultRetention(sql, 7 * DAY, delay)
  assert.deepEqual([shorter.retentionMs, shorter.pendingRetentionMs], [31 * DAY, 7 * DAY])
  await site.runRetention()
  assert.equal((await planned('anonymous')).length, 1)
  const again = await applyDefaultRetention(sql, 7 * DAY, delay)
  assert.equal(again.pendingFromMs, shorter.pendingFromMs, 'a restart does not start the delay anew')
  assert.equal((await applyDefaultRetention(sql, 31 * DAY, delay)).pendingFromMs, 0, 'back to what was')
  await sql`delete from retention_rules`
  const first = await applyDefaultRetention(sql, 31 * DAY, delay)
  assert.deepEqual([first.retentionMs, first.pendingRetentionMs], [0, 31 * DAY])
})

test('a duty whose lease has moved writes nothing (H29)', async () => {
  const nowMs = await site.nowMs()
  await site.metastore.commitSegment(makeSegment('a', [{ tenant: 't', timeMs: nowMs - 10 * DAY, profiles: [1] }]))
  await site.service.setRetention({ tenant: 't', service: '', retentionMs: DAY, delayMs: 0 })
  const term = await site.term('retention')
  const zombie = { ...term, epoch: term.epoch - 1 }
  const nothing = { datasets: 0, bytes: 0, objects: 0, labelSets: 0, partitionsDropped: 0 }
  assert.deepEqual(await site.tenants.retentionPass.pass(zombie, signal), nothing)
  await site.service.deleteTenant({ tenant: 't' })
  const deletion = await site.term('tenant deletion')
  await site.tenants.deletionPass.pass({ ...deletion, epoch: deletion.epoch + 1 }, signal)
  const { deletions } = await site.service.tenantDeletions({ tenant: 't', limit: 1 })
  assert.deepEqual([deletions[0]!.state, deletions[0]!.datasets], ['hiding', 0])
  const [row] = await sql<{ is_live: boolean }[]>`select is_live from segments`
  assert.ok(row!.is_live)
})

test('the bucket says which data is dead, before anything is taken out of the index, and no more once restored', async () => {
  const nowMs = await site.nowMs()
  const tail = new Uint8Array(10)
  const [old, ahead, fresh] = [
    makeUlid(nowMs - 600_000, tail),
    makeUlid(nowMs + 600_000, tail),
    makeUlid(nowMs + 700_000, tail),
  ]
  const push = (id: string, profile: number) =>
    site.metastore.commitSegment(makeSegment(id, [{ tenant: 't.1', timeMs: nowMs, profiles: [profile] }]))
  await push(old, 1)
  await push(ahead, 2)
  const key = tenantObjectKey('t.1')
  const read = async () => decodeTenantObject(await site.store.get(key), key)
  await site.service.deleteTenant({ tenant: 't.1' })
  await site.runDeletions()
  await push(fresh, 3)
  const death = await read()
  assert.deepEqual(
    [old, ahead, fresh].map((id) => isDeadIn(death, id)),
    [true, true, false],
  )
  await site.service.undeleteTenant({ tenant: 't.1' })
  await site.runDeletions()
  assert.equal((await read()).diedMs, undefined)
})

test('a bucket that cannot be written to holds up the removal, not the hiding', async () => {
  await site.metastore.commitSegment(makeSegment('a', [{ tenant: 't', timeMs: await site.nowMs(), profiles: [1] }]))
  await site.service.deleteTenant({ tenant: 't', delayMs: 0 })
  site.store.put = () => Promise.reject(new Error('no'))
  await assert.rejects(site.runDeletions(), /no/)
  assert.deepEqual(await planned('t'), [])
  const { deletions } = await site.service.tenantDeletions({ tenant: 't', limit: 1 })
  assert.equal(deletions[0]!.state, 'hiding')
})

test('a shared object that nobody merges is written anew without the deleted tenant, and the receipt is complete (H65)', async () => {
  const timeMs = await site.nowMs()
  await site.metastore.commitSegment(
    makeSegment('a', [
      { tenant: 'gone', timeMs, profiles: [1] },
      { tenant: 'kept', timeMs, profiles: [2, 2] },
    ]),
  )
  await site.service.deleteTenant({ tenant: 'gone', delayMs: 0 })
  for (let pass = 0; pass < 4; pass++) await site.runDeletions()
  const poll = { workerId: 'w', capacity: 9, running: [], failed: [], released: [], waitMs: 0 }
  assert.deepEqual((await site.metastore.pollJobs(poll)).jobs, [], 'not before the time of ordinary merges')
  await sql`update tenant_deletions set removing_at = now() - interval '2 hours'`
  await site.runDeletions()
  await site.runDeletions()
  const { jobs } = await site.metastore.pollJobs(poll)
  assert.equal(jobs.length, 1)
  const [source] = jobs[0]!.sources
  assert.deepEqual(
    source!.datasets.map(({ descriptor, skip }) => [descriptor.tenant, skip]),
    [['kept', [1]]],
  )
  const { jobId, epoch } = jobs[0]!
  const outputs = [mergedOutput('b', jobs[0]!)]
  assert.equal((await site.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })).verdict, 'committed')
  await site.endGrace()
  const { tombstones } = await site.metastore.claimTombstones({ holder: 'd', limit: 9 })
  assert.deepEqual(
    tombstones.map(({ objectId }) => objectId),
    ['a'],
  )
  await site.metastore.confirmDeleted({ holder: 'd', deleted: tombstones })
  await site.runDeletions()
  const { deletions } = await site.service.tenantDeletions({ tenant: 'gone', limit: 1 })
  assert.deepEqual([deletions[0]!.state, deletions[0]!.deletedObjects], ['done', 1])
  assert.deepEqual([await planned('gone'), await planned('kept')], [[], ['b/0/1']])
})

test('undoing a second deletion leaves the first as it was: its data stays dead in the bucket too', async () => {
  const nowMs = await site.nowMs()
  const [old, young] = [7_200_000, 1_800_000].map((age) => makeUlid(nowMs - age, new Uint8Array(10)))
  const push = (id: string, profile: number) =>
    site.metastore.commitSegment(makeSegment(id, [{ tenant: 't', timeMs: nowMs, profiles: [profile] }]))
  await push(old!, 1)
  await site.service.deleteTenant({ tenant: 't', delayMs: 0 })
  for (let pass = 0; pass < 3; pass++) await site.runDeletions()
  // An hour ago: what was begun since is of the next incarnation.
  await sql`update tenant_incarnations set died_at = now() - interval '1 hour'`
  await push(young!, 2)
  await site.service.deleteTenant({ tenant: 't' })
  await site.runDeletions()
  const key = tenantObjectKey('t')
  const deadOf = async () => {
    const death = decodeTenantObject(await site.store.get(key), key)
    return [old, young].map((id) => isDeadIn(death, id!))
  }
  assert.deepEqual(await deadOf(), [true, true])
  await site.service.undeleteTenant({ tenant: 't' })
  await site.runDeletions()
  assert.deepEqual(await deadOf(), [true, false])
  assert.deepEqual(await planned('t'), [`${young}/0/0`])
})
