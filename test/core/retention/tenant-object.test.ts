import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import {
  decodeTenantObject,
  encodeTenantObject,
  fateIn,
  mergedFateIn,
  isDeadIn,
  LATE_COMMIT_MS,
  tenantObjectKey,
} from '#core/retention/tenant-object.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'

const tail = new Uint8Array(ULID_RANDOM_BYTES)
const OPEN = {
  removeAtMs: 900_000,
  previousLiveFrom: 1,
  previousDiedMs: undefined as number | undefined,
  previousIsFinal: false,
  lost: [makeUlid(104_000, tail)],
}
const DEATH = { tenant: 'a', incarnation: 2, diedMs: 100_000, alsoDead: [makeUlid(105_000, tail)] }

test('every tenant id has a valid key of its own, also one that looks like a path (H76)', () => {
  const ids = fc.stringMatching(/^[0-9A-Za-z!\-_.*'()]{1,150}$/)
  fc.assert(
    fc.property(ids, ids, (a, b) => {
      assert.ok(isValidObjectKey(tenantObjectKey(a)))
      assert.equal(tenantObjectKey(a) === tenantObjectKey(b), a === b)
    }),
  )
  assert.equal(tenantObjectKey('..'), 'tenants/_2e_2e.json')
  assert.ok(isValidObjectKey(tenantObjectKey("'".repeat(150))))
})

test('what is written is read', () => {
  const key = tenantObjectKey('a')
  assert.deepEqual(decodeTenantObject(encodeTenantObject(DEATH), key), DEATH)
  const nothing = { ...DEATH, diedMs: undefined, alsoDead: [] }
  assert.deepEqual(decodeTenantObject(encodeTenantObject(nothing), key), nothing)
  for (const open of [OPEN, { ...OPEN, previousDiedMs: undefined }])
    assert.deepEqual(decodeTenantObject(encodeTenantObject({ ...DEATH, open }), key), { ...DEATH, open })
})

const broken: [string, string][] = [
  ['no JSON', '{'],
  ['another version', '{"version":2}'],
  ['nothing', 'null'],
  ["another tenant's", new TextDecoder().decode(encodeTenantObject({ ...DEATH, tenant: 'b' }))],
  ['a list of numbers', '{"version":1,"tenant":"a","incarnation":2,"diedMs":1,"alsoDead":[1]}'],
  ['open without an end', '{"version":1,"tenant":"a","incarnation":2,"diedMs":1,"alsoDead":[],"open":{"lost":[]}}'],
  ['open to null', '{"version":1,"tenant":"a","incarnation":2,"diedMs":1,"alsoDead":[],"open":null}'],
]
for (const [name, text] of broken) {
  test(`a tenant object that is ${name} is refused, with its key`, () => {
    assert.throws(() => decodeTenantObject(new TextEncoder().encode(text), tenantObjectKey('a')), /tenants\/a\.json/)
  })
}

test('an object is dead by its begin, or by name', () => {
  assert.ok(isDeadIn(DEATH, makeUlid(100_000 - LATE_COMMIT_MS, tail)))
  assert.ok(!isDeadIn(DEATH, makeUlid(100_001 - LATE_COMMIT_MS, tail)), 'it may have been committed after')
  assert.ok(!isDeadIn(DEATH, makeUlid(100_001, tail)))
  assert.ok(isDeadIn(DEATH, makeUlid(105_000, tail)))
  assert.ok(!isDeadIn(DEATH, 'no-ulid'))
  assert.ok(!isDeadIn({ ...DEATH, diedMs: undefined }, makeUlid(9, tail)))
})

test('what is dead is hidden while its deletion can be undone, but for what was dead before', () => {
  const before = makeUlid(100_000 - LATE_COMMIT_MS, tail)
  const named = makeUlid(105_000, tail)
  const lost = OPEN.lost[0]!
  const death = { ...DEATH, alsoDead: [lost, named] }
  const fates = (of: Parameters<typeof fateIn>[0]) =>
    [before, named, lost, makeUlid(100_001, tail)].map((objectId) => fateIn(of, objectId))
  assert.deepEqual(fates(death), ['gone', 'gone', 'gone', 'lives'])
  assert.deepEqual(fates({ ...death, open: OPEN }), ['hidden', 'hidden', 'gone', 'lives'])
  const again = { ...OPEN, previousDiedMs: 100_000 }
  assert.deepEqual(fates({ ...death, diedMs: 200_000, open: again }), ['gone', 'hidden', 'gone', 'hidden'])
})

test('what was merged has the fate of the sources that brought the tenant, whatever the clock of its worker said', () => {
  const [old, young] = [makeUlid(100_000 - LATE_COMMIT_MS, tail), makeUlid(100_001, tail)]
  const named = makeUlid(105_000, tail)
  const death = { ...DEATH, alsoDead: [...DEATH.alsoDead, named], open: { ...OPEN, previousDiedMs: undefined } }
  // A worker whose clock is behind, or one that was refused because the tenant was deleted meanwhile.
  assert.equal(mergedFateIn(death, old, [young, young]), 'lives')
  assert.equal(mergedFateIn(death, young, [old]), 'hidden')
  assert.equal(mergedFateIn(death, young, [young, old]), 'hidden')
  assert.equal(mergedFateIn({ ...death, open: undefined }, young, [young, old]), 'gone')
  assert.equal(mergedFateIn(death, named, [young]), 'hidden')
  assert.equal(mergedFateIn(death, OPEN.lost[0]!, [young]), fateIn(death, OPEN.lost[0]!))
  // A segment, or an output whose sources are gone.
  assert.deepEqual([mergedFateIn(death, old, []), mergedFateIn(death, young, [])], ['hidden', 'lives'])
})
