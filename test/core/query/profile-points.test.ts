import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeProfileIds, FetchedRanges, openDataset } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { getLabel } from '#core/labels/labels.ts'
import { selectProfiles } from '#core/query/aggregate.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { addCallSiteSeries, addProfilePoints, addSpanPoints } from '#core/query/profile-points.ts'
import { stacksUnder } from '#core/query/call-site.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { TimeSeriesBuilder } from '#core/query/time-series.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  makeLabels,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { modelAnswer } from '../../support/sample-model.ts'

const codec = createCodec()
const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const WALL = ':wall:nanoseconds::'
const STEP_MS = 600_000
const GRID = { originMs: WINDOW_START_MS, stepMs: STEP_MS, groupBy: ['pod'] }

function open(dataset: Dataset, profileType: string) {
  const { tenant, service, windowStartMs, windowMs } = dataset
  const encoded = encodeDataset(dataset, { codec })
  const { bytes, descriptors } = encodeObject({
    objectId: '01JAB3VW7Z0000000000000000',
    level: 0,
    createdMs: 0,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  const head = openDataset(bytes.slice(descriptors[0]!.offset), descriptors[0]!, codec)
  const hour = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000 }
  const profiles = selectProfiles(head, { profileType, matches: () => true, ...hour, skip: [] })
  const fetched = new FetchedRanges([{ offset: 0, bytes }])
  return { head, profiles, fetched, plan: planStacktraces(head, profiles, { symbols: 'functions', row: () => true }) }
}

/** `pod step value` of every point, sorted. */
function textsOf(rows: PointRows): string[] {
  const texts = rows
    .build()
    .flatMap(({ labels, steps, values, counts }) =>
      steps.flatMap((step, i) =>
        Array.from({ length: counts[i]! }, () => `${getLabel(labels, 'pod')} ${step} ${values[i]}`),
      ),
    )
  return texts.sort()
}

function placeOf({ headers, series }: Dataset, h: number): string {
  const offsetMs = Number((getBigInt(headers.timeNanos, h) - WINDOW_START_NANOS) / 1_000_000n)
  return `${getLabel(series[headers.series[h]!]!, 'pod')} ${Math.ceil(offsetMs / STEP_MS)}`
}

test('every profile is a point, every span of a profile too: as the model has them', () => {
  fc.assert(
    fc.property(arbitraryDataset(), (dataset) => {
      const { headers } = dataset
      const profiles: string[] = []
      const spans: string[] = []
      for (let h = 0; h < headers.count; h++) {
        const group = headers.group[h]!
        const total = group === 0 ? getBigInt(headers.totals[1]!, h) : 0n
        if (total !== 0n) profiles.push(`${placeOf(dataset, h)} ${total}`)
        const rows = dataset.rows[group]!
        if (group !== 1 || rows.spanId === undefined || getBigInt(headers.totals[0]!, h) === 0n) continue
        const sums = new Map<bigint, bigint>()
        for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++) {
          const span = getBigInt(rows.spanId, row)
          const value = getBigInt(rows.values[0]!, row)
          if (span !== 0n && value !== 0n) sums.set(span, BigInt.asIntN(64, (sums.get(span) ?? 0n) + value))
        }
        for (const sum of sums.values()) spans.push(`${placeOf(dataset, h)} ${sum}`)
      }
      const cpu = open(dataset, CPU)
      const own = new PointRows({ best: false, exemplars: false })
      // Drawn ids differ in their last bytes alone: an id for each keeps them apart.
      const ids = Uint8Array.from({ length: headers.count * 16 }, (_, i) => (i % 16 === 0 ? i >> 4 : 0))
      addProfilePoints(cpu.head, cpu.profiles, ids, { grid: GRID, rows: own })
      assert.deepEqual(textsOf(own), profiles.sort())
      const wall = open(dataset, WALL)
      const ofSpans = new PointRows({ best: false, exemplars: false })
      addSpanPoints(wall.plan, wall.fetched, { grid: GRID, rows: ofSpans })
      assert.deepEqual(textsOf(ofSpans), spans.sort())
    }),
  )
})

test('a series under a call site has what a flame graph under it has', () => {
  fc.assert(
    fc.property(arbitraryDataset(), fc.constantFrom('main', 'serve'), (dataset, name) => {
      const { plan, fetched } = open(dataset, CPU)
      const builder = new TimeSeriesBuilder(['pod'])
      const range = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000, stepMs: STEP_MS }
      addCallSiteSeries(plan, fetched, (stacks) => stacksUnder(stacks, [name]), { range, builder })
      const sums = builder.build().flatMap((series) => series.sums)
      const endMs = WINDOW_START_MS + 3_600_000
      const query = { type: 'cpu', startMs: WINDOW_START_MS, endMs, callSite: [name] }
      const { functions } = modelAnswer([{ dataset, skip: [] }], query)
      const expected = Object.values(functions).reduce((sum, value) => sum + value, 0n)
      assert.equal(
        BigInt.asIntN(
          64,
          sums.reduce((a, b) => a + b, 0n),
        ),
        BigInt.asIntN(64, expected),
      )
    }),
  )
})

function splitProfile(second: number) {
  const series = ['GET', 'PUT'].map((method) => makeLabels({ __name__: 'cpu', pod: 'p', method }))
  const at = WINDOW_START_NANOS + 1_000_000_000n
  const profile = (s: number, id: number, value: bigint) => ({
    series: s,
    group: 0,
    timeNanos: at,
    id,
    samples: [{ stack: ['main'], values: [1n, value] }],
  })
  return makeDataset({ series, groups: [CPU_GROUP], profiles: [profile(0, 0x1_0000, 10n), profile(1, second, 30n)] })
}

function exemplarsOf(dataset: Dataset, groupBy: string[]) {
  const { head, profiles, fetched } = open(dataset, `cpu${CPU}`)
  const rows = new PointRows({ best: false, exemplars: true })
  addProfilePoints(head, profiles, decodeProfileIds(head, fetched), { grid: { ...GRID, groupBy }, rows })
  return rows.build().flatMap(({ values, exemplars }) =>
    exemplars.map(({ labels, profileId }, i) => {
      const shown = labels.filter(({ name }) => !name.startsWith('__')).map(({ name, value }) => `${name}=${value}`)
      return [values[i], shown.join(','), profileId.slice(-8)]
    }),
  )
}

test('the series that one pushed profile was split into are one point, by the labels that they share', () => {
  assert.deepEqual(exemplarsOf(splitProfile(0x1_0001), []), [[40n, 'pod=p', '00010001']])
  assert.deepEqual(
    exemplarsOf(splitProfile(0x1_0001), ['method']),
    [
      [10n, 'pod=p', '00010000'],
      [30n, 'pod=p', '00010001'],
    ],
    'grouped apart they are two',
  )
  assert.deepEqual(
    exemplarsOf(splitProfile(0x2_0000), []),
    [
      [10n, 'method=GET,pod=p', '00010000'],
      [30n, 'method=PUT,pod=p', '00020000'],
    ],
    'another profile of the same moment stays apart',
  )
})

test('a step number that no column holds is refused', () => {
  const { head, profiles, fetched } = open(splitProfile(1), `cpu${CPU}`)
  const grid = { originMs: -5_000_000_000, stepMs: 1, groupBy: [] }
  const rows = new PointRows({ best: false, exemplars: false })
  const add = () => addProfilePoints(head, profiles, decodeProfileIds(head, fetched), { grid, rows })
  assert.throws(add, { kind: 'invalid_argument', message: /longer step/ })
})
