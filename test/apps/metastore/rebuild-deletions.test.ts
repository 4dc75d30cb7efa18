/** What somebody deleted or let expire does not come back with a rebuild. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { parseObjectKey } from '#core/block/object-key.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { COUNTER_KEY, encodeCounter } from '#core/recovery/commit-counter.ts'
import { encodeTenantObject, tenantObjectKey } from '#core/retention/tenant-object.ts'
import { MS_PER_MINUTE } from '#core/units.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { buildPprof } from '../../support/profiles.ts'
import { createRecoveryHarness } from '../../support/recovery.ts'
import { askMetadata, askTotal, expectOk, push } from '../../support/server-client.ts'
import { makeDataDir } from '../../support/server-process.ts'
import { createServiceStack } from '../../support/service-stack.ts'
import { tenantsOver } from '../../support/sql-tenants.ts'
import { SETTINGS_KEY } from '../../../apps/metastore/settings-dump.ts'

const NOW_MS = Date.now()

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
