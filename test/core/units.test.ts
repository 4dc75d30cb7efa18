import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floorTo, hourStartMs, MS_PER_HOUR } from '#core/units.ts'

test('floorTo rounds down, before 1970 too', () => {
  assert.equal(floorTo(19, 10), 10)
  assert.equal(floorTo(20, 10), 20)
  assert.equal(floorTo(-1, 10), -10)
})

test('an hour holds its first millisecond and not its last plus one', () => {
  const start = 1_795_264_000_000 - (1_795_264_000_000 % MS_PER_HOUR)
  assert.equal(hourStartMs(start), start)
  assert.equal(hourStartMs(start + MS_PER_HOUR - 1), start)
  assert.equal(hourStartMs(start + MS_PER_HOUR), start + MS_PER_HOUR)
  assert.equal(hourStartMs(-1), -MS_PER_HOUR)
})
