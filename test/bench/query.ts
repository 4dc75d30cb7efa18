/**
 * A query-backend's work on a merged block in memory: flame graph from samples and from rollups, series from headers,
 * against a tree of objects with child maps into which every sample is put, as one would write it first. With `PEER_URL`
 * also the queries of a dashboard against another server (peer-queries.ts).
 */
import { assert } from '#core/assert.ts'
import { decodeDataset, type DatasetHead, FetchedRanges, openDataset } from '#core/block/read.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { addStacktraces, addTimeSeries, selectProfiles } from '#core/query/aggregate.ts'
import { planStacktraces, type StacktracePlan } from '#core/query/stacktrace-plan.ts'
import { TimeSeriesBuilder } from '#core/query/time-series.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import { HOUR_START_MS } from './corpus.ts'
import type { BenchCase, Figure } from './figure.ts'
import { measure } from './measure.ts'
import { measurePeer } from './peer-queries.ts'
import { wholeDayFigures } from './query-day.ts'
import { PROFILE_TYPE, syntheticBlocks } from './segments.ts'

const STEP_MS = 60_000
/** Measured 59 from samples and 305 from rollups: the naive one decodes names and everything else of the block. */
const NAIVE_SPEEDUP_MIN = 10

export const queryCase: BenchCase = {
  name: 'query',
  about: 'flame graph over an hour of a merged block, from samples and from rollups; time series from headers alone',
  async run() {
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
    const naive = (): ObjectNode => objectTree(decodeDataset(region, descriptor, codec))
    assert(
      BigInt(naive().total) === getBigInt(flameGraph(fromSamples).tree.totals(), 0),
      'the naive tree has the total',
    )
    const times = measure({ samples, rollups, series, naive: () => naive().total })
    const profiles = merged.dataset.headers.count
    const figures: Figure[] = [
      { what: 'flame graph scan', value: rows / 1e3 / times.perCallMs('samples'), unit: 'Msamples/s' },
      { what: 'flame graph of the block', value: times.perCallMs('samples'), unit: 'ms' },
      { what: 'rows of its rollups / samples', value: rollups() / rows, unit: 'x', better: 'lower', isGated: true },
      { what: 'from rollups / from samples', value: times.speedup('rollups', 'samples'), unit: 'x' },
      { what: 'series from headers', value: profiles / 1e3 / times.perCallMs('series'), unit: 'Mprofiles/s' },
      {
        what: 'from samples / tree of objects',
        value: times.speedup('samples', 'naive'),
        unit: 'x',
        goal: { op: '>=', value: NAIVE_SPEEDUP_MIN },
      },
      { what: 'from rollups / tree of objects', value: times.speedup('rollups', 'naive'), unit: 'x' },
      { what: 'series / flame graph', value: times.speedup('series', 'samples'), unit: 'x' },
      ...wholeDayFigures(),
    ]
    const { PEER_URL } = process.env
    return PEER_URL === undefined || PEER_URL === ''
      ? figures
      : [...figures, ...(await measurePeer(PEER_URL.replace(/\/$/, '')))]
  },
}

interface ObjectNode {
  readonly children: Map<string, ObjectNode>
  self: number
  total: number
}

function objectTree({ symbols, groups, rows }: Dataset): ObjectNode {
  const decoder = new TextDecoder()
  const nameOf = (string: number): string =>
    decoder.decode(symbols.stringBytes.subarray(symbols.stringOffset[string], symbols.stringOffset[string + 1]))
  const root: ObjectNode = { children: new Map(), self: 0, total: 0 }
  rows.forEach(({ rowCount, stackId, values }, group) => {
    const type = groups[group]!.types.findIndex(({ type, unit }) => PROFILE_TYPE.includes(`:${type}:${unit}:`))
    const { lo, hi } = values[type]!
    for (let row = 0; row < rowCount; row++) {
      const names: string[] = []
      for (let node = symbols.stackNode[stackId[row]!]!; node > 0; node = symbols.nodeParent[node]!) {
        const location = symbols.nodeLocation[node]!
        for (let line = symbols.locationLineStart[location]!; line < symbols.locationLineStart[location + 1]!; line++)
          names.push(nameOf(symbols.functionName[symbols.lineFunction[line]!]!))
      }
      const value = hi[row]! * 2 ** 32 + lo[row]!
      root.total += value
      let at = root
      for (const name of names.reverse()) {
        let child = at.children.get(name)
        if (child === undefined) {
          child = { children: new Map(), self: 0, total: 0 }
          at.children.set(name, child)
        }
        child.total += value
        at = child
      }
      at.self += value
    }
  })
  return root
}
