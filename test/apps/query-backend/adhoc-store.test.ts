import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdhocStore } from '../../../apps/query-backend/adhoc-store.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'

const DAY_MS = 86_400_000

function setUp() {
  const store = createMemoryStore()
  const clock = { at: 1_764_000_000_000, nowMs: () => clock.at }
  return { store, clock, adhoc: createAdhocStore({ store, clock, random: createRandom() }) }
}

const body = (text: string) => new TextEncoder().encode(text)

test('what was put is got back, listed newest first, and seen by its tenant alone', async () => {
  const { adhoc, clock } = setUp()
  const first = await adhoc.putProfile({ tenant: 'a', name: 'my heap/../1.pb.gz', body: body('one') })
  clock.at += 1_000
  const second = await adhoc.putProfile({ tenant: 'a', name: '', body: body('two') })
  assert.match(first.id, /^[0-9A-Z]{26}-my_heap_.._1\.pb\.gz$/)
  const got = await adhoc.getProfile({ tenant: 'a', id: first.id })
  assert.deepEqual([got.name, new TextDecoder().decode(got.body)], ['my_heap_.._1.pb.gz', 'one'])
  assert.equal(got.uploadedAtMs, clock.at - 1_000)
  const { profiles } = await adhoc.listProfiles({ tenant: 'a' })
  assert.deepEqual(
    profiles.map(({ id }) => id),
    [second.id, first.id],
  )
  assert.deepEqual(await adhoc.listProfiles({ tenant: 'b' }), { profiles: [] })
  await assert.rejects(adhoc.getProfile({ tenant: 'b', id: first.id }), { kind: 'not_found' })
})

test('ids that are none are refused, whatever path they would make (H76)', async () => {
  const { adhoc } = setUp()
  const ulid = '01JAB3VW7Z0000000000000000'
  for (const id of ['', '..', `${ulid}-../b`, `../a/${ulid}-x`, ulid, `${ulid}-a/b`, `8${ulid.slice(1)}-x`]) {
    await assert.rejects(adhoc.getProfile({ tenant: 'a', id }), { kind: 'invalid_argument' }, id)
  }
  await assert.rejects(adhoc.getProfile({ tenant: 'a', id: `7ZZZZZZZZZ0000000000000000-x` }), { kind: 'not_found' })
})

test('tenants have keys of their own, and every key is valid', async () => {
  const { adhoc, store } = setUp()
  const tenants = ['a.b', 'a_b', "a!*'()b", 'a_21b', 'A'.repeat(150), '!'.repeat(150)]
  for (const tenant of tenants) {
    await adhoc.putProfile({ tenant, name: 'x'.repeat(300), body: body(tenant) })
    const { profiles } = await adhoc.listProfiles({ tenant })
    assert.equal(profiles.length, 1, tenant)
    const { body: found } = await adhoc.getProfile({ tenant, id: profiles[0]!.id })
    assert.equal(new TextDecoder().decode(found), tenant)
  }
  for (const key of await store.list('')) assert.ok(isValidObjectKey(key), key)
})

test('after 30 days a profile is gone from sight, and the next upload deletes it', async () => {
  const { adhoc, clock, store } = setUp()
  const { id } = await adhoc.putProfile({ tenant: 'a', name: 'old', body: body('x') })
  clock.at += 30 * DAY_MS + 1
  await assert.rejects(adhoc.getProfile({ tenant: 'a', id }), { kind: 'not_found', message: /expired/ })
  assert.deepEqual(await adhoc.listProfiles({ tenant: 'a' }), { profiles: [] })
  assert.equal((await store.list('adhoc/')).length, 1)
  const fresh = await adhoc.putProfile({ tenant: 'a', name: 'new', body: body('y') })
  assert.deepEqual(await store.list('adhoc/'), [`adhoc/a/${fresh.id}`])
})

test('a tenant keeps a thousand, then it is told so', async () => {
  const { adhoc } = setUp()
  for (let i = 0; i < 1_000; i++) await adhoc.putProfile({ tenant: 'a', name: 'x', body: body('x') })
  const more = adhoc.putProfile({ tenant: 'a', name: 'x', body: body('x') })
  await assert.rejects(more, { kind: 'resource_exhausted', message: /at most 1000/ })
  await adhoc.putProfile({ tenant: 'b', name: 'x', body: body('x') })
})
