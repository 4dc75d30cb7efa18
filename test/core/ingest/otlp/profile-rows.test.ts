import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FunctionRows, LocationRows, MappingRows, StringColumns } from '#core/ingest/otlp/profile-rows.ts'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { RequestStrings } from '#core/ingest/otlp/request-strings.ts'
import { UsedRows } from '#core/ingest/otlp/used-rows.ts'

const ROWS = 1_000
/** Entry `i` of a dictionary becomes row `ROWS - 1 - i`. */
const reversed = Uint32Array.from({ length: ROWS }, (_, i) => ROWS - 1 - i)
const plus = (added: number) => Uint32Array.from({ length: ROWS }, (_, i) => i + added)
const wide = (added: number) => ({ lo: plus(added), hi: plus(added + 1) })

function usedReversed(): UsedRows {
  const used = new UsedRows(ROWS)
  for (let i = 0; i < ROWS; i++) used.set(i, ROWS - 1 - i)
  return used
}

test('mappings keep every row while they grow', () => {
  const mappings = new MappingRows()
  const range = { lo: Uint32Array.of(1, 2, 3), hi: Uint32Array.of(4, 5, 6) }
  for (let i = 0; i < ROWS; i++) {
    assert.equal(mappings.add(i, i & 7), i)
    mappings.set(i, range, i, i + 1)
  }
  for (const i of [0, 255, 256, ROWS - 1]) {
    const { slot, flags, filename, buildId } = mappings
    assert.deepEqual([slot[i], flags[i], filename[i], buildId[i]], [i, i & 7, i, i + 1])
    assert.deepEqual([mappings.start.lo[i], mappings.limit.hi[i], mappings.offset.lo[i]], [1, 5, 3])
  }
})

test('strings are gathered from where they lie, but the first, which is empty', () => {
  const ranges = new EntryRanges()
  for (let i = 0; i < ROWS; i++) ranges.push(i, i + 1 + (i % 3))
  const columns = new StringColumns()
  for (let row = 0; row < ROWS; row++) assert.equal(columns.add(reversed[row]!), row)
  columns.gather(new RequestStrings(new Uint8Array(ROWS + 3), ranges))
  assert.deepEqual([columns.start[0], columns.length[0]], [0, 0])
  for (const row of [1, 255, 256, ROWS - 1]) {
    const number = ROWS - 1 - row
    assert.deepEqual([columns.number[row], columns.start[row], columns.length[row]], [number, number, 1 + (number % 3)])
  }
})

test('functions are gathered by their index, with the rows of their strings', () => {
  const dictionary = {
    name: plus(0),
    systemName: reversed,
    filename: plus(0),
    startLineBytes: new Uint8Array(ROWS),
    startLine: wide(5),
  }
  const functions = new FunctionRows()
  for (let row = 0; row < ROWS; row++) assert.equal(functions.add(reversed[row]!), row)
  functions.gather(dictionary, usedReversed())
  for (const row of [0, 255, 256, ROWS - 1]) {
    const index = ROWS - 1 - row
    const { name, systemName, filename, startLine } = functions
    assert.deepEqual([name[row], systemName[row], filename[row]], [row, index, row])
    assert.deepEqual([startLine.lo[row], startLine.hi[row]], [index + 5, index + 6])
  }
})

test('locations are gathered with their lines, also after a profile of more', () => {
  // Location i has i % 3 lines.
  const lineStart = new Uint32Array(ROWS + 1)
  for (let i = 0; i < ROWS; i++) lineStart[i + 1] = lineStart[i]! + (i % 3)
  const dictionary = {
    mapping: plus(0),
    addressBytes: new Uint8Array(ROWS),
    address: wide(7),
    lineStart,
    lineFunction: plus(0),
    lineNumberBytes: new Uint8Array(ROWS),
    lineNumber: wide(9),
  }
  const locations = new LocationRows()
  for (const count of [ROWS, 2]) {
    locations.begin()
    for (let row = 0; row < count; row++) assert.equal(locations.add(reversed[row]!, row, reversed[row]! % 3), row)
    locations.gather(dictionary, usedReversed())
    assert.equal(locations.lineStart[count], locations.lineCount)
    for (const row of [0, 1, 255, 256, ROWS - 1].filter((each) => each < count)) {
      const index = ROWS - 1 - row
      assert.deepEqual(
        [locations.mapping[row], locations.address.lo[row], locations.address.hi[row]],
        [row, index + 7, index + 8],
      )
      const [from, to] = [locations.lineStart[row]!, locations.lineStart[row + 1]!]
      assert.equal(to - from, index % 3)
      for (let line = 0; line < to - from; line++) {
        const entry = lineStart[index]! + line
        const { lineFunction, lineNumber } = locations
        assert.deepEqual([lineFunction[from + line], lineNumber.hi[from + line]], [ROWS - 1 - entry, entry + 10])
      }
    }
    assert.ok(locations.folded.every((flag) => flag === 0))
  }
})
