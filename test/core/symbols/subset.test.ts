import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stackHashes } from '#core/block/conservation.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { ProfileSymbols } from '#core/segment/profile-symbols.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { SymbolsSubset } from '#core/symbols/subset.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { arbitraryProfileSpec, buildPprof, realShapedSpec } from '../../support/profiles.ts'
import { stackNames, symbolsOf } from '../../support/symbols.ts'

const decoder = new ProfileDecoder()
const arbitraryPprof = arbitraryProfileSpec().map(encodePprof)

/** Interns every sample of the profiles; stack ids in order of first use. */
function intern(builder: SymbolsBuilder, profiles: readonly Uint8Array[]): number[] {
  const symbols = new ProfileSymbols(builder)
  const ids = new Set<number>()
  for (const bytes of profiles) {
    const decoded = decoder.decode(bytes, DEFAULT_LIMITS)
    assert.ok(decoded.ok)
    symbols.begin(decoded.profile)
    for (let i = 0; i < decoded.profile.sampleCount; i++) {
      const id = symbols.stackOf(i, 0)
      if (id >= 0) ids.add(id)
    }
  }
  return [...ids]
}

const countsOf = (of: Symbols) => {
  const { stringCount, functionCount, mappingCount, locationCount, nodeCount, stackCount } = of
  return { stringCount, functionCount, mappingCount, locationCount, nodeCount, stackCount }
}

function takeAfter(others: readonly Uint8Array[], profiles: readonly Uint8Array[], subset = new SymbolsSubset()) {
  const builder = new SymbolsBuilder()
  intern(builder, others)
  const ids = intern(builder, profiles)
  return subset.take(builder.view(), Uint32Array.from(ids))
}

test('a subset is the same whatever else is there, and holds the stacks by content', () => {
  const subset = new SymbolsSubset()
  fc.assert(
    fc.property(
      fc.array(arbitraryPprof, { maxLength: 3 }),
      fc.array(arbitraryPprof, { minLength: 1, maxLength: 3 }),
      (others, profiles) => {
        const builder = new SymbolsBuilder()
        intern(builder, profiles)
        const own = builder.build()
        const alone = takeAfter([], profiles, subset)
        assert.deepEqual(takeAfter(others, profiles, subset), alone)
        assert.deepEqual(stackHashes(alone), stackHashes(own), 'each stack is what it was')
        assert.deepEqual(countsOf(alone), countsOf(own))
      },
    ),
    { numRuns: 60 },
  )
})

test('nothing of the rest is carried along', () => {
  const big = buildPprof(realShapedSpec({ samples: 200 }))
  const small = buildPprof({ samples: [{ stack: ['leaf', 'root'], values: [1] }] })
  const { locationCount, functionCount, nodeCount, stackCount, stringBytes } = takeAfter([big], [small])
  assert.deepEqual([locationCount, functionCount, nodeCount, stackCount], [2, 2, 3, 1])
  assert.ok(stringBytes.length < 64, `${stringBytes.length} bytes of strings`)
})

test('no stacks leave the empty string and the root', () => {
  const builder = new SymbolsBuilder()
  intern(builder, [buildPprof(realShapedSpec({ samples: 20 }))])
  const symbols = new SymbolsSubset().take(builder.view(), new Uint32Array(0))
  assert.deepEqual(symbols, new SymbolsBuilder().build())
})

test('the empty stack and a path deeper than the scratch', () => {
  const deep = buildPprof({
    samples: [
      { stack: [], values: [1] },
      { stack: Array.from({ length: 300 }, (_, i) => `f${i}`), values: [1] },
    ],
  })
  const { stackNode, nodeCount } = takeAfter([buildPprof(realShapedSpec({ samples: 10 }))], [deep])
  assert.deepEqual([[...stackNode], nodeCount], [[0, 300], 301])
})

const order = new SymbolsSubset()

function ordered(symbols: Symbols): Symbols {
  return order.take(
    symbols,
    Uint32Array.from({ length: symbols.stackCount }, (_, i) => i),
  )
}

const stacksArbitrary = fc.uniqueArray(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 6 }), {
  maxLength: 40,
  selector: (s) => JSON.stringify(s),
})

test('every stack keeps its number and its names; parents stay below their children', () => {
  fc.assert(
    fc.property(stacksArbitrary, fc.infiniteStream(fc.nat()), (stacks, seeds) => {
      const source = symbolsOf(stacks)
      // Stacks in another order than their nodes.
      const order = stacks
        .map((stack, i) => ({ stack, i, key: seeds.next().value as number }))
        .sort((a, b) => a.key - b.key)
      const shuffled = { ...source, stackNode: Uint32Array.from(order, ({ i }) => source.stackNode[i]!) }
      const result = ordered(shuffled)
      order.forEach(({ stack }, i) => assert.deepEqual(stackNames(result, i), stack))
      for (let node = 1; node < result.nodeCount; node++) assert.ok(result.nodeParent[node]! < node)
      assert.deepEqual(
        [result.nodeCount, result.locationCount, result.functionCount, result.stringCount],
        [source.nodeCount, source.locationCount, source.functionCount, source.stringCount],
      )
    }),
    { numRuns: 100 },
  )
})

test('rows are numbered in the order in which stacks use them', () => {
  const source = symbolsOf([
    ['c', 'main'],
    ['b', 'main'],
    ['a', 'main'],
  ])
  const last = { ...source, stackNode: Uint32Array.from(source.stackNode).reverse() }
  const result = ordered(last)
  assert.deepEqual([...result.stackNode], [2, 3, 4])
  assert.deepEqual([...result.nodeLocation], [0, 0, 1, 2, 3])
  assert.deepEqual(
    [0, 1, 2].map((stack) => stackNames(result, stack)[0]),
    ['a', 'b', 'c'],
  )
  assert.deepEqual([...result.functionName], [1, 3, 5, 7], 'name and file of each function in turn')
})

test('deep stacks need no recursion, and what no stack uses is left out', () => {
  const deep = Array.from({ length: 2_000 }, (_, i) => `f${i}`)
  const source = symbolsOf([deep, ['unused']])
  const result = ordered({ ...source, stackCount: 1, stackNode: source.stackNode.slice(0, 1) })
  assert.deepEqual(stackNames(result, 0), deep)
  assert.deepEqual([result.nodeCount, result.functionCount], [2_001, 2_000])
})

test('some stacks of a table come out as if there were no others', () => {
  fc.assert(
    fc.property(stacksArbitrary, fc.infiniteStream(fc.boolean()), (stacks, keep) => {
      const source = symbolsOf(stacks)
      const chosen = stacks.flatMap((_, i) => (keep.next().value ? [i] : []))
      const result = order.take(source, Uint32Array.from(chosen))
      assert.deepEqual(result, ordered(symbolsOf(chosen.map((i) => stacks[i]!))))
      chosen.forEach((stack, i) => assert.deepEqual(stackNames(result, i), stacks[stack]))
    }),
    { numRuns: 100 },
  )
})
