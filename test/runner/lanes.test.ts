import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shareOut } from './lanes.ts'

const ITEMS = [
  { name: 'a', waits: false },
  { name: 'b', waits: true },
  { name: 'c', waits: false },
  { name: 'd', waits: true },
  { name: 'e', waits: true },
]

test('common lanes take what works, one more takes what waits; at the end they help, and nothing is lost or run twice', () => {
  const { next } = shareOut(ITEMS)
  const names = (['common', 'waiting', 'common', 'common', 'waiting', 'common', 'waiting'] as const).map(
    (lane) => next(lane)?.name,
  )
  assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e', undefined, undefined])
})

test('without a lane of its own everything runs in the common ones', () => {
  const { next } = shareOut(ITEMS)
  const names = ITEMS.map(() => next('common')?.name)
  assert.deepEqual(names, ['a', 'c', 'b', 'd', 'e'])
  assert.equal(next('common'), undefined)
})
