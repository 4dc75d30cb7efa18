/** Deletions, undeletions, commits and merges of one tenant at the same time, on a real Postgres. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { makeSegment, mergedOutput } from '../../support/metastore-requests.ts'
import { createSqlTenants, type SqlTenants } from '../../support/sql-tenants.ts'

let site: SqlTenants
beforeEach(async () => {
  site = await createSqlTenants()
})
afterEach(() => site.close())

async function visible(tenant = 't'): Promise<string[]> {
  const nowMs = await site.nowMs()
  const range = { startMs: nowMs - 86_400_000, endMs: nowMs + 86_400_000 }
  const { objects } = await site.metastore.planQuery({ tenants: [tenant], services: [], ...range })
  return objects.flatMap(({ objectId, datasets }) => datasets.map((d) => `${objectId}/${d.descriptor.service}`)).sort()
}

/** Every object's count is that of its live and hidden datasets, and one without any has a tombstone. */
async function assertCounts(): Promise<void> {
  const { sql } = site.sqlMetastore.database
  const rows = await sql<{ id: string; live_datasets: number; counted: number; has_tombstone: boolean }[]>`
    select o.id, o.live_datasets, (
        select count(*) from datasets d where d.object_id = o.id and (d.is_live or d.hidden_by is not null)
      )::int + coalesce((select bit_count(s.live)::int from segments s where s.object_id = o.id), 0) as counted,
      exists (select from tombstones t where t.object_id = o.id) as has_tombstone
    from objects o`
  for (const row of rows) {
    assert.equal(row.live_datasets, row.counted, row.id)
    assert.equal(row.has_tombstone, row.live_datasets === 0, row.id)
  }
}

test('of commits around a deletion: before it is hidden, after it is visible, and an undo brings back all, once', async () => {
  const nowMs = await site.nowMs()
  let deleting: 'no' | 'asked' | 'answered' = 'no'
  const before: string[] = []
  const after: string[] = []
  const all: string[] = []
  const commitOne = async (n: number) => {
    const began = deleting
    const service = `s${n % 3}`
    const specs = [
      { tenant: 't', service, timeMs: nowMs, profiles: [n] },
      { tenant: 'u', service, timeMs: nowMs, profiles: [n + 100_000] },
    ]
    await site.metastore.commitSegment(makeSegment(`o${n}`, specs))
    const name = `o${n}/${service}`
    all.push(name)
    if (deleting === 'no') before.push(name)
    else if (began === 'answered') after.push(name)
  }
  const lane = async (lane: number) => {
    // On past the deletion's answer, however long that takes.
    for (let i = 0; i < 20 || after.length < 8; i++) await commitOne(lane * 10_000 + i)
  }
  const remove = async () => {
    await Promise.all(Array.from({ length: 6 }, (_, i) => commitOne(90_000 + i)))
    deleting = 'asked'
    await site.service.deleteTenant({ tenant: 't' })
    deleting = 'answered'
    await site.runDeletions()
  }
  await Promise.all([0, 1, 2, 3].map(lane).concat(remove()))
  assert.ok(before.length > 0)
  assert.ok(after.length > 0)
  const check = async () => {
    const seen = await visible()
    assert.deepEqual(
      before.filter((name) => seen.includes(name)),
      [],
    )
    assert.deepEqual(
      after.filter((name) => !seen.includes(name)),
      [],
    )
  }
  await check()
  await site.runDeletions()
  await check()
  await assertCounts()
  await site.service.undeleteTenant({ tenant: 't' })
  await site.runDeletions()
  assert.deepEqual(await visible(), all.sort())
  assert.deepEqual(await visible('u'), all)
  await assertCounts()
})

test('merges that race with deletions and their undoing lose nothing and double nothing', async () => {
  const nowMs = await site.nowMs()
  let attempt = 0
  const verdicts: string[] = []
  let made = 0
  /** By output and tenant: the segments whose profiles are in it. */
  const contents = new Map<string, string[]>()
  const heldBy = (objectId: string, tenant: string) => contents.get(`${objectId} ${tenant}`) ?? [objectId]
  const finish = async (job: CompactionJob) => {
    const output = mergedOutput(`m${attempt++}`, job)
    for (const tenant of ['t', 'u']) {
      const own = job.sources.filter(({ datasets }) => datasets.some(({ descriptor }) => descriptor.tenant === tenant))
      contents.set(
        `${output.objectId} ${tenant}`,
        own.flatMap(({ objectId }) => heldBy(objectId, tenant)),
      )
    }
    const { jobId, epoch } = job
    const request = { workerId: 'w', jobId, epoch, outputs: [output] }
    verdicts.push((await site.metastore.commitCompaction(request)).verdict)
  }
  const claim = async () => {
    for (let i = 0; i < 3; i++, made++) {
      const specs = ['t', 'u'].map((tenant, k) => ({ tenant, timeMs: nowMs, profiles: [made * 2 + k] }))
      await site.metastore.commitSegment(makeSegment(`o${made}`, specs))
    }
    await site.plan()
    const poll = { workerId: 'w', capacity: 4, running: [], failed: [], released: [], waitMs: 0 }
    return (await site.metastore.pollJobs(poll)).jobs
  }
  for (let round = 0; round < 8; round++) {
    const jobs = await claim()
    await Promise.all([...jobs.map(finish), site.service.deleteTenant({ tenant: 't' })])
    assert.deepEqual(await visible(), [])
    await site.runDeletions()
    assert.deepEqual(await visible(), [])
    const more = await claim()
    await Promise.all([...more.map(finish), site.service.undeleteTenant({ tenant: 't' })])
    await Promise.all([...(await claim()).map(finish), site.runDeletions()])
  }
  await Promise.all((await claim()).map(finish))
  assert.ok(verdicts.filter((verdict) => verdict === 'committed').length >= 9, String(verdicts))
  const everything = Array.from({ length: made }, (_, n) => `o${n}`).sort()
  for (const tenant of ['t', 'u']) {
    const held = (await visible(tenant)).flatMap((name) => heldBy(name.split('/')[0]!, tenant))
    assert.deepEqual(held.sort(), everything, tenant)
  }
  await assertCounts()
})

test('a second call that meets the begin of the removal is a deletion of its own: what is removed is final', async () => {
  const nowMs = await site.nowMs()
  await site.metastore.commitSegment(makeSegment('o1', [{ tenant: 't', service: 's', timeMs: nowMs, profiles: [1] }]))
  await site.service.deleteTenant({ tenant: 't' })
  await site.runDeletions()
  const { sql } = site.sqlMetastore.database
  // As moveDeletion does it.
  const again = await raceForLocks(
    sql,
    async (tx) => {
      await tx`update tenant_deletions set state = 'removing', removing_at = now() where tenant = 't'`
      await tx`update tenant_incarnations set is_final = true where tenant = 't'`
    },
    () => site.service.deleteTenant({ tenant: 't' }),
  )
  const { deletions } = await site.service.tenantDeletions({ tenant: 't', limit: 0 })
  assert.deepEqual(
    deletions.map(({ id, state }) => ({ isAgain: id === again.id, state })),
    [
      { isAgain: true, state: 'hiding' },
      { isAgain: false, state: 'removing' },
    ],
  )
})
