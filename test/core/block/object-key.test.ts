import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { objectKey, parseObjectKey } from '#core/block/object-key.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { makeUlid } from '#core/wire/ulid.ts'

test('a key names its id and back', () => {
  assert.equal(objectKey('01ARYZ6S410000000000000XYZ'), 'objects/yz/01ARYZ6S410000000000000XYZ.cb')
  fc.assert(
    fc.property(fc.nat(), fc.uint8Array({ minLength: 10, maxLength: 10 }), (timeMs, random) => {
      const id = makeUlid(timeMs, random)
      assert.ok(isValidObjectKey(objectKey(id)))
      assert.equal(parseObjectKey(objectKey(id)), id)
    }),
  )
})

test('other keys are not ours', () => {
  for (const key of [
    '',
    'objects/01ARYZ6S410000000000000XYZ.cb',
    'objects/ab/01ARYZ6S410000000000000XYZ.cb',
    'objects/YZ/01ARYZ6S410000000000000XYZ.cb',
    'objects/yz/01ARYZ6S410000000000000XYZ.cb/x',
    'objects/yz/81ARYZ6S410000000000000XYZ.cb',
    'x/objects/yz/01ARYZ6S410000000000000XYZ.cb',
  ])
    assert.equal(parseObjectKey(key), undefined, key)
  assert.throws(() => objectKey('../../etc/passwd'), /not a ULID/)
})

test('ids of one millisecond spread over prefixes (H23)', () => {
  // 4,096 keys of one writer's busy quarter of an hour fall into 1,024 prefixes: at most a few share one.
  const perPrefix = new Map<string, number>()
  for (let i = 0; i < 4096; i++) {
    const random = new Uint8Array(10)
    new DataView(random.buffer).setUint32(6, Math.imul(i + 1, 0x9e3779b1))
    const prefix = objectKey(makeUlid(1_717_236_000_000, random)).slice(0, 10)
    perPrefix.set(prefix, (perPrefix.get(prefix) ?? 0) + 1)
  }
  assert.equal(perPrefix.size, 1024)
  assert.ok(Math.max(...perPrefix.values()) <= 8)
})
