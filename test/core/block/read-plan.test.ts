import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchedRanges, joinSpan, planDatasetRead, type ReadNeed, selectFrames } from '#core/block/read-plan.ts'
import { selectHeaders } from '#core/block/selection.ts'
import { decodeFrameColumns, decodeFunctionSymbols, decodeProfileIds, decodeSymbols } from '#core/block/read.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { sumInt64, getBigInt } from '#core/wire/int64.ts'
import {
  ARBITRARY_GROUPS,
  makeDataset,
  makeLabels,
  type ProfileSpec,
  type SampleSpec,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { buildObject, CountingReader } from '../../support/block-objects.ts'

/** 12 CPU profiles, 4 heap profiles with three types. */
function mixed(): Dataset {
  const heap = ARBITRARY_GROUPS[2]!
  const profile = (i: number, group: number): ProfileSpec => {
    const samples = Array.from({ length: 50 }, (_, s): SampleSpec => {
      const value = BigInt((s * 31 + i * 7) % 97)
      return {
        stack: [...String(s + i)],
        values: group === 0 ? [value, value * 10_000_000n] : [value, value * 13n + 1n, value ^ 5n],
      }
    })
    return { series: i % 2, group, timeNanos: WINDOW_START_NANOS + BigInt(i), id: i, samples }
  }
  const profiles = [
    ...Array.from({ length: 12 }, (_, i) => profile(i, 0)),
    ...Array.from({ length: 4 }, (_, i) => profile(i, 1)),
  ]
  return makeDataset({
    series: [makeLabels({ pod: 'a' }), makeLabels({ pod: 'b' })],
    groups: [ARBITRARY_GROUPS[0]!, heap],
    profiles,
  })
}

const dataset = mixed()
const EVERYTHING = { seriesMatches: () => true, startMs: 0, endMs: Number.MAX_SAFE_INTEGER, skip: [] }

for (const withFunctionLevel of [false, true]) {
  const object = buildObject([mixed(), { ...dataset, service: 'other' }], withFunctionLevel)
  const name = withFunctionLevel ? 'with a function level' : 'without a function level'

  test(`a flame graph takes two reads, ${name}`, () => {
    const reader = new CountingReader(object)
    const head = reader.openHead(1)
    const columns = [{ group: 1, type: 1 }]
    const headers = selectHeaders(head, { ...EVERYTHING, columns })
    const fetched = reader.fetch(head, { symbols: 'functions', headers, columns })
    const symbols = decodeFunctionSymbols(head, fetched)
    assert.equal(symbols.kind, withFunctionLevel ? 'function-level' : 'line-level')
    const { stackCount } = symbols.kind === 'function-level' ? symbols.stacks : symbols.symbols
    assert.equal(stackCount, dataset.symbols.stackCount)
    let total = 0n
    for (const frame of selectFrames(head, headers)) {
      const { values, spanId } = decodeFrameColumns(head, fetched, { frame, types: [1], spans: true, stackCount })
      total += sumInt64(values[0]!, 0, frame.rowCount)
      assert.equal(spanId, undefined)
    }
    let expected = 0n
    for (const h of headers) expected += getBigInt(dataset.headers.totals[1]!, h)
    assert.equal(headers.length, 4)
    assert.equal(total, expected)
    assert.equal(reader.reads, 2)
  })

  test(`time series take one read, ids and symbols alone two, ${name}`, () => {
    const reader = new CountingReader(object)
    const head = reader.openHead()
    assert.equal(head.headers.count, 16)
    assert.equal(reader.reads, 1)
    const nothing: ReadNeed = { symbols: 'none', headers: new Uint32Array(0), columns: [] }
    assert.deepEqual(planDatasetRead(head, nothing), [])
    assert.deepEqual(
      decodeProfileIds(head, reader.fetch(head, { ...nothing, profileIds: true })),
      dataset.headers.profileId,
    )
    assert.deepEqual(decodeSymbols(head, reader.fetch(head, { ...nothing, symbols: 'all' })), dataset.symbols)
    assert.equal(reader.reads, 3)
  })
}

test('with a function level a flame graph reads fewer bytes', () => {
  const object = buildObject([dataset], true)
  const head = new CountingReader(object).openHead()
  const bytesOf = (symbols: ReadNeed['symbols']): number =>
    planDatasetRead(head, { symbols, headers: new Uint32Array(0), columns: [] }).reduce(
      (sum, r) => sum + r.lengthBytes,
      0,
    )
  assert.ok(bytesOf('functions') < bytesOf('all'))
  assert.equal(bytesOf('none'), 0)
})

test('frames are selected by header, each once', () => {
  const head = new CountingReader(buildObject([dataset])).openHead()
  const groupsOf = (...positions: number[]): number[] =>
    selectFrames(head, Uint32Array.from(positions)).map(({ group }) => group)
  assert.deepEqual(groupsOf(), [])
  assert.deepEqual(groupsOf(0, 3, 11), [0])
  assert.deepEqual(groupsOf(12, 15), [1])
  assert.deepEqual(groupsOf(11, 12), [0, 1])
})

test('bytes that were not fetched, or came short, are data loss', () => {
  const fetched = new FetchedRanges([{ offset: 100, bytes: Uint8Array.from([1, 2, 3, 4]) }])
  assert.deepEqual([...fetched.view(101, 2)], [2, 3])
  assert.deepEqual([...fetched.view(0, 0)], [])
  assert.throws(() => fetched.view(102, 3), /object: bytes 102\.\.105 are missing/)
  assert.throws(() => fetched.view(99, 1), /missing/)
})

test('ranges that lie apart become one if the waste is at most 1 MiB and the request at most 8 MiB', () => {
  const mib = 1024 * 1024
  const range = (offset: number, lengthBytes: number) => ({ offset, lengthBytes })
  assert.deepEqual(joinSpan([]), [])
  assert.deepEqual(joinSpan([range(5, 20 * mib)]), [range(5, 20 * mib)])
  assert.deepEqual(joinSpan([range(5, 10), range(15 + mib, 10)]), [range(5, 20 + mib)])
  assert.deepEqual(joinSpan([range(5, 10), range(16 + mib, 10)]), [range(5, 10), range(16 + mib, 10)])
  assert.deepEqual(joinSpan([range(0, 4 * mib), range(5 * mib, 3 * mib)]), [range(0, 8 * mib)])
  assert.deepEqual(joinSpan([range(0, 4 * mib), range(5 * mib, 3 * mib + 1)]).length, 2)
})

test('a large dictionary between two needs costs no third read', () => {
  // 3,000 names of 64 hexadecimal digits that zstd cannot shrink below half: 90 KiB between the ids and the frames.
  const name = (i: number): string =>
    Array.from({ length: 8 }, (_, k) =>
      (Math.imul(i * 8 + k + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0'),
    ).join('')
  const samples = Array.from({ length: 3000 }, (_, i): SampleSpec => ({ stack: [name(i)], values: [1n, 10_000_000n] }))
  const profile: ProfileSpec = { series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id: 1, samples }
  const large = makeDataset({ series: [[]], groups: ARBITRARY_GROUPS.slice(0, 1), profiles: [profile] })
  const reader = new CountingReader(buildObject([large]))
  const head = reader.openHead()
  const { offset, storedBytes } = head.section('strings')
  assert.ok(storedBytes > 64 * 1024)
  const headers = Uint32Array.of(0)
  const ranges = planDatasetRead(head, { symbols: 'none', headers, columns: [{ group: 0, type: 0 }], profileIds: true })
  assert.equal(ranges.length, 1)
  assert.ok(ranges[0]!.offset < head.descriptor.offset + offset)
})
