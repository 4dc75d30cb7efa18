import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fixGoProfile } from '#core/pprof/go-fixes.ts'
import { mayBeTruncated } from '#core/pprof/go-truncated.ts'
import { decodeProfile, stacksOf, valuesByStack } from '../../support/decoded-profile.ts'

const HEAP = [['alloc_space', 'bytes']] as const

/** Frames from..to, root first in the numbering, leaf first in the list. */
function frames(from: number, to: number, name = 'f'): string[] {
  return Array.from({ length: to - from }, (_, i) => `${name}${to - 1 - i}`)
}

/** Two whole stacks, so that the order of groups leaves them all in. */
function heapProfile(stacks: readonly string[][], types: readonly (readonly [string, string])[] = HEAP) {
  return decodeProfile({ types, samples: stacks.map((stack, i) => ({ stack, values: types.map(() => i + 1) })) })
}

test('a stack that was cut gets its root from one that overlaps by 16 frames', () => {
  const whole = frames(0, 30)
  const cut = [...frames(0, 8, 'leaf'), ...frames(6, 30)]
  const fixed = fixGoProfile(heapProfile([cut, whole]))
  assert.deepEqual(stacksOf(fixed), [[...cut, ...frames(0, 6)], whole])
})

test('roots are found over several stacks in a row', () => {
  const first = frames(0, 30)
  const second = [...frames(0, 2, 'x'), ...frames(6, 36)]
  const third = [...frames(0, 2, 'y'), ...frames(12, 42)]
  const fixed = fixGoProfile(heapProfile([third, second, first]))
  assert.deepEqual(stacksOf(fixed), [[...third, ...frames(0, 12)], [...second, ...frames(0, 6)], first])
})

test('nothing is guessed without 16 frames in common within 8 of the root', () => {
  for (const [from, to] of [
    [9, 39],
    [15, 45],
  ] as const) {
    const stacks = [frames(from, to), frames(0, 30)]
    assert.deepEqual(stacksOf(fixGoProfile(heapProfile(stacks))), stacks, `${from} ${to}`)
  }
})

test('only what Go cuts is looked at: its types, at its depths', () => {
  const cases: [types: readonly (readonly [string, string])[], depth: number, may: boolean][] = [
    [HEAP, 27, false],
    [HEAP, 28, true],
    [HEAP, 32, true],
    [HEAP, 33, false],
    [[['inuse_objects', 'count']], 30, true],
    [[['cpu', 'nanoseconds']], 59, false],
    [[['cpu', 'nanoseconds']], 60, true],
    [[['cpu', 'nanoseconds']], 200, true],
    [[['samples', 'count']], 64, false],
    [[['goroutine', 'count']], 32, false],
  ]
  for (const [types, depth, may] of cases)
    assert.equal(mayBeTruncated(heapProfile([frames(0, depth)], types)), may, `${types} ${depth}`)
})

test('recursion is left alone', () => {
  const period = ['a', 'b', 'c']
  const stacks = Array.from({ length: 12 }, (_, s) =>
    Array.from({ length: 30 }, (__, i) => (i < 2 ? `leaf${s}` : period[(i + s) % 3]!)),
  )
  assert.deepEqual(stacksOf(fixGoProfile(heapProfile(stacks))), stacks)
})

test('a mended stack begins as it did, and every value is kept', () => {
  const stack = fc
    .record({ from: fc.nat(20), length: fc.integer({ min: 1, max: 32 }), leaf: fc.nat(2) })
    .map(({ from, length, leaf }) => [...frames(0, leaf, 'l'), ...frames(from, from + length - leaf)])
  fc.assert(
    fc.property(fc.array(stack, { minLength: 1, maxLength: 12 }), (stacks) => {
      const profile = heapProfile(stacks)
      const fixed = fixGoProfile(profile)
      stacksOf(fixed).forEach((after, i) => assert.deepEqual(after.slice(0, stacks[i]!.length), stacks[i]))
      const sum = (of: typeof profile) => Object.values(valuesByStack(of)).reduce((a, [value]) => a + value!, 0n)
      assert.equal(sum(fixed), sum(profile))
      assert.equal(fixed.sampleDepthMax, Math.max(...stacksOf(fixed).map(({ length }) => length)))
    }),
    { numRuns: 100 },
  )
})
