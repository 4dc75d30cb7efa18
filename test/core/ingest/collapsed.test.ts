import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readGroups, readLines } from '#core/ingest/collapsed.ts'
import { StackFault } from '#core/ingest/stack-counts.ts'
import { countsOf } from '../../support/stack-counts.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const groups = (text: string) => countsOf(readGroups(bytes(text)))

test('groups: stacks and counts, equal stacks added', () => {
  const cases: [text: string, counts: Record<string, bigint>][] = [
    ['main;work 3\nmain;work;leaf 2\nmain;work 4\n', { 'main;work': 7n, 'main;work;leaf': 2n }],
    ['a 1', { a: 1n }],
    ['a 1\r\nb 2\r\n', { a: 1n, b: 2n }],
    ['main loop;do work 3', { 'main loop;do work': 3n }],
    ['größe;仕事 3', { 'größe;仕事': 3n }],
    ['no count\nmain;work\na 1\n\n', { a: 1n }],
    ['a -3\nb +4\nc 0', { b: 4n }],
    ['a 9223372036854775807', { a: 2n ** 63n - 1n }],
    ['', {}],
  ]
  for (const [text, counts] of cases) {
    if (text.startsWith('no count')) assert.throws(() => groups(text), StackFault)
    else assert.deepEqual(groups(text), counts, text)
  }
  assert.deepEqual(groups('main;work\na 1\n\n'), { a: 1n }, 'a line without a space is no stack')
})

test('groups: a count that is none, and a body that is no text, are refused', () => {
  for (const text of ['a x', 'a 1.5', 'a 9223372036854775808', 'a 0x1', 'a 1_000', 'a '])
    assert.throws(() => readGroups(bytes(text)), StackFault, text)
  assert.throws(() => readGroups(new Uint8Array([0x61, 0xff, 0x20, 0x31])), /not UTF-8/)
})

test('a line may be longer than any buffer', () => {
  const name = 'x'.repeat(200_000)
  assert.deepEqual(groups(`a 1\n${name} 2\nb 3`), { a: 1n, [name]: 2n, b: 3n })
})

test('lines: every line is one sample', () => {
  assert.deepEqual(countsOf(readLines(bytes('main;work\nmain;idle 3\n\nmain;work\r\n'))), {
    'main;work': 2n,
    'main;idle 3': 1n,
  })
})

test('what is written as groups is read as it was', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'ü', '.'), minLength: 1, maxLength: 6 })
  const stack = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join(';'))
  fc.assert(
    fc.property(fc.array(fc.tuple(stack, fc.bigInt({ min: 1n, max: 2n ** 40n }))), (entries) => {
      const expected: Record<string, bigint> = {}
      for (const [key, count] of entries) expected[key] = (expected[key] ?? 0n) + count
      assert.deepEqual(groups(entries.map(([key, count]) => `${key} ${count}\n`).join('')), expected)
    }),
    { numRuns: 100 },
  )
})
