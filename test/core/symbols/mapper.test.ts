import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { StackOfNode, SymbolsMapper } from '#core/symbols/mapper.ts'
import { type PlainStack, stackNames, symbolsOf } from '../../support/symbols.ts'

const frame = fc.oneof(fc.constantFrom('a', 'b', 'c', 'd'), fc.constant(['x', 'y']))
const stacksArbitrary = fc.uniqueArray(fc.array(frame, { maxLength: 6 }), {
  maxLength: 40,
  selector: (s) => JSON.stringify(s),
})

const spread = (stack: PlainStack): string[] => stack.flatMap((f) => (typeof f === 'string' ? [f] : [...f]))

test('stacks of many sources map to one stack per content, whatever the order of sources', () => {
  fc.assert(
    fc.property(stacksArbitrary, stacksArbitrary, (left, right) => {
      const builder = new SymbolsBuilder()
      const stackOfNode = new StackOfNode(builder)
      const sources = [left, right].map((stacks) => ({ stacks, symbols: symbolsOf(stacks) }))
      const mapped = new Map<string, number>()
      for (const { stacks, symbols } of sources) {
        const mapper = new SymbolsMapper(builder, symbols, stackOfNode)
        stacks.forEach((stack, i) => {
          const id = mapper.mapStack(i)
          const key = JSON.stringify(stack)
          assert.equal(mapped.get(key) ?? id, id)
          mapped.set(key, id)
        })
      }
      const symbols = builder.build()
      assert.equal(symbols.stackCount, mapped.size)
      for (const [key, id] of mapped) assert.deepEqual(stackNames(symbols, id), spread(JSON.parse(key)))
    }),
    { numRuns: 100 },
  )
})

test('what no stack points to is not mapped', () => {
  const source = symbolsOf([['used'], ['unused', 'also unused']])
  const builder = new SymbolsBuilder()
  new SymbolsMapper(builder, source, new StackOfNode(builder)).mapStack(0)
  const symbols = builder.build()
  assert.equal(symbols.functionCount, 1)
  assert.equal(symbols.nodeCount, 2)
  assert.equal(symbols.stackCount, 1)
})
