import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fixGoProfile } from '#core/pprof/go-fixes.ts'
import { mayBeTruncated, mendTruncatedStacks } from '#core/pprof/go-truncated.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
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

interface NamedGroup {
  readonly name: string
  readonly samples: number[]
}

/** The rule with texts and maps: runs of 16 frames by their names, groups in the order of theirs. Stacks leaf first. */
function mendedByNames(profile: DecodedProfile): number[][] {
  const { sampleLocation, sampleLocationStart: start } = profile
  const stacks = Array.from({ length: profile.sampleCount }, (_, i) => [
    ...sampleLocation.subarray(start[i], start[i + 1]),
  ])
  const byName = new Map<string, NamedGroup>()
  stacks.forEach((stack, sample) => {
    if (stack.length < 24) return
    // Ids count from 1; below 256 the order of their bytes is that of numbers.
    const name = stack
      .slice(-24)
      .map((row) => String.fromCharCode(row + 1))
      .join('')
    byName.set(name, { name, samples: [...(byName.get(name)?.samples ?? []), sample] })
  })
  const sorted = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const isEachOne = sorted.slice(0, -1).every(({ samples }) => samples.length === 1)
  const groups = isEachOne ? sorted : sorted.slice(0, -1)
  const furthest = new Map<string, { group: NamedGroup; frames: number }>()
  for (const group of groups)
    for (let frames = 1; frames <= 8; frames++) {
      const run = group.name.slice(8 - frames, 24 - frames)
      if (frames > (furthest.get(run)?.frames ?? 0)) furthest.set(run, { group, frames })
    }
  const nextOf = (group: NamedGroup) => {
    const next = furthest.get(group.name.slice(8))
    return next?.group === group ? undefined : next
  }
  const mended = stacks.map((stack) => [...stack])
  for (const group of groups) {
    let frames = 0
    let last = group
    for (let links = 0, next = nextOf(group); next !== undefined; next = nextOf(last)) {
      if (links++ === 56) return mended
      frames += next.frames
      last = next.group
    }
    const deepest = last.samples.reduce((a, b) => (stacks[b]!.length > stacks[a]!.length ? b : a))
    const lender = stacks[deepest]!
    if (frames > 0 && frames < lender.length)
      for (const sample of group.samples) mended[sample] = [...stacks[sample]!, ...lender.slice(-frames)]
  }
  return mended
}

test('stacks are mended as by names of groups, whatever overlaps, repeats or recurs', () => {
  // Few names make runs that several groups share; a step makes periods, which recur.
  const stack = fc
    .record({
      from: fc.nat(24),
      length: fc.integer({ min: 20, max: 32 }),
      leaf: fc.nat(3),
      period: fc.constantFrom(3, 7, 19, 60),
    })
    .map(({ from, length, leaf, period }) =>
      Array.from({ length }, (_, i) => (i < leaf ? `l${i}` : `f${(from + length - i) % period}`)),
    )
  let mended = 0
  fc.assert(
    fc.property(fc.array(stack, { minLength: 2, maxLength: 24 }), (stacks) => {
      const profile = heapProfile(stacks)
      if (!mayBeTruncated(profile)) return
      const after = mendTruncatedStacks(profile)
      const { sampleLocation, sampleLocationStart: start } = after
      const rows = Array.from({ length: after.sampleCount }, (_, i) => [
        ...sampleLocation.subarray(start[i], start[i + 1]),
      ])
      assert.deepEqual(rows, mendedByNames(profile))
      assert.equal(after.sampleDepthMax, Math.max(...rows.map(({ length }) => length)))
      if (after !== profile) mended++
    }),
    { numRuns: 400 },
  )
  assert.ok(mended > 40, `${mended} of 400 profiles had something to mend`)
})
