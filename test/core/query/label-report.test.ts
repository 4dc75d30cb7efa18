import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { getLabel } from '#core/labels/labels.ts'
import { LabelReport, type LabelReportHead } from '#core/query/label-report.ts'
import { labelSetsOfHead } from '#core/recovery/head-label-sets.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { buildObject, CountingReader } from '../../support/block-objects.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'

const HOUR_NANOS = 3_600_000_000_000n
const profile = (id: number, series: number, hour: bigint, values: [bigint, bigint]) => ({
  id,
  series,
  group: 0,
  timeNanos: WINDOW_START_NANOS + hour * HOUR_NANOS,
  samples: [{ stack: ['main'], values }],
})
const dataset = makeDataset({
  windowMs: 6 * MS_PER_HOUR,
  series: ['a', 'b', 'c'].map((pod) => makeLabels({ __name__: 'process_cpu', pod, zone: pod === 'c' ? 'z' : '' })),
  groups: [CPU_GROUP],
  profiles: [
    profile(1, 0, 0n, [1n, 5n]),
    profile(2, 1, 0n, [0n, 7n]),
    profile(3, 0, 3n, [2n, 2n]),
    profile(4, 2, 5n, [1n, 1n]),
  ],
})
const head = new CountingReader(buildObject([dataset])).openHead()
const DAY: LabelReportHead = {
  startMs: WINDOW_START_MS,
  endMs: WINDOW_START_MS + 24 * MS_PER_HOUR,
  skip: [],
  matches: () => true,
}
const WHOLE = { names: [], namesOnly: false }

function report(query: Partial<LabelReportHead>, wish: { names: string[]; namesOnly: boolean } = WHOLE) {
  const built = new LabelReport(wish)
  built.addHead(head, { ...DAY, ...query })
  return built.build().map(({ pairs }) => pairs)
}

test('whole sets are those that the metastore was told, each once', () => {
  const told = new Set(labelSetsOfHead(head).map(({ pairs }) => JSON.stringify(pairs)))
  assert.deepEqual(new Set(report({}).map((pairs) => JSON.stringify(pairs))), told)
  assert.equal(report({}).length, told.size)
})

test('sets are reduced, filtered, and named alone', () => {
  const pods = { names: ['pod', '__type__'], namesOnly: false }
  const cases: [string, Partial<LabelReportHead>, string][] = [
    ['all', {}, '["__type__,cpu,pod,a","__type__,cpu,pod,b","__type__,cpu,pod,c"]'],
    [
      'whole hours of the range',
      { startMs: WINDOW_START_MS + 3 * MS_PER_HOUR + 1, endMs: WINDOW_START_MS + 4 * MS_PER_HOUR },
      '["a"]',
    ],
    ['before all', { startMs: WINDOW_START_MS - MS_PER_HOUR, endMs: WINDOW_START_MS - 1 }, '[]'],
    ['without what is skipped', { skip: [0, 1] }, '["b","c"]'],
    ['that match', { matches: (labels) => getLabel(labels, 'zone') === 'z' }, '["c"]'],
  ]
  for (const [name, query, expected] of cases) {
    const ofCpu = report(query, pods)
      .filter((pairs) => pairs[1] === 'cpu')
      .map((pairs) => (name === 'all' ? pairs.join() : pairs[3]))
    assert.equal(JSON.stringify(ofCpu.sort()), expected, name)
  }
  const names = report({}, { names: ['pod'], namesOnly: true }).map(([name]) => name)
  assert.deepEqual(
    [names.includes('zone'), names.includes('__profile_type__'), new Set(names).size],
    [true, true, names.length],
  )
  assert.deepEqual(report({}, { names: ['nobody'], namesOnly: false }), [[]], 'series without the label are one set')
})

test('partial answers merge in any order, and the bound holds over all of them', () => {
  const parts = ['a', 'b', 'a'].map((pod) => [{ pairs: ['pod', pod] }])
  const merge = (order: typeof parts, limits?: { sets: number; text: number }) => {
    const merged = new LabelReport(WHOLE, limits)
    for (const part of order) merged.merge(part)
    return merged.build()
  }
  assert.deepEqual(merge(parts).length, 2)
  assert.deepEqual(new Set(merge(parts.toReversed())), new Set(merge(parts)))
  for (const limits of [
    { sets: 1, text: 1_000 },
    { sets: 10, text: 20 },
  ]) {
    assert.throws(
      () => merge(parts, limits),
      (error) => error instanceof CinderError && error.kind === 'resource_exhausted' && /narrow/.test(error.message),
    )
  }
})
