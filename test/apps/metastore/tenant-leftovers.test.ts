/** What a tenant leaves beside its profiles goes with its deletion, and what its next life stored since stays. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { adhocPrefix } from '#core/retention/adhoc-key.ts'
import { asyncKey, writeAsyncObject } from '#core/retention/async-key.ts'
import { debuginfoFilePrefix, usedName } from '#core/retention/debuginfo-key.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSqlTenants, type SqlTenants } from '../../support/sql-tenants.ts'

let site: SqlTenants
before(async () => {
  site = await createSqlTenants()
})
after(() => site.close())

async function rulesOf(tenant: string): Promise<string[]> {
  const { sql } = site.sqlMetastore.database
  return (await sql<{ id: string }[]>`select id from recording_rules where tenant = ${tenant} order by id`).map(
    ({ id }) => id,
  )
}

async function addRule(tenant: string, id: string): Promise<void> {
  const { sql } = site.sqlMetastore.database
  await sql`
    insert into recording_rules (tenant, id, metric_name, profile_type, matchers, group_by, external_labels)
    values (${tenant}, ${id}, 'm', 'cpu', '{}', '{}', '{}')`
}

async function finish(tenant: string): Promise<string> {
  await site.runDeletions()
  await site.endDelay(tenant)
  for (let pass = 0; pass < 4; pass++) await site.runDeletions()
  const { sql } = site.sqlMetastore.database
  const [row] = await sql<{ state: string }[]>`
    select state from tenant_deletions where tenant = ${tenant} order by id desc limit 1`
  return row!.state
}

test('ad-hoc profiles and recording rules go with their tenant (H65)', async () => {
  const nowMs = await site.nowMs()
  const upload = async (tenant: string, atMs: number) => {
    const key = `${adhocPrefix(tenant)}${makeUlid(atMs, new Uint8Array(10))}-heap.pprof`
    await site.store.put(key, Uint8Array.of(1))
    return key
  }
  const gone = [await upload('left', nowMs - 1_000), await upload('left', nowMs - 86_400_000)]
  const kept = [await upload('other', nowMs - 1_000), await upload('left', nowMs + 60_000)]
  const debuginfo = async (tenant: string, atMs: number) => {
    const prefix = debuginfoFilePrefix(tenant, `ab${Math.floor(atMs / 86_400_000)}`)
    for (const name of ['metadata', 'exe/00001', usedName(atMs)]) await site.store.put(prefix + name, Uint8Array.of(1))
    return prefix
  }
  const files = [await debuginfo('left', nowMs - 86_400_000), await debuginfo('left', nowMs)]
  const keptFiles = [await debuginfo('left', nowMs + 2 * 86_400_000), await debuginfo('other', nowMs)]
  await addRule('left', 'old')
  await addRule('other', 'old')
  await site.service.deleteTenant({ tenant: 'left' })
  await addRule('left', 'new')
  assert.equal(await finish('left'), 'done')
  const keys = await site.store.list('adhoc/')
  assert.deepEqual(keys.toSorted(), kept.toSorted())
  assert.ok(gone.every((key) => !keys.includes(key)))
  assert.deepEqual([await rulesOf('left'), await rulesOf('other')], [['new'], ['old']])
  for (const prefix of files) assert.deepEqual(await site.store.list(prefix), [])
  for (const prefix of keptFiles) assert.equal((await site.store.list(prefix)).length, 3)
})

test('answers of asynchronous queries go with a tenant, also those that come after its deletion (H65)', async () => {
  const nowMs = await site.nowMs()
  let made = 0
  const begin = async (tenants: string, atMs: number): Promise<string> => {
    const runId = makeUlid(atMs, new Uint8Array(10).fill(++made))
    await site.store.put(asyncKey(runId, 'begun'), writeAsyncObject({ tenants }))
    return runId
  }
  const end = async (runId: string, tenants: string) => {
    await site.store.put(asyncKey(runId, 'ended'), writeAsyncObject({ tenants }, Uint8Array.of(1)))
    return runId
  }
  const ended = async (tenants: string, atMs: number) => end(await begin(tenants, atMs), tenants)
  for (const tenants of ['asked', 'other|asked']) await ended(tenants, nowMs - 1_000)
  const running = await begin('asked', nowMs - 1_000)
  const kept = [await ended('other', nowMs - 1_000), await ended('asked', nowMs + 600_000)]
  await site.service.deleteTenant({ tenant: 'asked' })
  await site.runDeletions()
  const left = async () => (await site.store.list('async/')).toSorted()
  const keptKeys = kept.flatMap((runId) => [asyncKey(runId, 'begun'), asyncKey(runId, 'ended')])
  assert.deepEqual(await left(), [asyncKey(running, 'begun'), ...keptKeys].toSorted())
  await end(running, 'asked')
  await site.runDeletions()
  assert.deepEqual(await left(), keptKeys.toSorted())
})

test('a store that refuses holds up that deletion alone, and is told about (H24)', async () => {
  const nowMs = await site.nowMs()
  const key = `${adhocPrefix('held')}${makeUlid(nowMs - 1_000, new Uint8Array(10))}-heap.pprof`
  await site.store.put(key, Uint8Array.of(1))
  await site.metastore.commitSegment(makeSegment('of-free', [{ tenant: 'free', timeMs: nowMs, profiles: [77] }]))
  const { delete: allowed } = site.store
  site.store.delete = (deleted, ...rest) =>
    deleted === key
      ? Promise.reject(new CinderError('permission_denied', 'no'))
      : allowed.call(site.store, deleted, ...rest)
  await site.service.deleteTenant({ tenant: 'held' })
  await site.service.deleteTenant({ tenant: 'free' })
  assert.equal(await finish('held'), 'removing')
  assert.equal(await finish('free'), 'removing', 'its object waits for its grace')
  assert.ok(site.events.some(({ event }) => event === 'ad-hoc profiles of a deleted tenant are not deleted'))
  site.store.delete = allowed
  await site.runDeletions()
  assert.equal(await finish('held'), 'done')
})
