/** Restores are noticed by the counter in the bucket, and what a database that is behind may not do. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { COUNTER_KEY, decodeCounter, encodeCounter } from '#core/recovery/commit-counter.ts'
import { tryCounterLock } from '#db/sql/commit-counter.ts'
import { withRules } from '#db/sql/retention-rules.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withOverrides } from '../../support/overrides.ts'
import { createRecoveryHarness } from '../../support/recovery.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

async function openSite(store: ObjectStore) {
  const harness = await createSqlMetastore()
  after(() => harness.close())
  const recovery = createRecoveryHarness(harness.database.sql, store)
  const metastore = recovery.guard.wrap(harness.metastore)
  return { ...harness, recovery, guard: recovery.guard, guarded: metastore, sql: harness.database.sql }
}

const recordOf = async (store: ObjectStore) => decodeCounter(await store.get(COUNTER_KEY))

/** A tombstone that is due. */
async function condemn({ metastore, endGrace }: Awaited<ReturnType<typeof openSite>>, n: number): Promise<void> {
  await metastore.commitSegment(makeSegment(`a${n}`, [{ tenant: `t${n}`, profiles: [n] }]))
  await metastore.commitSegment(makeSegment(`b${n}`, [{ tenant: `t${n}`, profiles: [n] }]))
  await endGrace()
}

test('the counter is in the bucket before a deletion is given out, and only then', async () => {
  const store = createMemoryStore()
  const site = await openSite(store)
  assert.equal(await site.guard.check(), 'level')
  const { counter, server } = await recordOf(store)
  assert.match(server, /^\d+\/[0-9A-F]{8}$/)
  const claim = () => site.guarded.claimTombstones({ holder: 'w', limit: 10 })
  assert.deepEqual(await claim(), { tombstones: [] })
  assert.equal((await recordOf(store)).counter, counter, 'nothing was due')
  await condemn(site, 1)
  const { tombstones } = await claim()
  assert.deepEqual(
    tombstones.map(({ objectId }) => objectId),
    ['b1'],
  )
  assert.equal((await recordOf(store)).counter, counter + 1)
})

test('a bucket that cannot be written or read lets nothing be deleted; it is tried again', async () => {
  const inner = createMemoryStore()
  let failing: 'get' | 'put' | undefined
  const store = withOverrides<ObjectStore>(inner, {
    get: (key: string) => (failing === 'get' ? Promise.reject(new Error('away')) : inner.get(key)),
    put: (key: string, body: Uint8Array) =>
      failing === 'put' ? Promise.reject(new Error('away')) : inner.put(key, body),
  })
  const site = await openSite(store)
  failing = 'get'
  await site.guard.checkFirst()
  assert.equal((await site.recovery.service.recoveryStatus()).state, 'unchecked')
  await condemn(site, 2)
  for (const fault of ['get', 'put'] as const) {
    failing = fault
    assert.deepEqual(await site.guarded.claimTombstones({ holder: 'w', limit: 10 }), { tombstones: [] }, fault)
    await site.endGrace()
  }
  failing = undefined
  assert.equal((await site.guarded.claimTombstones({ holder: 'w', limit: 10 })).tombstones.length, 1)
  assert.equal((await site.recovery.service.recoveryStatus()).state, 'normal')
})

test('a record that is damaged is no missing record', async () => {
  const store = createMemoryStore()
  const site = await openSite(store)
  await store.put(COUNTER_KEY, new TextEncoder().encode('{'))
  await assert.rejects(site.guard.check(), /is no JSON/)
  await condemn(site, 3)
  assert.deepEqual(await site.guarded.claimTombstones({ holder: 'w', limit: 10 }), { tombstones: [] })
})

test('of two replicas at once one compares, and both count on', async () => {
  const store = createMemoryStore()
  const site = await openSite(store)
  const other = createRecoveryHarness(site.sql, store)
  const verdicts = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? site : other).guard.check()))
  assert.ok(verdicts.includes('level'))
  assert.ok(verdicts.every((verdict) => verdict !== 'behind'))
  const [row] = await site.sql<{ counter: number }[]>`select counter from recovery_state`
  assert.equal((await recordOf(store)).counter, row!.counter)
  // One replica notices: the other knows by the database.
  await store.put(COUNTER_KEY, encodeCounter({ counter: 900, server: '', jobId: 5 }))
  assert.equal(await site.guard.check(), 'behind')
  assert.equal(await other.guard.isBehind(), true)
  assert.equal(await other.guard.check(), 'behind')
})

test('who ends it waits for a comparison that is under way, and does not pass it over', async () => {
  const store = createMemoryStore()
  const site = await openSite(store)
  await site.guard.check()
  await store.put(COUNTER_KEY, encodeCounter({ counter: 900, server: '', jobId: 5 }))
  assert.equal(await site.guard.check(), 'behind')
  await raceForLocks(
    site.sql,
    (tx) => tryCounterLock(tx),
    () => site.guard.clear(),
  )
  assert.equal(await site.guard.isBehind(), false)
  assert.ok((await recordOf(store)).counter > 900)
})

test('a rule of retention that is being written holds up no deletion', async () => {
  const site = await openSite(createMemoryStore())
  await withRules(site.sql, async () => assert.equal(await site.guard.allowsDeletion(), true))
})

test('a failover mends itself: the run is started, and ends it', async () => {
  const store = createMemoryStore()
  const site = await openSite(store)
  await site.guard.check()
  const record = await recordOf(store)
  await store.put(COUNTER_KEY, encodeCounter({ ...record, server: '7000000000000000000/00000001' }))
  assert.equal(await site.guard.check(), 'behind')
  await condemn(site, 4)
  assert.deepEqual(await site.guarded.claimTombstones({ holder: 'w', limit: 10 }), { tombstones: [] })
  await site.recovery.work()
  const { state, runs } = await site.recovery.service.recoveryStatus()
  assert.deepEqual([state, runs.map((run) => `${run.kind} ${run.state}`)], ['normal', ['rebuild done']])
  await site.endGrace()
  assert.equal((await site.guarded.claimTombstones({ holder: 'w', limit: 10 })).tombstones.length, 1)
})

test('a run is asked for rightly, and one that is not there is said', async () => {
  const site = await openSite(createMemoryStore())
  const start = (request: object) =>
    site.recovery.service.startRecovery({ kind: 'fsck', repair: false, deep: false, key: '', ...request })
  await assert.rejects(start({ kind: 'defrag' }), /allowed: rebuild, fsck, backup, restore/)
  await assert.rejects(start({ kind: 'restore' }), /key names the backup/)
  await assert.rejects(site.recovery.service.getRecovery({ runId: 'x', waitMs: 0 }), { kind: 'not_found' })
  const run = await site.recovery.run({ kind: 'restore', key: '../../x' })
  assert.match(run.error, /no name of a backup/)
})
