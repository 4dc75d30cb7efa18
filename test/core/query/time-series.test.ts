import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type Labels, labelsFromPairs, labelsKey, projectLabels } from '#core/labels/labels.ts'
import {
  dataRangeOf,
  finishTimeSeries,
  mergeTimeSeries,
  stepIndexOf,
  stepMsOf,
  type StepRange,
  TimeSeriesBuilder,
} from '#core/query/time-series.ts'
import type { TimeSeries } from '#core/rpc/query-backend.ts'

/** Recorded data: profiles of all services at T - 60, T - 30, T, T + 15 and T + 30 s, with T = 0. */
const RECORDED: [timeS: number, total: number][] = [
  [-60, 8160],
  [-30, 8400],
  [0, 8640],
  [15, 7000],
  [30, 8880],
]

function seconds(startS: number, endS: number, stepS: number): StepRange {
  return { startMs: startS * 1000, endMs: endS * 1000, stepMs: stepMsOf(stepS) }
}

function pointsOf(range: StepRange): [timeS: number, value: number][] {
  const builder = new TimeSeriesBuilder([])
  const series = builder.seriesOf([])
  for (const [timeS, total] of RECORDED) {
    const index = stepIndexOf(range, timeS * 1000)
    if (index >= 0) builder.add(series, index, total, 0)
  }
  const [answer] = finishTimeSeries(builder.build(), { range, aggregation: 'sum', limit: 0 })
  return (answer?.points ?? []).map(({ timestampMs, value }) => [timestampMs / 1000, value])
}

describe('points lie where the recorded ones do', () => {
  const cases: [startS: number, endS: number, stepS: number, points: [number, number][]][] = [
    [
      -150,
      150,
      15,
      [
        [-60, 8160],
        [-30, 8400],
        [0, 8640],
        [15, 7000],
        [30, 8880],
      ],
    ],
    [
      -150,
      150,
      60,
      [
        [-30, 16_560],
        [30, 24_520],
      ],
    ],
    [-150, 150, 300, [[150, 41_080]]],
    [-150, 150, 1000, []],
    [
      -150,
      150,
      7.5,
      [
        [-60, 8160],
        [-30, 8400],
        [0, 8640],
        [15, 7000],
        [30, 8880],
      ],
    ],
    [
      -60,
      30,
      15,
      [
        [-60, 8160],
        [-30, 8400],
        [0, 8640],
        [15, 7000],
        [30, 8880],
      ],
    ],
    [
      -45,
      30,
      15,
      [
        [-45, 8160],
        [-30, 8400],
        [0, 8640],
        [15, 7000],
        [30, 8880],
      ],
    ],
    [
      -67,
      33,
      15,
      [
        [-52, 8160],
        [-22, 8400],
        [8, 8640],
        [23, 7000],
      ],
    ],
    [0, 0, 15, [[0, 8640]]],
    [
      0,
      15,
      15,
      [
        [0, 8640],
        [15, 7000],
      ],
    ],
    [30, 31, 15, [[30, 15_880]]],
    [
      -60.001,
      30.001,
      15,
      [
        [-45.001, 8160],
        [-15.001, 8400],
        [14.999, 8640],
        [29.999, 7000],
      ],
    ],
    [
      -59.999,
      29.999,
      15,
      [
        [-59.999, 8160],
        [-29.999, 8400],
        [0.001, 8640],
        [15.001, 7000],
      ],
    ],
  ]
  for (const [startS, endS, stepS, points] of cases) {
    it(`${startS} to ${endS} s by ${stepS} s`, () => assert.deepEqual(pointsOf(seconds(startS, endS, stepS)), points))
  }
})

describe('stepIndexOf', () => {
  it('agrees with a search over all points, and with the data range', () => {
    const range = fc.record({
      startMs: fc.integer({ min: -50, max: 50 }),
      lengthMs: fc.nat(100),
      stepMs: fc.integer({ min: 1, max: 40 }),
    })
    fc.assert(
      fc.property(range, fc.integer({ min: -120, max: 180 }), ({ startMs, lengthMs, stepMs }, timeMs) => {
        const steps: StepRange = { startMs, endMs: startMs + lengthMs, stepMs }
        let expected = -1
        for (let k = 0; startMs + k * stepMs <= steps.endMs; k++) {
          const at = startMs + k * stepMs
          if ((timeMs > at - stepMs && timeMs <= at) || (k === 0 && timeMs === at - stepMs)) expected = k
        }
        assert.equal(stepIndexOf(steps, timeMs), expected)
        const data = dataRangeOf(steps)
        assert.equal(expected >= 0, timeMs >= data.startMs && timeMs <= data.endMs)
      }),
      { numRuns: 500 },
    )
  })
})

describe('stepMsOf (H71)', () => {
  for (const [stepS, stepMs] of [
    [15, 15_000],
    [0.001, 1],
    [7.5, 7500],
    [1.001, 1001],
    [0.0079, 7],
  ] as const) {
    it(`${stepS} s is ${stepMs} ms`, () => assert.equal(stepMsOf(stepS), stepMs))
  }
  for (const stepS of [0, -1, 0.0001, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`refuses ${stepS}`, () => {
      assert.throws(() => stepMsOf(stepS), { kind: 'invalid_argument', message: /^step must be >= 1ms/ })
    })
  }
})

const LABEL_SETS: Labels[] = [
  ['region', 'eu', 'service_name', 'api'],
  ['region', 'us', 'service_name', 'api'],
  ['region', 'eu', 'service_name', 'web'],
  ['only_db', 'yes', 'service_name', 'db'],
].map(labelsFromPairs)

const profile = fc.record({
  set: fc.nat(LABEL_SETS.length - 1),
  step: fc.nat(12),
  total: fc.oneof(fc.bigInt(0n, 100n), fc.bigInt(0n, 2n ** 59n)),
})
type Profile = { set: number; step: number; total: bigint }
const groupBys = fc.constantFrom<string[]>([], ['region'], ['service_name', 'region'], ['nope'], ['region', 'region'])

function build(profiles: readonly Profile[], groupBy: readonly string[]): TimeSeries[] {
  const builder = new TimeSeriesBuilder(groupBy)
  for (const { set, step, total } of profiles) {
    builder.add(builder.seriesOf(LABEL_SETS[set]!), step, Number(total & 0xffffffffn), Number(total >> 32n))
  }
  return builder.build()
}

/** Labels, step, sum, count of every point, in one order. */
function flat(series: readonly TimeSeries[]): string[] {
  return series
    .flatMap(({ labels, stepIndexes, sums, counts }) =>
      stepIndexes.map((step, i) => `${labelsKey(labels)} ${step} ${sums[i]} ${counts[i]}`),
    )
    .sort()
}

describe('TimeSeriesBuilder', () => {
  it('sums exactly, per group and step', () => {
    fc.assert(
      fc.property(fc.array(profile, { maxLength: 60 }), groupBys, (profiles, groupBy) => {
        const expected = new Map<string, { sum: bigint; count: number }>()
        for (const { set, step, total } of profiles) {
          const key = `${labelsKey(projectLabels(LABEL_SETS[set]!, groupBy))} ${step}`
          const point = expected.get(key) ?? { sum: 0n, count: 0 }
          expected.set(key, { sum: point.sum + total, count: point.count + 1 })
        }
        const lines = [...expected].map(([key, { sum, count }]) => `${key} ${sum} ${count}`).sort()
        assert.deepEqual(flat(build(profiles, groupBy)), lines)
      }),
    )
  })

  it('merges partial answers in any order and grouping', () => {
    const profiles = fc.array(profile, { maxLength: 20 })
    fc.assert(
      fc.property(profiles, profiles, profiles, groupBys, (a, b, c, groupBy) => {
        const whole = flat(build([...a, ...b, ...c], groupBy))
        const [pa, pb, pc] = [build(a, groupBy), build(b, groupBy), build(c, groupBy)]
        assert.deepEqual(flat(mergeTimeSeries([pa, pb, pc])), whole)
        assert.deepEqual(mergeTimeSeries([pa]), pa)
        assert.deepEqual(flat(mergeTimeSeries([pc, mergeTimeSeries([pb, pa])])), whole)
      }),
    )
  })

  it('gives points in ascending steps and no series without points', () => {
    const builder = new TimeSeriesBuilder(['region'])
    builder.seriesOf(LABEL_SETS[1]!)
    const series = builder.seriesOf(LABEL_SETS[0]!)
    for (const step of [5, 1, 3, 1]) builder.add(series, step, 1, 0)
    assert.deepEqual(builder.build(), [
      { labels: [{ name: 'region', value: 'eu' }], stepIndexes: [1, 3, 5], sums: [2n, 1n, 1n], counts: [2, 1, 1] },
    ])
  })

  it('holds more points than its first table', () => {
    const builder = new TimeSeriesBuilder([])
    const series = builder.seriesOf([])
    for (let round = 0; round < 2; round++) for (let step = 0; step < 3000; step++) builder.add(series, step, 1, 0)
    const [built] = builder.build()
    assert.equal(built!.stepIndexes.length, 3000)
    assert.ok(built!.sums.every((sum) => sum === 2n))
  })

  it('refuses more points than its limit, and steps over 2^32', () => {
    const builder = new TimeSeriesBuilder([], 2)
    const series = builder.seriesOf([])
    builder.add(series, 0, 1, 0)
    builder.add(series, 1, 1, 0)
    builder.add(series, 0, 1, 0)
    assert.throws(() => builder.add(series, 2, 1, 0), { kind: 'invalid_argument', reason: 'max_series_points' })
    assert.throws(() => new TimeSeriesBuilder([]).add(0, 2 ** 32, 1, 0), { kind: 'invalid_argument' })
  })
})

describe('finishTimeSeries', () => {
  const range: StepRange = { startMs: 1000, endMs: 9000, stepMs: 500 }
  function one(region: string, sums: bigint[], counts = sums.map(() => 1)): TimeSeries {
    const labels = region === '' ? [] : [{ name: 'region', value: region }]
    return { labels, stepIndexes: sums.map((_, i) => i * 2), sums, counts }
  }
  function regions(series: readonly TimeSeries[], limit: number): string[] {
    const answers = finishTimeSeries(series, { range, aggregation: 'sum', limit })
    return answers.map(({ labels }) => labels[0]?.value ?? '')
  }

  it('orders by total descending, then labels, and keeps the first', () => {
    const series = [
      one('b', [3n]),
      one('c', [1n, 4n]),
      one('a', [3n]),
      one('', [3n]),
      one('huge', [2n ** 60n + 1n, -(2n ** 60n)]),
    ]
    assert.deepEqual(regions(series, 0), ['c', '', 'a', 'b', 'huge'])
    assert.deepEqual(regions(series, -1), regions(series, 0))
    assert.deepEqual(regions(series, 2), ['c', ''])
    assert.deepEqual(regions(series, 100), regions(series, 0))
  })

  it('gives sums or averages at the times of points', () => {
    const series = [one('eu', [10n, 9n], [4, 2])]
    const sums = finishTimeSeries(series, { range, aggregation: 'sum', limit: 0 })
    assert.deepEqual(sums[0]!.points, [
      { timestampMs: 1000, value: 10 },
      { timestampMs: 2000, value: 9 },
    ])
    const averages = finishTimeSeries(series, { range, aggregation: 'average', limit: 0 })
    assert.deepEqual(
      averages[0]!.points.map(({ value }) => value),
      [2.5, 4.5],
    )
  })
})

it('series rank by exact totals where doubles would tie', () => {
  const range = { startMs: 0, endMs: 10_000, stepMs: 1_000 }
  const of = (name: string, sums: bigint[]): TimeSeries => ({
    labels: [{ name: 'a', value: name }],
    stepIndexes: sums.map((_, i) => i),
    sums,
    counts: sums.map(() => 1),
  })
  const ranked = (series: TimeSeries[]) =>
    finishTimeSeries(series, { range, aggregation: 'sum', limit: 0 }).map(({ labels }) => labels[0]!.value)
  assert.deepEqual(ranked([of('less', [-100n, 2n ** 53n]), of('more', [-100n, 2n ** 53n + 1n])]), ['more', 'less'])
  assert.deepEqual(ranked([of('less', [2n ** 62n, 0n]), of('more', [2n ** 62n, 1n])]), ['more', 'less'])
})

it('points ascend however they were added', () => {
  const builder = new TimeSeriesBuilder([])
  const series = builder.seriesOf([])
  for (const step of [5, 3, 9, 3]) builder.add(series, step, step, 0)
  assert.deepEqual(builder.build(), [{ labels: [], stepIndexes: [3, 5, 9], sums: [6n, 5n, 9n], counts: [2, 1, 1] }])
})
