import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeDataset, decodeFrameColumns, FetchedRanges, openDataset, verifyObject } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { encodeTable, type EncodedSection } from '#core/block/section-table.ts'
import { SECTION_KIND } from '#core/block/format.ts'
import {
  arbitraryDataset,
  makeDataset,
  plainDataset,
  ARBITRARY_GROUPS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { buildObject, functionLevelOf, regionOf, TEST_CODEC } from '../../support/block-objects.ts'
import { isDataLoss } from '../../support/block-faults.ts'

test('frames read by need hold the same rows as the dataset read whole', () => {
  fc.assert(
    fc.property(arbitraryDataset(), (dataset) => {
      const object = buildObject([dataset])
      const head = openDataset(regionOf(object), object.descriptors[0]!, TEST_CODEC)
      const fetched = new FetchedRanges([{ offset: 0, bytes: object.bytes }])
      for (const frame of head.frames) {
        const rows = dataset.rows[frame.group]!
        const types = rows.values.map((_, type) => type)
        const stackCount = dataset.symbols.stackCount
        const columns = decodeFrameColumns(head, fetched, { frame, types, spans: true, stackCount })
        const end = frame.rowStart + frame.rowCount
        assert.deepEqual(columns.stackId, rows.stackId.slice(frame.rowStart, end))
        columns.values.forEach((column, type) => {
          assert.deepEqual(column.lo, rows.values[type]!.lo.slice(frame.rowStart, end))
          assert.deepEqual(column.hi, rows.values[type]!.hi.slice(frame.rowStart, end))
        })
        if (columns.spanId !== undefined) {
          assert.deepEqual(columns.spanId.lo, rows.spanId!.lo.slice(frame.rowStart, end))
          assert.deepEqual(columns.traceIdLow!.hi, rows.traceIdLow!.hi.slice(frame.rowStart, end))
        }
      }
    }),
  )
})

const samples = [
  { stack: ['main'], values: [1n, 2n] },
  { stack: ['gc', 'main'], values: [4n, 2n] },
]
const profiles = [1, 2].map((id) => ({ series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id, samples }))
const small = makeDataset({ series: [[]], groups: ARBITRARY_GROUPS.slice(0, 1), profiles })

test('whole objects verify, with and without a function level', () => {
  for (const withFunctionLevel of [false, true])
    assert.equal(verifyObject(buildObject([small], withFunctionLevel).bytes, TEST_CODEC).datasets.length, 1)
})

test('a short region is data loss', () => {
  const object = buildObject([small])
  const region = regionOf(object)
  for (const length of [0, 10, object.descriptors[0]!.headBytes, region.length - 1])
    assert.throws(() => decodeDataset(region.subarray(0, length), object.descriptors[0]!, TEST_CODEC), isDataLoss)
})

/** The region with its table written anew around changed sections: every checksum right, the content not. */
function rewritten(change: (sections: EncodedSection[]) => void): ReturnType<typeof encodeObject> {
  const encoded = encodeDataset(small, { codec: TEST_CODEC, functionLevel: functionLevelOf(small) })
  const descriptor = buildObject([small], true).descriptors[0]!
  const { entries } = openDataset(encoded.bytes, descriptor, TEST_CODEC).table
  const sections = entries.map(
    (entry): EncodedSection => ({
      ...entry,
      stored: encoded.bytes.slice(entry.offset, entry.offset + entry.storedBytes),
    }),
  )
  change(sections)
  const table = encodeTable(sections, 5, small)
  const headBytes = sections.slice(0, 5).reduce((sum, { stored }) => sum + stored.length, table.length)
  const bytes = new Uint8Array([...table, ...sections.flatMap(({ stored }) => [...stored])])
  const { tenant, service, windowStartMs, windowMs } = small
  const datasets = [{ tenant, service, windowStartMs, windowMs, encoded: { ...encoded, bytes, headBytes } }]
  return encodeObject({ objectId: 'x', level: 1, createdMs: 0, sources: [], datasets })
}

function stored(sections: EncodedSection[], kind: number): Uint8Array {
  return sections.find((section) => section.kind === kind)!.stored
}

test('order is checked again by the reader, on its own path', () => {
  assert.equal(verifyObject(rewritten(() => {}).bytes, TEST_CODEC).level, 1)
  const swapIds = rewritten((sections) => stored(sections, SECTION_KIND.profileIds).reverse())
  assert.throws(() => verifyObject(swapIds.bytes, TEST_CODEC), /dataset 0 .*header 1 sorts before header 0/)
})

test('sums of series that do not exist are refused', () => {
  const other = rewritten((sections) => void (stored(sections, SECTION_KIND.sums)[2] = 9))
  assert.throws(() => verifyObject(other.bytes, TEST_CODEC), /section sums: sum of group 0, series 9, type 0/)
})

test('a section of a later minor version is skipped, a missing one is named', () => {
  const stranger: EncodedSection = {
    kind: 99,
    required: false,
    codec: 3,
    rawBytes: 4,
    stored: Uint8Array.from([1, 2, 3, 4]),
  }
  const object = rewritten((sections) => sections.push(stranger))
  verifyObject(object.bytes, TEST_CODEC)
  const region = object.bytes.subarray(8, 8 + object.descriptors[0]!.sizeBytes)
  assert.deepEqual(plainDataset(decodeDataset(region, object.descriptors[0]!, TEST_CODEC)), plainDataset(small))
  const missing = rewritten((sections) =>
    sections.splice(
      sections.findIndex(({ kind }) => kind === SECTION_KIND.tree),
      1,
    ),
  )
  assert.throws(() => verifyObject(missing.bytes, TEST_CODEC), /section tree is missing/)
})
