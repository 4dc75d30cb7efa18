import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { buildFunctionLevel, type FunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { internFrame, internText, stackNames, symbolsOf } from '../../support/symbols.ts'

function pathOf(level: FunctionLevel, names: StringTable, node: number): string[] {
  const path: string[] = []
  for (let at = node; at !== 0; at = level.parent[at]!)
    path.push(new TextDecoder().decode(names.viewBytes(level.name[at]!)))
  return path
}

const frame = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.constant(['inner', 'outer']), fc.constant(['a', 'b', 'c']))

test('every stack reads the same at both levels, and equal paths share nodes', () => {
  fc.assert(
    fc.property(fc.array(fc.array(frame, { maxLength: 6 }), { maxLength: 40 }), (stacks) => {
      const symbols = symbolsOf(stacks)
      const names = new StringTable()
      const level = buildFunctionLevel(symbols, names)
      const paths = new Set<string>()
      for (let node = 0; node < level.nodeCount; node++) {
        if (node > 0) assert.ok(level.parent[node]! < node)
        paths.add(pathOf(level, names, node).join('/'))
      }
      assert.equal(paths.size, level.nodeCount)
      for (let stack = 0; stack < symbols.stackCount; stack++) {
        const node = level.nodeToFunctionNode[symbols.stackNode[stack]!]!
        assert.deepEqual(pathOf(level, names, node), stackNames(symbols, stack))
      }
    }),
    { numRuns: 100 },
  )
})

test('a stack without any named frame is shown by binary and address; among named frames such a location is passed over', () => {
  const builder = new SymbolsBuilder()
  const filename = internText(builder, '/usr/lib/libc.so.6')
  const mapping = builder.internMapping({
    startLo: 0,
    startHi: 0,
    limitLo: 0,
    limitHi: 0,
    offsetLo: 0,
    offsetHi: 0,
    filename,
    buildId: 0,
    flags: 0,
  })
  const bare = {
    folded: 0,
    lineCount: 0,
    lineFunction: new Uint32Array(0),
    lineLo: new Uint32Array(0),
    lineHi: new Uint32Array(0),
  }
  const mapped = builder.internLocation({ ...bare, mapping: mapping + 1, addressLo: 0xbeef, addressHi: 0x7f })
  const unmapped = builder.internLocation({ ...bare, mapping: 0, addressLo: 0x10, addressHi: 0 })
  const main = internFrame(builder, 'main')
  const stacks = [
    [unmapped, mapped],
    [unmapped, main, mapped],
    [main, unmapped],
  ].map((locations) => builder.stacks.internStack(Uint32Array.from(locations), 0, locations.length))
  const names = new StringTable()
  const symbols = builder.build()
  const level = buildFunctionLevel(symbols, names)
  const paths = stacks.map((stack) => pathOf(level, names, level.nodeToFunctionNode[symbols.stackNode[stack]!]!))
  assert.deepEqual(paths, [['0x10', 'libc.so.6!0x7f0000beef'], ['main'], ['main']])
})
