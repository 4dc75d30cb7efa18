import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MergedSymbols } from '#core/compaction/merge-symbols.ts'
import { type PlainStack, stackNames, symbolsOf } from '../../support/symbols.ts'

const frame = fc.oneof(fc.constantFrom('a', 'b', 'c', 'd'), fc.constant(['x', 'y']))
const stacksArbitrary = fc.uniqueArray(fc.array(frame, { maxLength: 6 }), {
  maxLength: 40,
  selector: (s) => JSON.stringify(s),
})

const NOTHING = symbolsOf([])

const spread = (stack: PlainStack): string[] => stack.flatMap((f) => (typeof f === 'string' ? [f] : [...f]))

test('stacks of many sources map to one stack per content, whatever the order of sources', () => {
  fc.assert(
    fc.property(stacksArbitrary, stacksArbitrary, fc.boolean(), (left, right, presized) => {
      const sources = [left, right].map((stacks) => ({ stacks, symbols: symbolsOf(stacks) }))
      // Tables that begin too small must grow without losing a row.
      const merged = new MergedSymbols(presized ? sources[0]!.symbols : NOTHING)
      const mapped = new Map<string, number>()
      for (const { stacks, symbols } of sources) {
        const source = merged.addSource(symbols, new Uint8Array(symbols.stackCount).fill(1))
        stacks.forEach((stack, i) => {
          const id = source[i]!
          const key = JSON.stringify(stack)
          assert.equal(mapped.get(key) ?? id, id)
          mapped.set(key, id)
        })
      }
      const { symbols } = merged.take()
      assert.equal(symbols.stackCount, mapped.size)
      for (const [key, id] of mapped) assert.deepEqual(stackNames(symbols, id), spread(JSON.parse(key)))
      const names = new Set([...mapped.keys()].flatMap((key) => spread(JSON.parse(key))))
      assert.equal(symbols.functionCount, names.size, 'equal functions are one row')
    }),
    { numRuns: 100 },
  )
})

test('thousands of rows grow every table', () => {
  const stacks = Array.from({ length: 3_000 }, (_, i) => [
    `leaf ${i} with a name of some length`,
    `middle ${i % 70}`,
    'main',
  ])
  const source = symbolsOf(stacks)
  const merged = new MergedSymbols(NOTHING)
  const used = new Uint8Array(source.stackCount).fill(1)
  const [first, again] = [merged.addSource(source, used), merged.addSource(source, used)]
  stacks.forEach((_, i) => assert.equal(first[i], again[i]))
  const { symbols, functionLevel } = merged.take()
  assert.deepEqual(
    [symbols.stackCount, symbols.functionCount, symbols.nodeCount, functionLevel.nodeCount],
    [3_000, 3_071, 6_001, 6_001].map((n, i) => (i < 2 ? n : source.nodeCount)),
  )
  stacks.forEach((stack, i) => assert.deepEqual(stackNames(symbols, i), stack))
})

test('what no stack points to is not mapped', () => {
  const source = symbolsOf([['used'], ['unused', 'also unused']])
  const merged = new MergedSymbols(source)
  merged.addSource(source, Uint8Array.of(1, 0))
  const { symbols } = merged.take()
  assert.equal(symbols.functionCount, 1)
  assert.equal(symbols.nodeCount, 2)
  assert.equal(symbols.stackCount, 1)
})
