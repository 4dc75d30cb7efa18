import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SymbolsSubset } from '#core/symbols/subset.ts'
import { MergeMemory, ServiceSymbols } from '#core/compaction/service-symbols.ts'
import { buildFunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { createCodec } from '#platform/codec.ts'
import { distinctStacks } from '../../support/plain-dataset.ts'
import { type PlainStack, stackNames, symbolsOf } from '../../support/symbols.ts'

const tools = { codec: createCodec(), order: new SymbolsSubset() }
const stacksArbitrary = fc.uniqueArray(fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 5 }), {
  maxLength: 20,
  selector: (s) => JSON.stringify(s),
})

function merge(of: ServiceSymbols, sources: readonly (readonly PlainStack[])[]) {
  const stackOf = sources.map((stacks) => of.addSource(symbolsOf(stacks), new Uint8Array(stacks.length).fill(1)))
  return { stackOf, prepared: of.take(stackOf, tools) }
}

test('a merge holds the stacks of its own sources, whatever the service brought before', () => {
  fc.assert(
    fc.property(fc.array(fc.array(stacksArbitrary, { minLength: 1, maxLength: 3 }), { maxLength: 4 }), (merges) => {
      const service = new ServiceSymbols()
      for (const sources of merges) {
        const { stackOf, prepared } = merge(service, sources)
        const { symbols, functionLevel } = prepared
        sources.forEach((stacks, i) =>
          stacks.forEach((stack, s) => assert.deepEqual(stackNames(symbols, stackOf[i]![s]!), stack)),
        )
        assert.equal(symbols.stackCount, new Set(sources.flat().map((stack) => JSON.stringify(stack))).size)
        const names = new StringTable()
        assert.equal(functionLevel.nodeCount, buildFunctionLevel(symbols, names).nodeCount)
        // Made by itself: the same columns, but for the order of stacks that the service gave.
        const alone = merge(new ServiceSymbols(), [sources.flat()]).prepared.symbols
        assert.deepEqual(
          [symbols.nodeCount, symbols.functionCount, symbols.stringCount, symbols.stringBytes.length],
          [alone.nodeCount, alone.functionCount, alone.stringCount, alone.stringBytes.length],
        )
      }
    }),
    { numRuns: 60 },
  )
})

test('the same stacks as before are prepared once', () => {
  const service = new ServiceSymbols()
  const stacks = [['a', 'main'], ['b', 'main'], ['c']]
  const first = merge(service, [stacks]).prepared
  const again = merge(service, [[...stacks].reverse(), stacks])
  assert.equal(again.prepared, first)
  assert.deepEqual(
    again.stackOf.map((column) => [...column]),
    [
      [2, 1, 0],
      [0, 1, 2],
    ],
  )
  assert.notEqual(merge(service, [stacks.slice(1)]).prepared, first)
})

test('the memory keeps what fits, forgets the least recent, and gives a service to one merge', () => {
  const memory = new MergeMemory()
  const put = (service: string, stacks: number, seed: number): ServiceSymbols => {
    const symbols = memory.take('acme', service)
    const source = distinctStacks(stacks, seed)
    const stackOf = symbols.addSource(source, new Uint8Array(source.stackCount).fill(1))
    symbols.take([stackOf], tools)
    memory.keep('acme', service, symbols)
    return symbols
  }
  const small = put('small', 10, 0)
  assert.equal(memory.heldBytes, small.sizeBytes)
  assert.equal(memory.take('acme', 'small'), small)
  assert.equal(memory.heldBytes, 0)
  assert.notEqual(memory.take('acme', 'small'), small, 'a merge has it, or failed with it')
  put('bomb', 60_000, 0)
  assert.equal(memory.heldBytes, 0, 'larger than one service may be')
  const services = Array.from({ length: 40 }, (_, i) => put(`shop-${i}`, 2_000, i * 2_000))
  assert.ok(memory.heldBytes <= 32 << 20)
  assert.ok(memory.heldBytes > 16 << 20)
  assert.equal(memory.take('acme', 'shop-39'), services[39])
  assert.notEqual(memory.take('acme', 'shop-0'), services[0])
  assert.notEqual(memory.take('other', 'shop-38'), services[38], 'tenants share nothing')
})
