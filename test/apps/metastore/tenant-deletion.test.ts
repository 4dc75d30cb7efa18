/** The pass that carries deletions out: whom it reaches, and what the bucket is told. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { decodeTenantObject, tenantObjectKey } from '#core/retention/tenant-object.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createTenants } from '../../../apps/metastore/tenants.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { withOverrides } from '../../support/overrides.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'
import { tenantsOver } from '../../support/sql-tenants.ts'
import { Scene } from '../../support/tenant-scene.ts'

async function openTenants() {
  const inner = createMemoryStore()
  const fault = { isAway: (_key: string): boolean => false }
  const store = withOverrides<ObjectStore>(inner, {
    put: (key, body) => (fault.isAway(key) ? Promise.reject(new Error('away')) : inner.put(key, body)),
  })
  const tenants = tenantsOver(await createSqlMetastore(), store)
  after(() => tenants.close())
  const stateOf = async (tenant: string) =>
    (await tenants.service.tenantDeletions({ tenant, limit: 1 })).deletions[0]!.state
  return { ...tenants, fault, stateOf, sql: tenants.sqlMetastore.database.sql }
}

test('the bucket hears of the end of a deletion, although it was away when the tenant came back (H65)', async () => {
  const site = await openTenants()
  const scene = new Scene(site, 1)
  const key = tenantObjectKey(scene.tenant)
  const diedMs = async () => decodeTenantObject(await site.store.get(key), key).diedMs
  await scene.commit(scene.id('a'), [{ tenant: scene.tenant }])
  await site.service.deleteTenant({ tenant: scene.tenant, delayMs: undefined })
  await site.runDeletions()
  assert.ok((await diedMs()) !== undefined)
  await site.service.undeleteTenant({ tenant: scene.tenant })
  site.fault.isAway = () => true
  await assert.rejects(site.runDeletions(), /away/)
  assert.equal((await scene.planned()).length, 1, 'the data does not wait for the bucket')
  site.fault.isAway = () => false
  await site.runDeletions()
  assert.equal(await site.stateOf(scene.tenant), 'restored')
  assert.equal(await diedMs(), undefined)
})

test('the oldest deletion has its turn, however many wait for their delay, and whoever fails before it', async () => {
  const site = await openTenants()
  const scene = new Scene(site, 2)
  await scene.commit(scene.id('a'), [{ tenant: scene.tenant }])
  await site.service.deleteTenant({ tenant: 'broken', delayMs: undefined })
  await site.service.deleteTenant({ tenant: scene.tenant, delayMs: undefined })
  await site.sql`insert into tenant_deletions (tenant, state, dead_below, previous_live_from, remove_at)
    select 'waiting-' || n, 'hidden', 2, 1, now() + interval '1 day' from generate_series(1, 150) as n`
  await site.service.deleteTenant({ tenant: 'last', delayMs: undefined })
  site.fault.isAway = (key) => key === tenantObjectKey('broken')
  await assert.rejects(site.runDeletions(), /away/)
  assert.deepEqual(await Promise.all(['broken', scene.tenant, 'last'].map((tenant) => site.stateOf(tenant))), [
    'hiding',
    'hidden',
    'hidden',
  ])
})

test('a deletion that fails again and again waits by itself, ever longer; others go on at their pace', async () => {
  const site = await openTenants()
  const clock = new HandClock(Date.now())
  const puts: string[] = []
  const inner = createMemoryStore()
  const store = withOverrides<ObjectStore>(inner, {
    put: (key, body) => {
      puts.push(key)
      return key === tenantObjectKey('broken') ? Promise.reject(new Error('away')) : inner.put(key, body)
    },
  })
  const deps = { clock, log: createSilentLog(), store, delayMs: MS_PER_DAY, deletionGraceMs: 0 }
  const { deletionPass, duties } = createTenants({ sql: site.sql, ...deps })
  const pass = async () => await deletionPass.pass(await site.term('tenant deletion'), new AbortController().signal)
  await site.service.deleteTenant({ tenant: 'broken', delayMs: undefined })
  for (let n = 0; n < 2; n++) await assert.rejects(pass(), /away/)
  const tries = () => puts.filter((key) => key === tenantObjectKey('broken')).length
  assert.equal(tries(), 2)
  await site.service.deleteTenant({ tenant: 'other', delayMs: undefined })
  await assert.rejects(pass(), /away/, 'told as long as it fails')
  assert.equal(tries(), 2, 'it waits')
  assert.equal(await site.stateOf('other'), 'hidden')
  clock.advance(10_000)
  await assert.rejects(pass(), /away/)
  clock.advance(10_000)
  await assert.rejects(pass(), /away/)
  assert.equal(tries(), 3, 'twice as long')
  clock.advance(15 * 60_000)
  await assert.rejects(pass(), /away/)
  assert.equal(tries(), 4)
  // The duty is due at its ordinary pace all the while.
  const duty = duties.find(({ name }) => name === 'tenant deletion')!
  assert.equal(duty.retryMaxMs, duty.intervalMs)
})
