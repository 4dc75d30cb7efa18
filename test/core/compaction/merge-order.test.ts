import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FirstUseOrder } from '#core/compaction/merge-order.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { stackNames, symbolsOf } from '../../support/symbols.ts'

const order = new FirstUseOrder()

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
