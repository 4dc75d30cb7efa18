/** What somebody deleted or let expire does not come back with a rebuild. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { parseObjectKey } from '#core/block/object-key.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { COUNTER_KEY, encodeCounter } from '#core/recovery/commit-counter.ts'
import { decodeTenantObject, encodeTenantObject, tenantObjectKey } from '#core/retention/tenant-object.ts'
import { MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createClock } from '#platform/clock.ts'
import { createRandom } from '#platform/random.ts'
import { createInlineMerger } from '../../support/merge-jobs.ts'
import { buildPprof } from '../../support/profiles.ts'
import { createRecoveryHarness } from '../../support/recovery.ts'
import { askMetadata, askTotal, expectOk, push } from '../../support/server-client.ts'
import { makeDataDir } from '../../support/server-process.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createServiceStack } from '../../support/service-stack.ts'
import { tenantsOver } from '../../support/sql-tenants.ts'
import { runJob } from '../../../apps/compaction-worker/run-job.ts'
import { deleteDueObjects } from '../../../apps/compaction-worker/delete-objects.ts'
import { SETTINGS_KEY } from '../../../apps/metastore/settings-dump.ts'

const NOW_MS = recentMs()
const NEVER = new AbortController().signal

/** Eight minutes before it are of the same hour, and 48 minutes before it are within the last hour. */
function recentMs(): number {
  const nowMs = Date.now()
  return nowMs % MS_PER_HOUR < 9 * MS_PER_MINUTE ? nowMs - 9 * MS_PER_MINUTE : nowMs
}

async function openSite(store: ObjectStore) {
  const stack = await createServiceStack({}, { store, patientStore: store })
  after(() => stack.close())
  const { sql } = stack.metastore.database
  const pushed = (service: string, n: number) => {
    const profile = buildPprof({
      timeNanos: BigInt(NOW_MS - n * MS_PER_MINUTE) * 1_000_000n,
      samples: [{ stack: ['main'], values: [n] }],
    })
    return expectOk(
      push(stack.send, [{ labels: { __name__: 'process_cpu', service_name: service }, profiles: [profile] }]),
    )
  }
  return { ...stack, sql, pushed, recovery: createRecoveryHarness(sql, store) }
}

async function deleteDue({ metastore }: Awaited<ReturnType<typeof openSite>>, store: ObjectStore): Promise<void> {
  const deps = { metastore: metastore.metastore, store, clock: createClock(), log: createSilentLog() }
  await deleteDueObjects(deps, 'test', NEVER)
}

const dutyOf = ({ recovery }: Awaited<ReturnType<typeof openSite>>, name: string) =>
  recovery.duties.find((duty) => duty.name === name)!

test('the data of a deleted tenant stays deleted, in segments and in merged objects; what came after is there (H35)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const old = await openSite(store)
  await old.recovery.guard.check()
  for (const n of [1, 2, 3]) await old.pushed('shop', n)
  await old.compact()
  await old.pushed('shop', 4)
  // As the deletion of a tenant writes it: what was begun within the last minute is named.
  const alsoDead = (await store.list('objects/')).map((key) => parseObjectKey(key)!).sort()
  const [{ ms: diedMs }] = await old.sql<[{ ms: number }]>`select (extract(epoch from now()) * 1000)::float8 as ms`
  const tenant = 'anonymous'
  await store.put(tenantObjectKey(tenant), encodeTenantObject({ tenant, incarnation: 2, diedMs, alsoDead }))
  await old.pushed('shop', 32)

  const site = await openSite(store)
  await site.recovery.guard.check()
  const run = await site.recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  assert.equal(await askTotal(site.send, 'shop'), 32n)
  assert.ok(
    run.findings.some(({ subject, detail }) => subject === 'tenant anonymous' && /cannot be undone/.test(detail)),
  )
  assert.deepEqual((await askMetadata(site.send, 'LabelValues', { name: 'service_name' }))['names'], ['shop'])

  await store.put(tenantObjectKey('broken'), new TextEncoder().encode('?'))
  const again = await openSite(store)
  await again.recovery.guard.check()
  const refused = await again.recovery.run({ kind: 'rebuild' })
  assert.match(refused.error, /tenants\/broken\.json/, 'a death that cannot be read is not taken for none')
})

test('rules of retention, marks and switches come back with the daily dump, and bounds are obeyed (H35)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const old = await openSite(store)
  await old.recovery.guard.check()
  for (const n of [1, 2]) for (const service of ['shop', 'cart']) await old.pushed(service, n)
  await old.compact()
  for (const service of ['shop', 'cart']) await old.pushed(service, 4)
  const boundMs = NOW_MS + 3_600_000
  await old.sql`insert into retention_rules (tenant, service, retention_ms, bound_ms)
    values ('anonymous', 'cart', 3600000, ${boundMs}::bigint)`
  await old.sql`insert into compaction_marks values ('01JD8ZQ4T6M3B5X9W2R1C0V87K', 'anonymous', -1, 'odd "stacks"')`
  await old.sql`insert into compaction_tenants values ('quiet', false, 'by contract')`
  await dutyOf(old, 'settings-dump').run({ name: 'x', holder: 'x', epoch: 1 }, new AbortController().signal)
  assert.ok((await old.recovery.service.recoveryStatus()).settingsDumpedMs > 0)

  const site = await openSite(store)
  await site.recovery.guard.check()
  await dutyOf(site, 'settings-dump').run({ name: 'x', holder: 'x', epoch: 1 }, new AbortController().signal)
  const run = await site.recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  assert.deepEqual([await askTotal(site.send, 'shop'), await askTotal(site.send, 'cart')], [7n, 0n])
  const note = run.findings.find(({ subject }) => subject === SETTINGS_KEY)
  assert.match(
    note?.detail ?? '',
    /1 of retention_rules, 1 of compaction_marks, 1 of compaction_tenants; later changes/,
    'a database that is behind wrote no dump',
  )
  assert.deepEqual(
    (await site.sql`select reason from compaction_marks`).map((row) => row['reason']),
    ['odd "stacks"'],
  )
  assert.deepEqual(
    (await site.sql`select tenant from compaction_tenants`).map((row) => row['tenant']),
    ['quiet'],
  )
  const [rule] = await site.sql`select bound_ms, retention_ms from retention_rules where service = 'cart'`
  assert.deepEqual({ ...rule }, { bound_ms: boundMs, retention_ms: 3_600_000 })
})

test('a tenant whose deletion was undone after the daily dump is there after a rebuild (H35)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const old = await openSite(store)
  await old.recovery.guard.check()
  for (const n of [1, 2, 4]) await old.pushed('shop', n)
  const { service, runDeletions } = tenantsOver(old.metastore, store)
  await service.deleteTenant({ tenant: 'anonymous', delayMs: undefined })
  // As if it had been pushed long before.
  await old.sql`update tenant_incarnations set died_at = now() + interval '3 minutes'`
  await runDeletions()
  await dutyOf(old, 'settings-dump').run({ name: 'x', holder: 'x', epoch: 1 }, new AbortController().signal)
  await service.undeleteTenant({ tenant: 'anonymous' })
  await runDeletions()

  const site = await openSite(store)
  await site.recovery.guard.check()
  const run = await site.recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  assert.equal(await askTotal(site.send, 'shop'), 7n)
  assert.ok(run.findings.some(({ subject, mend }) => subject === 'tenant anonymous' && mend === 'undone'))
  const tombstones = await site.sql`select object_id from tombstones`
  assert.equal(tombstones.length, 0)
})

test('a profile of a tenant that was deleted once counts once, in a rebuild and when it is pushed again after it (H35)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const old = await openSite(store)
  await old.recovery.guard.check()
  const tenant = 'anonymous'
  const diedMs = Date.now() - 5 * MS_PER_MINUTE
  await old.sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at)
    values (${tenant}, 2, 2, now() - interval '5 minutes')`
  await store.put(tenantObjectKey(tenant), encodeTenantObject({ tenant, incarnation: 2, diedMs, alsoDead: [] }))
  // The last is a duplicate in a segment that stays one, beside the output that counts it.
  for (const n of [1, 2, 4, 4]) await old.pushed('shop', n)
  assert.equal(await askTotal(old.send, 'shop'), 7n)
  await old.compact()

  const site = await openSite(store)
  await site.recovery.guard.check()
  const run = await site.recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  assert.equal(await askTotal(site.send, 'shop'), 7n)
  await site.pushed('shop', 4)
  assert.equal(await askTotal(site.send, 'shop'), 7n)
})

test('a deletion that was asked for again after the backup takes along what came between (H35)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const site = await openSite(store)
  await site.recovery.guard.check()
  const { service, runDeletions } = tenantsOver(site.metastore, store)
  await site.pushed('shop', 1)
  await service.deleteTenant({ tenant: 'anonymous', delayMs: undefined })
  await runDeletions()
  await site.pushed('shop', 2)
  assert.equal(await askTotal(site.send, 'shop'), 2n)
  // What the lost future did: the second call, and a higher counter.
  const [{ ms }] = await site.sql<[{ ms: number }]>`select (extract(epoch from now()) * 1000)::float8 as ms`
  const death = { tenant: 'anonymous', incarnation: 3, diedMs: ms + 5 * MS_PER_MINUTE, alsoDead: [] }
  await store.put(tenantObjectKey('anonymous'), encodeTenantObject(death))
  await store.put(COUNTER_KEY, encodeCounter({ counter: 900, server: '', jobId: 5 }))
  assert.equal(await site.recovery.guard.check(), 'behind')
  const run = await site.recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  await runDeletions()
  assert.equal(await askTotal(site.send, 'shop'), 0n)
  const [visible] = await site.sql`select
    (select count(*) from datasets where is_live) + (select count(*) from segments where is_live) as live`
  assert.equal(Number(visible!['live']), 0)
})

/** A site whose tenant has data at two levels, is deleted, and has pushed again since; `before`: what was asked before. */
async function deletedSite(store: ObjectStore, options: { isOld: boolean }) {
  const old = await openSite(store)
  await old.recovery.guard.check()
  for (const n of [1, 2]) await old.pushed('shop', n)
  await old.compact()
  // A duplicate in a segment that stays one, beside the output that counts it.
  for (const n of [4, 2]) await old.pushed('shop', n)
  await old.pushed('cart', 8)
  const total = await askTotal(old.send, 'shop')
  assert.equal(total, 7n)
  const tenants = tenantsOver(old.metastore, store)
  const deletion = await tenants.service.deleteTenant({ tenant: 'anonymous' })
  // As if it had been pushed long before.
  if (options.isOld) await old.sql`update tenant_incarnations set died_at = now() + interval '3 minutes'`
  await tenants.runDeletions()
  assert.equal(await askTotal(old.send, 'shop'), 0n)
  return { old, tenants, deletion }
}

const names = async ({ send }: Awaited<ReturnType<typeof openSite>>) =>
  (((await askMetadata(send, 'LabelValues', { name: 'service_name' }))['names'] ?? []) as string[]).toSorted()

const hiddenOf = async ({ tenants }: { tenants: ReturnType<typeof tenantsOver> }) =>
  (await tenants.service.tenantDeletions({ tenant: 'anonymous', limit: 9 })).deletions[0]!

for (const [name, isOld, isDumped] of [
  ['just before it was deleted', false, false],
  ['long before it was deleted', true, false],
  ['just before it was deleted, and the daily dump knows of it', false, true],
  ['long before it was deleted, and the daily dump knows of it', true, true],
] as const) {
  test(`after a rebuild within its delay a deletion can be undone, of data that was pushed ${name} (H35, H65)`, async () => {
    const store = await openFilesystemStore(await makeDataDir())
    const { old, deletion } = await deletedSite(store, { isOld })
    if (isDumped) await dutyOf(old, 'settings-dump').run({ name: 'x', holder: 'x', epoch: 1 }, NEVER)
    // What was deleted and is pushed again is new; it counts beside what comes back.
    if (!isOld) await old.pushed('shop', 4)
    const since = isOld ? 0n : 4n

    const site = await openSite(store)
    await site.recovery.guard.check()
    const run = await site.recovery.run({ kind: 'rebuild' })
    assert.equal(run.state, 'done', run.error)
    assert.ok(!run.findings.some(({ kind, subject }) => kind === 'not-restored' && subject === 'tenant anonymous'))
    const look = async () => {
      assert.deepEqual([await askTotal(site.send, 'shop'), await askTotal(site.send, 'cart')], [since, 0n])
      assert.deepEqual(await names(site), isOld ? [] : ['shop'])
    }
    await look()
    const tenants = tenantsOver(site.metastore, store)
    await tenants.runDeletions()
    await look()
    const hidden = await hiddenOf({ tenants })
    assert.deepEqual([hidden.state, hidden.removeAtMs], ['hidden', deletion.removeAtMs], 'its time did not begin anew')
    const original = await hiddenOf({ tenants: tenantsOver(old.metastore, store) })
    assert.deepEqual([hidden.datasets, hidden.profiles], [original.datasets, original.profiles], 'each counted once')
    await tenants.endGrace()
    await deleteDue(site, store)

    await tenants.service.undeleteTenant({ tenant: 'anonymous' })
    await tenants.runDeletions()
    const back = async () => {
      assert.deepEqual([await askTotal(site.send, 'shop'), await askTotal(site.send, 'cart')], [7n + since, 8n])
      assert.deepEqual(await names(site), ['cart', 'shop'])
    }
    await back()
    await site.metastore.metastore.planner.release()
    await site.compact()
    await back()
    const check = await site.recovery.run({ kind: 'fsck', deep: true })
    assert.deepEqual([check.state, check.findings], ['done', []])
  })
}

test('after a rebuild a deletion ends at its time, with its receipt; one whose time is over cannot be undone (H35, H65)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const { deletion } = await deletedSite(store, { isOld: false })
  const site = await openSite(store)
  await site.recovery.guard.check()
  await site.recovery.run({ kind: 'rebuild' })
  const tenants = tenantsOver(site.metastore, store)
  await tenants.runDeletions()
  await tenants.endDelay('anonymous')
  await tenants.runDeletions()
  await assert.rejects(tenants.service.undeleteTenant({ tenant: 'anonymous' }), { kind: 'failed_precondition' })
  for (let pass = 0; pass < 3; pass++) {
    await tenants.endGrace()
    await deleteDue(site, store)
    await tenants.runDeletions()
  }
  const receipt = await hiddenOf({ tenants })
  assert.deepEqual([receipt.state, receipt.datasets, receipt.profiles], ['done', 3, 4])
  assert.deepEqual(await store.list('objects/'), [])

  // The same bucket before that, and a rebuild that comes too late.
  const late = await openFilesystemStore(await makeDataDir())
  const other = await deletedSite(late, { isOld: false })
  await other.tenants.endDelay('anonymous')
  const key = tenantObjectKey('anonymous')
  const death = decodeTenantObject(await late.get(key), key)
  assert.ok(Math.abs(death.open!.removeAtMs - deletion.removeAtMs) < 10 * MS_PER_MINUTE)
  const over = { ...death, open: { ...death.open!, removeAtMs: Date.now() - 1 } }
  await late.put(key, encodeTenantObject(over))
  const rebuilt = await openSite(late)
  await rebuilt.recovery.guard.check()
  const run = await rebuilt.recovery.run({ kind: 'rebuild' })
  assert.ok(run.findings.some(({ detail }) => /cannot be undone/.test(detail)))
  const after = tenantsOver(rebuilt.metastore, late)
  await after.runDeletions()
  await assert.rejects(after.service.undeleteTenant({ tenant: 'anonymous' }), { kind: 'failed_precondition' })
  assert.equal(await askTotal(rebuilt.send, 'shop'), 0n)
})

test('a second call within the delay ends when the first does, before and after a rebuild, and is undone with it (H35, H65)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const { old, tenants, deletion } = await deletedSite(store, { isOld: false })
  await old.pushed('shop', 16)
  const second = await tenants.service.deleteTenant({ tenant: 'anonymous' })
  assert.deepEqual([second.id, second.removeAtMs], [deletion.id, deletion.removeAtMs])
  await tenants.runDeletions()
  await old.pushed('shop', 32)

  const site = await openSite(store)
  await site.recovery.guard.check()
  assert.equal((await site.recovery.run({ kind: 'rebuild' })).state, 'done')
  assert.equal(await askTotal(site.send, 'shop'), 32n)
  const rebuilt = tenantsOver(site.metastore, store)
  await rebuilt.runDeletions()
  assert.equal((await hiddenOf({ tenants: rebuilt })).removeAtMs, deletion.removeAtMs)
  // And a third, in the new database.
  await site.pushed('shop', 48)
  const third = await rebuilt.service.deleteTenant({ tenant: 'anonymous' })
  assert.equal(third.removeAtMs, deletion.removeAtMs)
  await rebuilt.runDeletions()
  assert.equal(await askTotal(site.send, 'shop'), 0n)
  await rebuilt.service.undeleteTenant({ tenant: 'anonymous' })
  await rebuilt.runDeletions()
  assert.equal(await askTotal(site.send, 'shop'), 7n + 16n + 32n + 48n)
})

test('what an earlier deletion took does not come back with a later one that is undone after a rebuild (H35, H65)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const { old, tenants } = await deletedSite(store, { isOld: false })
  await tenants.endDelay('anonymous')
  await tenants.runDeletions()
  await tenants.runDeletions()
  // Its objects wait for their grace: they are in the bucket still.
  assert.ok((await store.list('objects/')).length > 0)
  await old.pushed('shop', 16)
  await tenants.service.deleteTenant({ tenant: 'anonymous' })
  await tenants.runDeletions()

  const site = await openSite(store)
  await site.recovery.guard.check()
  assert.equal((await site.recovery.run({ kind: 'rebuild' })).state, 'done')
  const rebuilt = tenantsOver(site.metastore, store)
  await rebuilt.runDeletions()
  assert.equal(await askTotal(site.send, 'shop'), 0n)
  await rebuilt.service.undeleteTenant({ tenant: 'anonymous' })
  await rebuilt.runDeletions()
  assert.deepEqual([await askTotal(site.send, 'shop'), await askTotal(site.send, 'cart')], [16n, 0n])
})

test('an output that was refused because its tenant was deleted meanwhile is dead as its sources are (H35, H37)', async () => {
  const store = await openFilesystemStore(await makeDataDir())
  const old = await openSite(store)
  await old.recovery.guard.check()
  for (const n of [1, 2]) await old.pushed('shop', n)
  await old.metastore.plan()
  const { metastore } = old.metastore
  const poll = { workerId: 'w', capacity: 9, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await metastore.pollJobs(poll)
  const tenants = tenantsOver(old.metastore, store)
  await tenants.service.deleteTenant({ tenant: 'anonymous' })
  const worker = { store, clock: createClock(), random: createRandom(), merger: createInlineMerger() }
  for (const job of jobs) {
    const outputs = [...(await runJob(worker, job, { signal: NEVER }))]
    const { jobId, epoch } = job
    assert.equal((await metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })).verdict, 'stale')
  }
  await tenants.runDeletions()

  const site = await openSite(store)
  await site.recovery.guard.check()
  assert.equal((await site.recovery.run({ kind: 'rebuild' })).state, 'done')
  assert.equal(await askTotal(site.send, 'shop'), 0n)
  const rebuilt = tenantsOver(site.metastore, store)
  await rebuilt.runDeletions()
  await rebuilt.service.undeleteTenant({ tenant: 'anonymous' })
  await rebuilt.runDeletions()
  assert.equal(await askTotal(site.send, 'shop'), 3n)
})
