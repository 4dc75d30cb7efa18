import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ROOT, StackCounts, StackFault } from '#core/ingest/stack-counts.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { decodeBytes, rootFirst } from '../../support/stack-counts.ts'

const CPU = { name: 'process_cpu', type: 'cpu', unit: 'nanoseconds', periodNanos: 10_000_000n }
const LIMITS = { maxSamples: 100, maxStackDepth: 3 }
const PROFILE = { type: CPU, countsSamples: true, timeNanos: 5n, durationNanos: 7n }

function stackOf(counts: StackCounts, ...names: string[]): number {
  return names.reduce((node, name) => counts.child(node, counts.frame({ name })), ROOT)
}

test('samples become nanoseconds, and the profile says of what time and period it is', () => {
  const counts = new StackCounts()
  counts.add(stackOf(counts, 'a', 'b'), 3n)
  counts.add(stackOf(counts, 'a', 'b'), 4n)
  counts.add(stackOf(counts, 'a'), 0n)
  counts.add(stackOf(counts, 'a'), -1n)
  assert.equal(counts.stackCount, 1)
  const profile = decodeBytes(counts.encode(PROFILE, LIMITS))
  assert.deepEqual(rootFirst(profile), { 'a;b': 70_000_000n })
  assert.deepEqual([profile.timeNanos, profile.durationNanos, profile.period], [5n, 7n, 10_000_000n])
  assert.equal(stringAt(profile, profile.periodType!.type), 'cpu')
  assert.equal(profile.mappingFlags[0], 1, 'its mapping has functions')
})

test('of a stack that is too deep the root is kept', () => {
  const counts = new StackCounts()
  counts.add(stackOf(counts, 'a', 'b', 'c', 'd', 'e'), 1n)
  assert.deepEqual(rootFirst(decodeBytes(counts.encode({ ...PROFILE, countsSamples: false }, LIMITS))), { 'a;b;c': 1n })
})

test('past its limits it says which', () => {
  const counts = new StackCounts()
  for (let i = 0; i < 101; i++) counts.add(stackOf(counts, `f${i}`), 1n)
  assert.throws(
    () => counts.encode(PROFILE, LIMITS),
    (error: unknown) =>
      error instanceof StackFault &&
      error.reason === 'samples_limit' &&
      /maxSamples, actual: 101, limit: 100/.test(error.message),
  )
  const wide = new StackCounts()
  const frame = wide.frame({ name: 'f' })
  assert.throws(() => {
    for (let i = 0, node = ROOT; i <= 2 ** 20; i++) node = wide.child(node, frame)
  }, /more than 1048576 frames in a tree/)
  const large = new StackCounts()
  large.add(stackOf(large, 'a'), 2n ** 62n)
  assert.throws(() => large.encode(PROFILE, LIMITS), /passes 2\^63 - 1/)
})

test('frames with a file are told apart by it', () => {
  const counts = new StackCounts()
  const frames = [
    { name: 'a' },
    { name: 'a', file: 'x', line: 1 },
    { name: 'a', file: 'x', line: 2 },
    { name: 'a', file: 'y' },
  ]
  assert.deepEqual(
    frames.map((frame) => counts.frame(frame)),
    [0, 1, 2, 3],
  )
  assert.equal(counts.frame({ name: 'a', file: 'x', line: 1 }), 1)
  assert.equal(counts.parent(counts.child(ROOT, 2)), ROOT)
  assert.equal(counts.frameOf(counts.child(ROOT, 2)), 2)
})
