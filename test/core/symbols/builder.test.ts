import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LocationRow, SymbolsBuilder } from '#core/symbols/builder.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

function internText(builder: SymbolsBuilder, text: string): number {
  const bytes = encode(text)
  return builder.strings.intern(bytes, 0, bytes.length)
}

function location(functions: readonly number[], line: number, mapping = 0): LocationRow {
  return {
    mapping,
    addressLo: 0,
    addressHi: 0,
    folded: 0,
    lineCount: functions.length,
    lineFunction: Uint32Array.from(functions),
    lineLo: Uint32Array.from(functions, () => line),
    lineHi: new Uint32Array(functions.length),
  }
}

test('functions differ by each of their fields', () => {
  const builder = new SymbolsBuilder()
  const base = { name: 1, systemName: 2, filename: 3, startLineLo: 4, startLineHi: 5 }
  const id = builder.internFunction(base)
  assert.equal(builder.internFunction({ ...base }), id)
  for (const key of Object.keys(base)) assert.notEqual(builder.internFunction({ ...base, [key]: 99 }), id, key)
  assert.equal(builder.build().functionCount, 6)
})

test('mappings differ by each of their fields', () => {
  const builder = new SymbolsBuilder()
  const base = {
    startLo: 1,
    startHi: 2,
    limitLo: 3,
    limitHi: 4,
    offsetLo: 5,
    offsetHi: 6,
    filename: 7,
    buildId: 8,
    flags: 1,
  }
  const id = builder.internMapping(base)
  assert.equal(builder.internMapping({ ...base }), id)
  for (const key of Object.keys(base)) assert.notEqual(builder.internMapping({ ...base, [key]: 9 }), id, key)
})

test('locations keep their lines in order and differ by line, inlining, mapping', () => {
  const builder = new SymbolsBuilder()
  const inner = builder.internFunction({
    name: internText(builder, 'inner'),
    systemName: 0,
    filename: 0,
    startLineLo: 0,
    startLineHi: 0,
  })
  const outer = builder.internFunction({
    name: internText(builder, 'outer'),
    systemName: 0,
    filename: 0,
    startLineLo: 0,
    startLineHi: 0,
  })
  const inlined = builder.internLocation(location([inner, outer], 10))
  assert.equal(builder.internLocation(location([inner, outer], 10)), inlined)
  assert.notEqual(builder.internLocation(location([outer, inner], 10)), inlined)
  assert.notEqual(builder.internLocation(location([inner, outer], 11)), inlined)
  assert.notEqual(builder.internLocation(location([inner, outer], 10, 1)), inlined)
  const symbols = builder.build()
  assert.equal(symbols.locationCount, 4)
  const start = symbols.locationLineStart[inlined]!
  assert.deepEqual([...symbols.lineFunction.subarray(start, symbols.locationLineStart[inlined + 1])], [inner, outer])
})

test('thousands of rows survive the growth of tables', () => {
  const builder = new SymbolsBuilder()
  const ids: number[] = []
  for (let i = 0; i < 5000; i++) {
    const name = internText(builder, `f${i}`)
    const fn = builder.internFunction({ name, systemName: name, filename: 0, startLineLo: i, startLineHi: 0 })
    ids.push(builder.internLocation(location([fn], i)))
  }
  assert.equal(new Set(ids).size, 5000)
  const symbols = builder.build()
  const fn = symbols.lineFunction[symbols.locationLineStart[ids[4321]!]!]!
  const name = symbols.functionName[fn]!
  const bytes = symbols.stringBytes.subarray(symbols.stringOffset[name]!, symbols.stringOffset[name + 1]!)
  assert.equal(new TextDecoder().decode(bytes), 'f4321')
})
