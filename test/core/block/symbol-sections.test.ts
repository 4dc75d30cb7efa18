import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as sections from '#core/block/symbol-sections.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import type { ByteWriter } from '#core/wire/byte-writer.ts'
import { arbitraryDataset } from '../../support/datasets.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

const dataset = fc.sample(arbitraryDataset(), { numRuns: 1, seed: 7 })[0]!
const symbols = dataset.symbols
const level = {
  nodeCount: 3,
  parent: Uint32Array.from([0, 0, 1]),
  name: Uint32Array.from([0, 2, 1]),
  nodeToFunctionNode: Uint32Array.from([0, 1, 2, 2]),
}
const lines = {
  locationCount: symbols.locationCount,
  locationLineStart: symbols.locationLineStart,
  lineFunction: symbols.lineFunction,
}

interface Case {
  write(out: ByteWriter): void
  read(input: ByteReader): object
  readonly expected: object
}

const CASES: Record<string, Case> = {
  strings: {
    write: (out) => sections.encodeStrings(symbols, out),
    read: (input) => sections.decodeStrings(input),
    expected: symbols,
  },
  functions: {
    write: (out) => sections.encodeFunctions(symbols, out),
    read: (input) => sections.decodeFunctions(input, symbols.stringCount),
    expected: symbols,
  },
  mappings: {
    write: (out) => sections.encodeMappings(symbols, out),
    read: (input) => sections.decodeMappings(input, symbols.stringCount),
    expected: symbols,
  },
  locationLines: {
    write: (out) => sections.encodeLines(symbols, out),
    read: (input) => sections.decodeLines(input, symbols.functionCount),
    expected: symbols,
  },
  locations: {
    write: (out) => sections.encodeLocations(symbols, out),
    read: (input) => sections.decodeLocations(input, lines, symbols.mappingCount),
    expected: symbols,
  },
  tree: {
    write: (out) => sections.encodeTree(symbols, out),
    read: (input) => sections.decodeTree(input, symbols.locationCount),
    expected: symbols,
  },
  stacks: {
    write: (out) => sections.encodeStacks(symbols, out),
    read: (input) => sections.decodeStacks(input, symbols.nodeCount),
    expected: symbols,
  },
  functionLevel: {
    write: (out) => sections.encodeFunctionLevel(level, out),
    read: (input) => sections.decodeFunctionLevel(input, 3),
    expected: level,
  },
}

for (const [name, { write, read, expected }] of Object.entries(CASES)) {
  test(`${name}: comes back`, () => {
    const back = read(new ByteReader(written(write), 'x')) as Record<string, unknown>
    for (const [column, values] of Object.entries(back))
      assert.deepEqual(values, (expected as Record<string, unknown>)[column], column)
  })

  test(`${name}: any bytes are symbols or data loss`, () => assertSafeDecoder(written(write), read))
}

test('references past their table are refused', () => {
  const table: [RegExp, () => unknown][] = [
    [/string \d+ of 1$/, () => sections.decodeFunctions(new ByteReader(written(CASES['functions']!.write), 'x'), 1)],
    [/function \d+ of 1$/, () => sections.decodeLines(new ByteReader(written(CASES['locationLines']!.write), 'x'), 1)],
    [/location \d+ of 1$/, () => sections.decodeTree(new ByteReader(written(CASES['tree']!.write), 'x'), 1)],
    [/node \d+ of 1$/, () => sections.decodeStacks(new ByteReader(written(CASES['stacks']!.write), 'x'), 1)],
    [
      /mapping \d+ of 1$/,
      () => sections.decodeLocations(new ByteReader(written(CASES['locations']!.write), 'x'), lines, 0),
    ],
    [
      /string 2 of 2$/,
      () => sections.decodeFunctionLevel(new ByteReader(written(CASES['functionLevel']!.write), 'x'), 2),
    ],
  ]
  for (const [message, decode] of table) assert.throws(decode, message)
})

test('a tree without a root or with a parent that is not below its child is refused', () => {
  const tree = (...distances: number[]): ByteReader =>
    new ByteReader(
      written((out) => {
        out.varint(distances.length)
        out.column32(Uint32Array.from(distances), distances.length)
        out.deltaColumn32(new Uint32Array(distances.length), distances.length)
      }),
      'x',
    )
  assert.throws(() => sections.decodeTree(tree(), 1), /no root/)
  assert.throws(() => sections.decodeTree(tree(1, 1), 1), /no root/)
  assert.throws(() => sections.decodeTree(tree(0, 0), 1), /parent of node 1/)
  assert.throws(() => sections.decodeTree(tree(0, 2), 1), /parent of node 1/)
  assert.equal(sections.decodeTree(tree(0, 1, 2), 1).nodeParent[2], 0)
})
