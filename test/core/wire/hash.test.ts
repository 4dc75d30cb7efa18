import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashBytes, hashStep, mix32 } from '#core/wire/hash.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('the hash depends on content and length, not on position', () => {
  const text = bytes('xxruntime.mallocgcxx')
  const same = bytes('runtime.mallocgc')
  assert.equal(hashBytes(text, 2, 18), hashBytes(same, 0, same.length))
  assert.notEqual(hashBytes(text, 2, 18), hashBytes(text, 2, 17))
  assert.notEqual(hashBytes(bytes('\0'), 0, 1), hashBytes(bytes('\0\0'), 0, 2))
})

test('hashes of 20,000 similar names spread: fewer collisions than twice the birthday bound', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 20_000; i++) {
    const name = bytes(`github.com/org/service/pkg.(*Handler).serve${i}`)
    seen.add(hashBytes(name, 0, name.length))
  }
  assert.ok(seen.size >= 20_000 - 4, `${20_000 - seen.size} collisions`)
})

test('mix32 gives an unsigned 32-bit number and steps are order dependent', () => {
  for (const h of [0, -1, 0x7fffffff, 12345]) {
    const mixed = mix32(h)
    assert.ok(Number.isInteger(mixed) && mixed >= 0 && mixed <= 0xffffffff)
  }
  assert.notEqual(mix32(hashStep(hashStep(1, 2), 3)), mix32(hashStep(hashStep(1, 3), 2)))
})
