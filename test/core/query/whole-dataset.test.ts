import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { type DatasetHead, FetchedRanges, openDataset, verifyObject } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { getLabel } from '#core/labels/labels.ts'
import { addStacktraces, type ProfileQuery, selectProfiles, stacktracesRanges } from '#core/query/aggregate.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { addWhole, selectWhole, wholeTotals } from '#core/query/whole-dataset.ts'
import { isDataLoss } from '../../support/block-faults.ts'
import { functionLevelOf, TEST_CODEC } from '../../support/block-objects.ts'
import {
  arbitraryDataset,
  makeDataset,
  makeLabels,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { repetitiveDataset } from '../../support/rollups.ts'
import { treeStacks } from '../../support/write-path.ts'

const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const HOUR_MS = 3_600_000
const EVERYTHING: ProfileQuery = {
  profileType: CPU,
  matches: () => true,
  startMs: WINDOW_START_MS - HOUR_MS,
  endMs: WINDOW_START_MS + 48 * HOUR_MS,
  skip: [],
}

function stored(dataset: Dataset, functionTotalsFraction = 1000) {
  const functionLevel = functionLevelOf(dataset)
  const encoded = encodeDataset(dataset, { codec: TEST_CODEC, functionLevel, functionTotalsFraction })
  const { tenant, service, windowStartMs, windowMs } = dataset
  const { bytes, descriptors } = encodeObject({
    objectId: '01JAB3VW7Z0000000000000000',
    level: 1,
    createdMs: 0,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  verifyObject(bytes, TEST_CODEC)
  const head = openDataset(encoded.bytes.slice(0, encoded.headBytes), descriptors[0]!, TEST_CODEC)
  return { head, bytes }
}

/** Reads no byte but those that the ranges name. */
function answer({ head, bytes }: ReturnType<typeof stored>, query: ProfileQuery, takesTotals: boolean) {
  const whole = takesTotals ? selectWhole(head, query) : undefined
  const profiles = whole === undefined ? selectProfiles(head, query) : []
  const tree = new FunctionTree()
  if (profiles.length === 0 && (whole ?? []).length === 0) return { stacks: treeStacks(tree), profiles: 0 }
  const plan = { ...planStacktraces(head, profiles), whole }
  const fetched = new FetchedRanges(
    stacktracesRanges(plan).map(({ offset, lengthBytes }) => ({
      offset,
      bytes: bytes.slice(offset, offset + lengthBytes),
    })),
  )
  const totals = whole === undefined ? undefined : wholeTotals(head, fetched, whole)
  addStacktraces(totals === undefined ? plan : { ...plan, totals }, fetched, tree)
  const count = profiles.reduce((sum, { positions }) => sum + positions.length, 0)
  return { stacks: treeStacks(tree), profiles: totals?.reduce((sum, each) => sum + each.profiles, 0) ?? count }
}

test('the total of a dataset answers as its samples do', () => {
  const types = fc.constantFrom(CPU, ':samples:count:cpu:nanoseconds', ':inuse_objects:count:space:bytes')
  fc.assert(
    fc.property(fc.oneof(arbitraryDataset(), repetitiveDataset()), types, (dataset, profileType) => {
      const object = stored(dataset)
      const query = { ...EVERYTHING, profileType }
      // Of frames without a byte no share is left for totals.
      const hasTotals = object.head.section('frames').storedBytes > 0
      assert.equal(selectWhole(object.head, query) !== undefined, hasTotals)
      assert.deepEqual(answer(object, query, true), answer(object, query, false))
    }),
  )
})

/** Two series of one group at second 0 and 10, and one whose series has another name. */
function threeSeries(): Dataset {
  const series = [
    makeLabels({ __name__: 'process_cpu', pod: 'a' }),
    makeLabels({ __name__: 'process_cpu', pod: 'b' }),
    makeLabels({ __name__: 'wall', pod: 'c' }),
  ]
  const cpu = {
    types: [{ type: 'cpu', unit: 'nanoseconds' }],
    periodType: 'cpu',
    periodUnit: 'nanoseconds',
    period: 1n,
  }
  const wall = { ...cpu, periodType: 'wall' }
  const profiles = [0, 1, 2].map((i) => ({
    series: i,
    group: i === 2 ? 1 : 0,
    timeNanos: WINDOW_START_NANOS + BigInt(i) * 10_000_500_000n,
    id: i,
    samples: [{ stack: ['f', `g${i}`], values: [BigInt(i + 1)] }],
  }))
  return makeDataset({ series, groups: [cpu, wall], profiles })
}

const QUERY = { ...EVERYTHING, profileType: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds' }
const isWhole = (head: DatasetHead, query: Partial<ProfileQuery>) =>
  selectWhole(head, { ...QUERY, ...query }) !== undefined

test('only a query of all profiles of a group is answered by its total', () => {
  const { head } = stored(threeSeries())
  // The last profile lies half a millisecond above second 20, the first one on second 0.
  const last = WINDOW_START_MS + 20_001
  assert.ok(isWhole(head, {}))
  assert.ok(isWhole(head, { startMs: WINDOW_START_MS, endMs: last + 1 }))
  assert.ok(!isWhole(head, { startMs: WINDOW_START_MS + 1 }))
  assert.ok(!isWhole(head, { endMs: last }))
  assert.ok(!isWhole(head, { skip: [1] }))
  assert.ok(!isWhole(head, { matches: (labels) => getLabel(labels, 'pod') === 'a' }))
  assert.ok(isWhole(head, { matches: (labels) => getLabel(labels, 'pod') !== 'c' }))
  assert.deepEqual(selectWhole(head, { ...QUERY, profileType: 'other:cpu:nanoseconds:cpu:nanoseconds' }), [])
})

test('a dataset without totals is answered by rows', () => {
  assert.ok(!isWhole(stored(threeSeries(), 0).head, {}))
})

test('a node that the function level does not have is data loss', () => {
  const { head } = stored(threeSeries())
  const level = functionLevelOf(threeSeries())
  const values = { lo: Uint32Array.of(1), hi: Uint32Array.of(0) }
  const total = { group: 0, type: 0, profiles: 1, nodes: Uint32Array.of(level.nodeCount), values }
  const named = { level, stackNode: new Uint32Array(0), viewName: () => new Uint8Array(0) }
  assert.throws(() => addWhole(new FunctionTree(), { head, totals: [total] }, named), isDataLoss)
})
