import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attemptMs, totalMs } from '#core/store/deadlines.ts'

const MIB = 1024 * 1024

test('a write that a push waits for ends before its client gives up', () => {
  assert.equal(totalMs({ isWrite: true, sizeBytes: 0 }, 'interactive'), 6_000)
  assert.equal(totalMs({ isWrite: true, sizeBytes: 16 * MIB }, 'interactive'), 7_000)
  assert.ok(totalMs({ isWrite: true, sizeBytes: 0 }, 'background') > 60_000)
})

test('a stalled attempt leaves room for two more', () => {
  for (const patience of ['interactive', 'background'] as const)
    for (const isWrite of [true, false])
      assert.ok(
        attemptMs({ isWrite, sizeBytes: 0 }, patience) * 2.5 <= totalMs({ isWrite, sizeBytes: 0 }, patience),
        `${patience} ${isWrite}`,
      )
  assert.equal(attemptMs({ isWrite: false, sizeBytes: 32 * MIB }, 'background'), 17_000)
})
