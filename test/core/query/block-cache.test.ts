import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BlockCache } from '#core/query/block-cache.ts'

const KEPT = (100 * 0.8) / 1

test('a value is found until it is driven out, the oldest first', () => {
  const cache = new BlockCache(100)
  for (let i = 0; i < 10; i++) cache.set(`k${i}`, i, 10)
  assert.deepEqual([cache.count, cache.sizeBytes], [10, 100])
  cache.set('k10', 10, 10)
  assert.equal(cache.get('k0'), undefined)
  assert.equal(cache.get('k1'), 1)
  cache.delete('k1')
  assert.equal(cache.get('k1'), undefined)
  assert.equal(cache.sizeBytes, 90)
})

test('a scan of any length leaves what was asked for twice', () => {
  const cache = new BlockCache(100)
  for (const key of ['a', 'b', 'c']) {
    cache.set(key, key, 10)
    assert.equal(cache.get(key), key)
  }
  for (let i = 0; i < 1_000; i++) cache.set(`scan${i}`, i, 10)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => cache.get(key)),
    ['a', 'b', 'c'],
  )
})

test('a scan of twice the cache, repeated, finds a good part of itself', () => {
  const cache = new BlockCache(100)
  const pass = (name: string, count: number): number => {
    let found = 0
    for (let i = 0; i < count; i++) {
      const key = `${name}${i}`
      if (cache.get(key) === undefined) cache.set(key, i, 1)
      else found++
    }
    return found
  }
  assert.equal(pass('a', 200), 0)
  const later = Array.from({ length: 6 }, () => pass('a', 200)).slice(1)
  assert.ok(
    later.every((found) => found >= KEPT * 0.6),
    `${later} of 200, a list by last use finds none`,
  )
  // Another scan takes over.
  const others = Array.from({ length: 30 }, () => pass('b', 200))
  assert.ok(others.at(-1)! >= KEPT * 0.5, `${others}`)
})

test('a value of more than a quarter of the cache is not taken, and replaces nothing', () => {
  const cache = new BlockCache(100)
  cache.set('a', 1, 20)
  cache.set('big', 2, 26)
  assert.deepEqual([cache.get('a'), cache.get('big')], [1, undefined])
  new BlockCache(0).set('a', 1, 1)
})

test('long keys are not remembered beyond what a few thousand short ones take', () => {
  const cache = new BlockCache(100)
  const long = (i: number) => `${'x'.repeat(400_000)}${i}`
  for (let i = 0; i < 10; i++) cache.set(long(i), i, 25)
  // Driven out last, so remembered: it is kept at once. The first one is forgotten, and on trial again.
  cache.set(long(5), 5, 25)
  cache.set(long(0), 0, 25)
  for (let i = 0; i < 10; i++) cache.set(`scan${i}`, i, 20)
  assert.deepEqual([cache.get(long(5)), cache.get(long(0))], [5, undefined])
})

test('whatever is done, bytes are the sum of what is there and never pass the maximum; a value found is the last one set', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 12 }),
    sizeBytes: fc.integer({ min: 0, max: 40 }),
    does: fc.constantFrom('set', 'get', 'delete'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const cache = new BlockCache(100)
      const last = new Map<string, { value: number; sizeBytes: number }>()
      steps.forEach(({ key, sizeBytes, does }, i) => {
        const name = String(key)
        if (does === 'set') {
          cache.set(name, i, sizeBytes)
          last.set(name, { value: i, sizeBytes })
        } else if (does === 'delete') {
          cache.delete(name)
          last.delete(name)
        } else {
          const found = cache.get(name)
          if (found !== undefined) assert.equal(found, last.get(name)?.value)
        }
        assert.ok(cache.sizeBytes <= 100)
      })
      let sum = 0
      let count = 0
      for (const [key, { value, sizeBytes }] of last) {
        if (cache.get(key) !== value) continue
        sum += sizeBytes
        count++
      }
      assert.deepEqual([cache.sizeBytes, cache.count], [sum, count])
    }),
  )
})
