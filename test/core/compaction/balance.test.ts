import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeImbalance, findImbalance, quarantineFolder } from '#core/compaction/balance.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { type DatasetSpec, HOUR_MS, makeDescriptor, makeOutput } from '../../support/metastore-requests.ts'

function sourceOf(objectId: string, specs: readonly (DatasetSpec & { skip?: number[] })[]): SourceObject {
  const datasets = specs.map(({ skip = [], profiles, ...spec }, i) => ({
    descriptor: makeDescriptor(i, { ...spec, profileCount: profiles.length }),
    skip,
  }))
  return { objectId, level: 0, sizeBytes: 1, datasets }
}

const SOURCES = [
  sourceOf('a', [
    { service: 'x', profiles: [1, 2] },
    { service: 'y', profiles: [3] },
  ]),
  sourceOf('b', [{ service: 'x', profiles: [4, 5, 6], skip: [0, 2] }]),
]
const MERGED = [
  { service: 'x', profiles: [1, 2, 5] },
  { service: 'y', profiles: [3] },
]

test('outputs that hold what the sources hold balance, however they are cut into objects and datasets', () => {
  assert.equal(findImbalance(SOURCES, [makeOutput('o', MERGED)]), undefined)
  const cut = [
    makeOutput('o1', [{ service: 'x', profiles: [1, 2] }]),
    makeOutput('o2', [
      { service: 'x', profiles: [5] },
      { service: 'y', profiles: [3] },
    ]),
  ]
  assert.equal(findImbalance(SOURCES, cut), undefined)
  assert.equal(findImbalance([], []), undefined)
})

const WRONG: [string, DatasetSpec[], string][] = [
  ['a service is missing', MERGED.slice(0, 1), 'y'],
  ['one too many', [...MERGED, { service: 'z', profiles: [9] }], 'z'],
  ['a profile is missing', [{ service: 'x', profiles: [1, 2] }, MERGED[1]!], 'x'],
  ['what was skipped is in it', [{ service: 'x', profiles: [1, 2, 4, 5] }, MERGED[1]!], 'x'],
  ['of another tenant', [{ ...MERGED[0]!, tenant: 'aaa' }, MERGED[1]!], 'x'],
  ['of another hour', [MERGED[0]!, { ...MERGED[1]!, timeMs: HOUR_MS + MS_PER_HOUR }], 'y'],
]
for (const [name, specs, service] of WRONG) {
  test(`${name}: it is found and named`, () => {
    assert.equal(findImbalance(SOURCES, [makeOutput('o', specs)])?.service, service)
  })
}

test('samples are exact where nothing is skipped, and within what is skipped elsewhere', () => {
  const withSamples = (x: number, y: number) => {
    const output = makeOutput('o', MERGED)
    const counts = [x, y]
    return [{ ...output, datasets: output.datasets.map((each, i) => ({ ...each, sampleCount: counts[i]! })) }]
  }
  const found = (x: number, y: number) => findImbalance(SOURCES, withSamples(x, y))?.service
  // 40 samples a profile.
  assert.deepEqual(
    [found(80, 40), found(200, 40), found(79, 40), found(201, 40), found(120, 39), found(120, 41)],
    [undefined, undefined, 'x', 'x', 'y', 'y'],
  )
})

test('samples that were added to others count with those that are stored', () => {
  const output = makeOutput('o', MERGED)
  const joined = (samples: number) =>
    findImbalance(SOURCES, [
      { ...output, datasets: output.datasets.map((each) => ({ ...each, sampleCount: 10, joinedSamples: samples })) },
    ])?.service
  assert.deepEqual([joined(30), joined(29), joined(31)], ['x', 'x', 'x'])
  const each = output.datasets.map((dataset) => ({
    ...dataset,
    joinedSamples: dataset.sampleCount - 10,
    sampleCount: 10,
  }))
  assert.equal(findImbalance(SOURCES, [{ ...output, datasets: each }]), undefined)
})

test('hours become the window of the output; before 1970 too', () => {
  for (const startMs of [0, HOUR_MS, -10 * MS_PER_DAY]) {
    const day = Math.floor(startMs / MS_PER_DAY) * MS_PER_DAY
    const hours = [0, 5, 23].map((hour) => ({ timeMs: day + hour * MS_PER_HOUR, profiles: [1] }))
    const [whole] = [makeOutput('o', [{ timeMs: day, profiles: [1, 2, 3] }])]
    const output = { ...whole!, datasets: whole!.datasets.map((each) => ({ ...each, windowMs: MS_PER_DAY })) }
    assert.equal(findImbalance([sourceOf('a', hours)], [output]), undefined)
    const moved = { ...output.datasets[0]!, windowStartMs: day + MS_PER_DAY }
    assert.equal(findImbalance([sourceOf('a', hours)], [{ ...output, datasets: [moved] }])?.windowStartMs, day)
  }
})

test('the words say where and how much, and the folder which attempt', () => {
  const imbalance = findImbalance(SOURCES, [makeOutput('o', MERGED.slice(0, 1))])!
  assert.equal(
    describeImbalance(imbalance),
    `not conserved: of tenant "anonymous", service "y", window from ${new Date(HOUR_MS).toISOString()}, ` +
      'the sources hold 1 profiles and 40 samples, the outputs 0 profiles and 0 samples',
  )
  assert.equal(quarantineFolder({ jobId: '12', epoch: 3 }), 'quarantine/outputs/12-3/')
})
