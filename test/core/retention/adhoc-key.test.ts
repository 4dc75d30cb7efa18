import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { adhocPrefix, adhocUploadedMs } from '#core/retention/adhoc-key.ts'
import { makeUlid } from '#core/wire/ulid.ts'

test('no tenant has the prefix of another, and every prefix makes valid keys (H76)', () => {
  const tenants = ['a', 'A', 'a.b', 'a_b', 'a_5fb', 'a-b', 'a!b', "a'b", 'a(b)', 'a*b']
  const prefixes = tenants.map(adhocPrefix)
  assert.equal(new Set(prefixes).size, tenants.length)
  for (const prefix of prefixes) {
    assert.ok(isValidObjectKey(`${prefix}x`), prefix)
    for (const other of prefixes) assert.ok(other === prefix || !other.startsWith(prefix), `${other} below ${prefix}`)
  }
})

test('the time of an upload is that of its id', () => {
  const id = makeUlid(1_760_000_000_123, new Uint8Array(10))
  assert.equal(adhocUploadedMs(`${adhocPrefix('t')}${id}-heap.pprof`), 1_760_000_000_123)
  assert.equal(adhocUploadedMs('adhoc/t/readme.txt'), undefined)
})
