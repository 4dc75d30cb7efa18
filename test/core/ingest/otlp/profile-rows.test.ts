import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FunctionRows, LocationRows, MappingRows, StringColumns } from '#core/ingest/otlp/profile-rows.ts'

const ROWS = 1_000

test('columns keep every row while they grow', () => {
  const strings = new StringColumns()
  const functions = new FunctionRows()
  const mappings = new MappingRows()
  const locations = new LocationRows()
  locations.begin()
  const range = { lo: Uint32Array.of(1, 2, 3), hi: Uint32Array.of(4, 5, 6) }
  for (let i = 0; i < ROWS; i++) {
    assert.equal(strings.add(i, i + 1, i + 2), i)
    assert.equal(functions.add(i, i + 1, i + 2), i)
    functions.startLine.lo[i] = i
    assert.equal(mappings.add(i, i & 7), i)
    mappings.set(i, range, i, i + 1)
    assert.equal(locations.add(i, i + 1, i + 2), i)
    locations.addLine(i, i + 1, i + 2)
    locations.addLine(i, 0, 0)
    locations.lineStart[i + 1] = locations.lineCount
  }
  for (const i of [0, 255, 256, ROWS - 1]) {
    assert.deepEqual([strings.number[i], strings.start[i], strings.length[i]], [i, i + 1, i + 2])
    assert.deepEqual([functions.name[i], functions.systemName[i], functions.filename[i]], [i, i + 1, i + 2])
    assert.deepEqual([functions.startLine.lo[i], functions.startLine.hi[i]], [i, 0])
    assert.deepEqual(
      [mappings.slot[i], mappings.flags[i], mappings.filename[i], mappings.buildId[i]],
      [i, i & 7, i, i + 1],
    )
    assert.deepEqual([mappings.start.lo[i], mappings.limit.hi[i], mappings.offset.lo[i]], [1, 5, 3])
    assert.deepEqual([locations.mapping[i], locations.address.lo[i], locations.address.hi[i]], [i, i + 1, i + 2])
    assert.deepEqual(
      [locations.lineStart[i], locations.lineFunction[2 * i], locations.lineNumber.hi[2 * i]],
      [2 * i, i, i + 2],
    )
    assert.equal(locations.folded[i], 0)
  }
})
