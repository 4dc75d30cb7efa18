/** A query-backend's work on a merged block in memory: flame graph from samples and from rollups, series from headers. */
import { assert } from '#core/assert.ts'
import { type DatasetHead, FetchedRanges, openDataset } from '#core/block/read.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { addStacktraces, addTimeSeries, selectProfiles } from '#core/query/aggregate.ts'
import { planStacktraces, type StacktracePlan } from '#core/query/stacktrace-plan.ts'
import { TimeSeriesBuilder } from '#core/query/time-series.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { HOUR_START_MS } from './corpus.ts'
import type { BenchCase } from './figure.ts'
import { measure } from './measure.ts'
import { PROFILE_TYPE, syntheticBlocks } from './segments.ts'

const STEP_MS = 60_000

export const queryCase: BenchCase = {
  name: 'query',
  about: 'flame graph over an hour of a merged block, from samples and from rollups; time series from headers alone',
  run() {
    const codec = createCodec()
    const { merged, mergedObject, rows } = syntheticBlocks()
    const { descriptor, region } = mergedObject
    const range = { startMs: HOUR_START_MS, endMs: HOUR_START_MS + MS_PER_HOUR, stepMs: STEP_MS }
    const query = { profileType: PROFILE_TYPE, matches: () => true, ...range, skip: [] }
    const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
    const fromRollups = (head: DatasetHead): StacktracePlan => planStacktraces(head, selectProfiles(head, query))
    const fromSamples = (head: DatasetHead): StacktracePlan => ({
      head,
      symbols: 'functions',
      row: undefined,
      sources: selectProfiles(head, query).map((profiles) => ({ ...profiles, rollups: [] })),
    })
    const flameGraph = (planOf: (head: DatasetHead) => StacktracePlan): { tree: FunctionTree; rows: number } => {
      const tree = new FunctionTree()
      return { tree, rows: addStacktraces(planOf(openDataset(region, descriptor, codec)), fetched, tree) }
    }
    const samples = (): number => flameGraph(fromSamples).rows
    const rollups = (): number => flameGraph(fromRollups).rows
    const series = (): number => {
      const head = openDataset(region, descriptor, codec)
      const builder = new TimeSeriesBuilder(['pod'])
      addTimeSeries(head, selectProfiles(head, query), range, builder)
      return builder.build().length
    }
    assert(samples() === rows, 'the whole hour is read')
    const encoded = [fromSamples, fromRollups].map((planOf) => encodeTree(flameGraph(planOf).tree).join())
    assert(encoded[0] === encoded[1], 'both answers are equal')
    assert(series() === merged.dataset.series.length, 'one output series a pod')
    const times = measure({ samples, rollups, series })
    const profiles = merged.dataset.headers.count
    return [
      { what: 'flame graph scan', value: rows / 1e3 / times.perCallMs('samples'), unit: 'Msamples/s' },
      { what: 'flame graph of the block', value: times.perCallMs('samples'), unit: 'ms' },
      { what: 'rows of its rollups / samples', value: rollups() / rows, unit: 'x', better: 'lower', isGated: true },
      { what: 'from rollups / from samples', value: times.speedup('rollups', 'samples'), unit: 'x' },
      { what: 'series from headers', value: profiles / 1e3 / times.perCallMs('series'), unit: 'Mprofiles/s' },
      { what: 'series / flame graph', value: times.speedup('series', 'samples'), unit: 'x' },
    ]
  },
}
