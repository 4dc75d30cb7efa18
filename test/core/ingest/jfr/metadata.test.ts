import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findParts, readChunkHeader } from '#core/ingest/jfr/chunks.ts'
import { JfrCursor } from '#core/ingest/jfr/cursor.ts'
import { type JfrClasses, readMetadata } from '#core/ingest/jfr/metadata.ts'
import { writeJfr } from '../../../support/jfr-writer.ts'

/** A string table and elements by their numbers. */
function read(strings: readonly string[], elements: readonly number[]): JfrClasses {
  const bytes = [1, 0, 1, strings.length]
  for (const text of strings) bytes.push(3, text.length, ...Buffer.from(text))
  bytes.push(...elements)
  const cursor = new JfrCursor()
  cursor.begin(Uint8Array.from(bytes), 0, bytes.length)
  return readMetadata(cursor)
}

const STRINGS = ['root', 'class', 'field', 'id', 'name', '7', 'A', 'constantPool', 'true', 'dimension', '1']

test('classes have fields in their order, with what they are of', () => {
  const field = [2, 4, 4, 6, 1, 5, 7, 8, 9, 10, 0]
  const classes = read(STRINGS, [0, 0, 1, 1, 2, 3, 5, 4, 6, 1, ...field])
  assert.deepEqual(
    [...classes.values()],
    [{ id: 7, name: 'A', fields: [{ name: 'A', type: 7, isPooled: true, isArray: true }] }],
  )
})

test('metadata of a whole chunk', () => {
  for (const isCompressed of [true, false]) {
    const bytes = writeJfr([{ events: [], isCompressed }])
    const cursor = new JfrCursor()
    cursor.begin(bytes, 0, bytes.length)
    const chunk = readChunkHeader(cursor, 0)
    cursor.isCompressed = isCompressed
    const { metadata } = findParts(cursor, chunk)
    cursor.begin(bytes, metadata.start, metadata.end)
    const names = new Map([...readMetadata(cursor).values()].map(({ name, fields }) => [name, fields]))
    assert.deepEqual(
      names.get('jdk.types.StackTrace')?.map(({ name, isArray }) => [name, isArray]),
      [
        ['truncated', false],
        ['frames', true],
      ],
    )
    assert.equal(names.get('jdk.types.Symbol')?.[0]?.isPooled, false)
  }
})

test('what no writer writes is a fault that says what', () => {
  const faults: readonly (readonly [number[], RegExp])[] = [
    [[0, 0, 2, 1, 1, 3, 5, 0, 1, 1, 3, 5, 0], /has the class 7 twice/],
    [[0, 0, 1, 2, 1, 1, 5, 0], /a field outside of a class/],
    [[0, 0, 1, 1, 1, 3, 6, 0], /a class of its metadata has the type A/],
    [[0, 0, 1, 1, 0, 0], /a class of its metadata has the type none/],
    [[99, 0, 0], /names the string 99, it has 11/],
    [[0, 0, 40], /40 elements at byte \d+ pass/],
    [Array.from({ length: 20 }, () => [0, 0, 1]).flat(), /lie more than 16 deep/],
  ]
  for (const [elements, message] of faults) assert.throws(() => read(STRINGS, elements), message)
})
