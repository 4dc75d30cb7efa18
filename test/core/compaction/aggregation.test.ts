import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAME_ROWS_TARGET } from '#core/block/format.ts'
import { decodeDataset, openDataset, verifyObject } from '#core/block/read.ts'
import { encodeObject, type ObjectDataset } from '#core/block/write.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { aggregationOf, JOIN_ROWS_MAX, planJoins, RowJoiner } from '#core/compaction/aggregation.ts'
import { mergeRegions } from '#core/compaction/merge-regions.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import { contentsOf, type ProfileContent } from '../../support/contents.ts'
import { arbitraryDataset, WINDOW_START_MS } from '../../support/datasets.ts'
import { encodeSource } from '../../support/objects.ts'
import { distinctStacks, plainDataset } from '../../support/plain-dataset.ts'
import { seededRandom } from '../../support/profiles.ts'

const codec = createCodec()
const HOUR = { windowStartMs: WINDOW_START_MS, windowMs: 3_600_000 }

function regionOf(dataset: Dataset, number: number) {
  const { source, bytes } = encodeSource(number, [{ dataset }])
  const { descriptor } = source.datasets[0]!
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
  return { descriptor, skip: [] as number[], region }
}

function storedRegion(dataset: ObjectDataset) {
  const objectId = '01JD8ZQ4T6M3B5X9W2R1C0V87K'
  const { bytes, descriptors } = encodeObject({ objectId, level: 1, createdMs: 0, sources: [], datasets: [dataset] })
  verifyObject(bytes, codec)
  const descriptor = descriptors[0]!
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
  return { descriptor, skip: [] as number[], region }
}

const decode = (dataset: ObjectDataset): Dataset => {
  const { region, descriptor } = storedRegion(dataset)
  return decodeDataset(region, descriptor, codec)
}

const merge = (regions: readonly ReturnType<typeof regionOf>[], aggregationWindowMs: number) =>
  mergeRegions(regions, { codec, window: HOUR, budgetBytes: 1 << 30, aggregationWindowMs })

const wrap = (value: bigint): string => String(BigInt.asIntN(64, value))

/** Sums of values by stack, span and trace, whatever profile they came with; zeros show that there was a row. */
function sumsOf(profiles: readonly ProfileContent[]): Map<string, string> {
  const sums = new Map<string, string>()
  for (const text of profiles.flatMap(({ samples }) => samples)) {
    const cut = text.lastIndexOf(': ')
    const key = text.slice(0, cut)
    sums.set(key, wrap(BigInt(sums.get(key) ?? '0') + BigInt(text.slice(cut + 2))))
  }
  return sums
}

const windowKey = (profile: ProfileContent, windowMs: number): string =>
  [profile.series, profile.type, BigInt(profile.timeNanos) / BigInt(windowMs * 1e6)].join('|')

/** Of two with one time and id, as they are made up here, the one with rows. */
function compareInRun(a: ProfileContent, b: ProfileContent): number {
  const nanos = BigInt(a.timeNanos) - BigInt(b.timeNanos)
  if (nanos !== 0n) return nanos < 0n ? -1 : 1
  if (a.id !== b.id) return a.id < b.id ? -1 : 1
  return b.samples.length - a.samples.length
}

const WINDOWS = fc.constantFrom(1_000, 15_000, 600_000, 3_600_000)
const DATASETS = fc.array(arbitraryDataset(), { minLength: 1, maxLength: 4 })

test('profiles of a series and window become one: every id stays, every sum stays, the first has it all', () => {
  fc.assert(
    fc.property(DATASETS, WINDOWS, (datasets, windowMs) => {
      const regions = datasets.map(regionOf)
      const before = contentsOf(decode(merge(regions, 0).dataset))
      const { dataset, joinedSamples } = merge(regions, windowMs)
      const after = contentsOf(decode(dataset))
      const idsOf = (profiles: readonly ProfileContent[]) =>
        profiles.map(({ id, type, timeNanos }) => [id, type, timeNanos])
      assert.deepEqual(idsOf(after).sort(), idsOf(before).sort())
      const rowsIn = datasets.reduce((sum, { rows }) => sum + rows.reduce((all, { rowCount }) => all + rowCount, 0), 0)
      assert.equal(dataset.encoded.sampleCount + joinedSamples, rowsIn)
      const runs = Map.groupBy(before, (profile) => windowKey(profile, windowMs))
      const joined = Map.groupBy(after, (profile) => windowKey(profile, windowMs))
      for (const [key, run] of runs) {
        const [first, ...rest] = joined.get(key)!.sort(compareInRun)
        assert.deepEqual(sumsOf([first!]), sumsOf(run), key)
        assert.equal(first!.total, wrap(run.reduce((sum, { total }) => sum + BigInt(total), 0n)), key)
        assert.equal(
          new Set(first!.samples.map((text) => text.slice(0, text.lastIndexOf(': ')))).size,
          sumsOf(run).size,
        )
        for (const { samples, total } of rest) assert.deepEqual([samples, total], [[], '0'])
      }
    }),
    { numRuns: 60 },
  )
})

test('a merge of merges equals the merge of everything', () => {
  fc.assert(
    fc.property(DATASETS, WINDOWS, fc.nat(), (datasets, windowMs, cut) => {
      const regions = datasets.map(regionOf)
      const at = cut % regions.length
      const parts = [regions.slice(0, at), regions.slice(at)].filter((part) => part.length > 0)
      const stored = parts.map((part) => storedRegion(merge(part, windowMs).dataset))
      const twice = contentsOf(decode(merge(stored, windowMs).dataset))
      assert.deepEqual(twice, contentsOf(decode(merge(regions, windowMs).dataset)))
      // Without the window nothing more is joined, and what was joined stays.
      const later = contentsOf(decode(merge(stored.slice(0, 1), 0).dataset))
      assert.deepEqual(later, contentsOf(decode(merge(parts[0]!, windowMs).dataset)))
    }),
    { numRuns: 40 },
  )
})

test('a run of profiles over several frames', () => {
  const symbols = distinctStacks(8_000, 0)
  const wide = (seed: number): Dataset =>
    plainDataset({
      startMs: WINDOW_START_MS + seed * 1_000,
      profiles: 20,
      rows: 4_000,
      symbols,
      random: seededRandom(seed + 1),
    })
  const regions = [wide(0), wide(1)].map(regionOf)
  assert.ok(openDataset(regions[0]!.region, regions[0]!.descriptor, codec).frames.length > 1)
  const before = contentsOf(decode(merge(regions, 0).dataset))
  const { dataset, joinedSamples } = merge(regions, 3_600_000)
  const after = contentsOf(decode(dataset))
  assert.deepEqual(sumsOf(after), sumsOf(before))
  assert.equal(dataset.encoded.sampleCount + joinedSamples, 2 * 20 * 4_000)
  assert.ok(dataset.encoded.sampleCount <= 8_000 && 2 * 20 * 4_000 > FRAME_ROWS_TARGET)
})

test('a run ends where its rows would pass the maximum', () => {
  const lengths = [3, 3, 3, 0, 9, 1]
  const count = lengths.length
  const column = () => allocateInt64Column(count)
  const totals = [column()]
  totals[0]!.lo.set(lengths)
  const headers = {
    count,
    profileId: new Uint8Array(count * 16),
    group: new Uint32Array(count),
    series: new Uint32Array(count),
    timeNanos: column(),
    durationNanos: column(),
    totals,
    rowStart: Uint32Array.from([0, 3, 6, 9, 9, 18]),
    rowLength: Uint32Array.from(lengths),
  }
  assert.deepEqual([...planJoins(headers, { windowMs: 1_000, rowsMax: 8 })!], [2, 1, 4, 3, 5, 6])
  assert.deepEqual([...headers.rowLength], [6, 0, 3, 0, 9, 1])
  assert.deepEqual([...headers.rowStart], [0, 6, 6, 9, 9, 18])
  assert.deepEqual([...totals[0]!.lo], [6, 0, 3, 0, 9, 1])
  assert.equal(planJoins(headers, { windowMs: 1_000, rowsMax: 8 }), undefined)
})

test('windows of the tenants of a job: their own, or that of all others', () => {
  const of = (tenant: string) => ({
    ...encodeSource(0, []).source,
    datasets: [{ descriptor: { tenant } as DatasetDescriptor, skip: [] }],
  })
  const windows = { acme: 15_000, quiet: 0, '*': 60_000 }
  const job = ['zeta', 'quiet', 'acme', 'acme', 'toString'].map(of)
  assert.deepEqual(aggregationOf(job, windows), [
    { tenant: 'acme', windowMs: 15_000 },
    { tenant: 'toString', windowMs: 60_000 },
    { tenant: 'zeta', windowMs: 60_000 },
  ])
  assert.deepEqual(aggregationOf(job, { acme: 1_000 }), [{ tenant: 'acme', windowMs: 1_000 }])
  assert.equal(aggregationOf(job, { other: 1_000, acme: 0 }), undefined)
  assert.equal(aggregationOf(job, {}), undefined)
})

test('sums carry from lane to lane and wrap at 64 bits', () => {
  const [values, out] = [allocateInt64Column(3), allocateInt64Column(3)]
  values.lo.set([0xffffffff, 1, 0xffffffff])
  values.hi.set([0x7fffffff, 0, 0xffffffff])
  const plain = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  const from = { rowCount: 3, stackId: Uint32Array.of(7, 7, 2), values: [values], ...plain }
  const to = { rowCount: 3, stackId: new Uint32Array(3), values: [out], ...plain }
  assert.equal(new RowJoiner().joinRows(from, 3, to, 0), 2)
  assert.deepEqual(
    [[...to.stackId], [...out.lo], [...out.hi]],
    [
      [2, 7, 0],
      [0xffffffff, 0, 0],
      [0xffffffff, 0x80000000, 0],
    ],
  )
})

test('a profile of more rows than a run may have keeps each of them', () => {
  const count = JOIN_ROWS_MAX + 3
  const plain = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  const rowsOf = () => ({
    rowCount: count,
    stackId: new Uint32Array(count),
    values: [allocateInt64Column(count)],
    ...plain,
  })
  const [from, to] = [rowsOf(), rowsOf()]
  for (let row = 0; row < count; row++) {
    from.stackId[row] = count - 1 - row
    from.values[0]!.lo[row] = row
  }
  assert.equal(new RowJoiner().joinRows(from, count, to, 0), count)
  const { lo } = to.values[0]!
  assert.equal(
    to.stackId.findIndex((stack, row) => stack !== row || lo[row] !== count - 1 - row),
    -1,
  )
})
