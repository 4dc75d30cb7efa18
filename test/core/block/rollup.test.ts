import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildRollups } from '#core/block/rollup-build.ts'
import {
  filterRollups,
  findRollupFault,
  groupByHour,
  hourRuns,
  type Rollups,
  type RollupValues,
} from '#core/block/rollup.ts'
import { hourOfNanos } from '#core/units.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { CPU_GROUP, makeDataset, makeLabels, type ProfileSpec, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { expectedRollup, type PlainRollup, repetitiveDataset } from '../../support/rollups.ts'

const HOUR_NANOS = 3_600_000_000_000n
const HOUR = Number(WINDOW_START_NANOS / HOUR_NANOS)

function plain(rollups: Rollups): PlainRollup[] {
  return Array.from({ length: rollups.count }, (_, r) => {
    const rows = rollups.rows[rollups.group[r]!]!
    const start = rollups.rowStart[r]!
    return {
      group: rollups.group[r]!,
      hour: rollups.hour[r]!,
      scope: rollups.scope[r]!,
      profiles: rollups.profiles[r]!,
      rows: Array.from({ length: rollups.rowLength[r]! }, (_row, k) => [
        String(rows.stackId[start + k]),
        ...rows.values.map((column) => String(getBigInt(column, start + k))),
      ]),
    }
  })
}

function valuesOf(rollups: Rollups): RollupValues {
  return { index: rollups, valuesOf: (group, type) => rollups.rows[group]!.values[type]! }
}

function profile(series: number, hour: number, id: number, stacks = ['a', 'b']): ProfileSpec {
  return {
    series,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(hour) * HOUR_NANOS + BigInt(id),
    id,
    samples: stacks.map((name) => ({ stack: [name], values: [1n, 10n] })),
  }
}

function cpu(profiles: readonly ProfileSpec[]): ReturnType<typeof makeDataset> {
  const series = [makeLabels({ pod: 'a' }), makeLabels({ pod: 'b' })]
  return makeDataset({ series, groups: [CPU_GROUP], profiles })
}

const four = (series: number, hour: number): ProfileSpec[] => [1, 2, 3, 4].map((id) => profile(series, hour, id))
const shapes = (rollups: Rollups): number[][] =>
  plain(rollups).map(({ hour, scope, profiles, rows }) => [hour - HOUR, scope, profiles, rows.length])

test('an hour has a rollup over all series and one of each series with four profiles', () => {
  assert.deepEqual(shapes(buildRollups(cpu([...four(0, 0), ...four(1, 0)]))), [
    [0, 0, 8, 2],
    [0, 1, 4, 2],
    [0, 2, 4, 2],
  ])
})

test('a series with three profiles has none, and counts in the one over all', () => {
  const dataset = cpu([...four(0, 0).slice(1), ...four(1, 0)])
  assert.deepEqual(shapes(buildRollups(dataset)), [
    [0, 0, 7, 2],
    [0, 2, 4, 2],
  ])
})

test('where an hour has one series, the rollup over all stands for it', () => {
  assert.deepEqual(shapes(buildRollups(cpu([...four(0, 0), ...four(1, 1)]))), [
    [0, 0, 4, 2],
    [1, 0, 4, 2],
  ])
  assert.deepEqual(shapes(buildRollups(cpu(four(0, 0).slice(1)))), [])
})

test('a rollup with more than half the rows of its samples is left out', () => {
  const apart = [1, 2, 3, 4].map((id) => profile(0, 0, id, [`only-${id}`, `also-${id}`]))
  assert.deepEqual(shapes(buildRollups(cpu(apart))), [])
  const half = [1, 2, 3, 4].map((id) => profile(0, 0, id, [`pair-${id % 2}`]))
  assert.deepEqual(shapes(buildRollups(cpu(half))), [[0, 0, 4, 2]])
})

test('every rollup holds the totals of its stacks, and adds up to its headers', () => {
  let count = 0
  fc.assert(
    fc.property(repetitiveDataset(), (dataset) => {
      const rollups = buildRollups(dataset)
      count += rollups.count
      for (const rollup of plain(rollups)) assert.deepEqual(rollup, expectedRollup(dataset, rollup))
      assert.equal(findRollupFault(dataset, valuesOf(rollups)), undefined)
      const wide = filterRollups(rollups, (r) => rollups.scope[r] === 0)
      assert.deepEqual(
        plain(wide),
        plain(rollups).filter(({ scope }) => scope === 0),
      )
    }),
    { numRuns: 150 },
  )
  assert.ok(count > 50, `${count} rollups in 150 datasets`)
})

test('a value, a count or a scope that does not fit the headers is a fault', () => {
  const dataset = cpu([...four(0, 0), ...four(1, 0)])
  const fault = (change: (rollups: Rollups) => unknown): string | undefined => {
    const rollups = buildRollups(dataset)
    change(rollups)
    return findRollupFault(dataset, valuesOf(rollups))
  }
  assert.equal(
    fault(() => undefined),
    undefined,
  )
  assert.equal(
    fault((rollups) => rollups.rows[0]!.values[1]!.lo[0]!++),
    'rollup 0 has 161 of type 1, its profiles 160',
  )
  assert.equal(
    fault((rollups) => rollups.profiles[1]!--),
    'rollup 1 stands for 3 of 4 profiles',
  )
  assert.equal(
    fault((rollups) => rollups.hour[2]!++),
    'rollup 2 has no profiles',
  )
})

test('runs end at a change of group, series or hour', () => {
  const dataset = cpu([...four(0, 0), ...four(0, 1), ...four(1, 1)])
  const runs = hourRuns(dataset.headers)
  assert.deepEqual(
    runs.map(({ series, hour, first, end }) => [series, hour - HOUR, first, end]),
    [
      [0, 0, 0, 4],
      [0, 1, 4, 8],
      [1, 1, 8, 12],
    ],
  )
  assert.deepEqual(
    groupByHour(runs).map((hour) => hour.length),
    [1, 2],
  )
})

test('the hour of an instant is its floor, to the nanosecond, over all of int64', () => {
  const edges = [0n, 1n, -1n, HOUR_NANOS, HOUR_NANOS - 1n, -HOUR_NANOS, -HOUR_NANOS - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
  const nearHours = fc.tuple(fc.bigInt({ min: -2_000_000n, max: 2_000_000n }), fc.bigInt({ min: -3n, max: 3n }))
  const check = (nanos: bigint): void => {
    const floor = (nanos - (((nanos % HOUR_NANOS) + HOUR_NANOS) % HOUR_NANOS)) / HOUR_NANOS
    const unsigned = BigInt.asUintN(64, nanos)
    const hi = Number(unsigned >> 32n) | 0
    assert.equal(hourOfNanos(hi, Number(unsigned & 0xffffffffn)), Number(floor), String(nanos))
  }
  edges.forEach(check)
  fc.assert(fc.property(nearHours, ([hour, offset]) => check(hour * HOUR_NANOS + offset)))
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), check))
})
