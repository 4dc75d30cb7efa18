import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findContested, skipSeen } from '#core/recovery/contested.ts'

const at = (name: string, minTimeMs: number, maxTimeMs: number, more: { service?: string; origin?: string } = {}) => ({
  name,
  tenant: 'acme',
  service: more.service ?? 'web',
  minTimeMs,
  maxTimeMs,
  origin: more.origin ?? name,
})

test('overlap of times, bounds included, in one service of one tenant, from different origins', () => {
  const groups = findContested([
    at('a', 0, 10),
    at('alone', 100, 110),
    at('b', 10, 20),
    at('c', 15, 90),
    at('other', 5, 15, { service: 'api' }),
    at('part 1', 200, 210, { origin: 'job' }),
    at('part 2', 205, 215, { origin: 'job' }),
  ])
  assert.deepEqual(
    groups.map((group) => group.map(({ name }) => name)),
    [['a', 'b', 'c']],
  )
})

test('one that spans everything connects what does not touch', () => {
  const groups = findContested([at('a', 1, 2), at('b', 5, 6), at('day', 0, 9)])
  assert.deepEqual(
    groups.map((group) => group.map(({ name }) => name)),
    [['day', 'a', 'b']],
  )
})

test('an id counts where it is met first', () => {
  const ids = (...numbers: number[]) =>
    Uint8Array.from(numbers.flatMap((n) => [...new Array<number>(15).fill(0xff), n]))
  const seen = new Set<string>()
  assert.deepEqual(skipSeen(ids(1, 2, 3), seen), [])
  assert.deepEqual(skipSeen(ids(4, 2, 5, 1), seen), [1, 3])
  assert.equal(seen.size, 5)
})
