/**
 * A flame graph over a day that is wanted whole, with the total by function node that blocks of many hours have (section
 * 36, core/block/function-totals.ts) and from the 24 rollups that would answer without it. Heads are opened anew, as by a
 * reader that keeps nothing.
 */
import { assert } from '#core/assert.ts'
import { type DatasetHead, FetchedRanges, openDataset } from '#core/block/read.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { FUNCTION_TOTALS_FRACTION } from '#core/block/function-totals.ts'
import { DICTIONARY_SEED_BYTES, dictionaryIdOf } from '#core/block/stack-keys.ts'
import { encodeDataset } from '#core/block/write.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { addStacktraces, selectProfiles } from '#core/query/aggregate.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { selectWhole, wholeTotals } from '#core/query/whole-dataset.ts'
import { Dictionary } from '#core/segment/dictionary.ts'
import { Head } from '#core/segment/head.ts'
import { floorTo, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { HOUR_START_MS, NO_LIMITS, syntheticProfile } from './corpus.ts'
import type { Figure } from './figure.ts'
import { measure } from './measure.ts'
import { type BuiltObject, idOf, labelsOfSeries, objectOf, PROFILE_TYPE } from './segments.ts'

const HOURS = 24
const SERIES = 6
const PER_HOUR = 12
/** Measured 1.7 on a busy machine: both read the function level, which is half of what the total leaves. */
const TOTAL_SPEEDUP_MIN = 1.2
const DAY_START_MS = floorTo(HOUR_START_MS, MS_PER_DAY)
const codec = createCodec()

export function wholeDayFigures(): Figure[] {
  const { region, descriptor } = dayBlock()
  const range = { startMs: DAY_START_MS, endMs: DAY_START_MS + MS_PER_DAY }
  const query = { profileType: PROFILE_TYPE, matches: () => true, ...range, skip: [] }
  const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
  const open = (): DatasetHead => openDataset(region, descriptor, codec)
  const fromTotal = (): FunctionTree => {
    const head = open()
    const whole = selectWhole(head, query)
    assert(whole !== undefined, 'the day is wanted whole, and has its total')
    const totals = wholeTotals(head, fetched, whole)
    const tree = new FunctionTree()
    addStacktraces({ ...planStacktraces(head, []), whole, totals }, fetched, tree)
    return tree
  }
  const fromRollups = (): FunctionTree => {
    const head = open()
    const plan = planStacktraces(head, selectProfiles(head, query))
    assert(plan.sources[0]?.rollups.length === HOURS, 'a rollup answers each hour')
    const tree = new FunctionTree()
    addStacktraces(plan, fetched, tree)
    return tree
  }
  assert(treeText(fromTotal()) === treeText(fromRollups()), 'both answers are equal')
  const times = measure({ total: () => fromTotal().nodeCount, rollups: () => fromRollups().nodeCount })
  return [
    { what: 'flame graph of a day, from its total', value: times.perCallMs('total'), unit: 'ms' },
    { what: 'flame graph of a day, from rollups', value: times.perCallMs('rollups'), unit: 'ms' },
    {
      what: 'day from its total / from rollups',
      value: times.speedup('total', 'rollups'),
      unit: 'x',
      goal: { op: '>=', value: TOTAL_SPEEDUP_MIN },
    },
  ]
}

/** Nodes come in another order: what is equal are paths and values, which the encoding of a tree in its own order tells. */
function treeText(tree: FunctionTree): string {
  const paths = new Array<string>(tree.nodeCount).fill('')
  const lines: string[] = []
  const { lo, hi } = tree.totals()
  for (let node = 1; node < tree.nodeCount; node++) {
    paths[node] = `${paths[tree.nodeParent[node]!]};${tree.names.text(tree.nodeName[node]!)}`
    lines.push(`${paths[node]} ${hi[node]!} ${lo[node]!}`)
  }
  return lines.sort().join('\n')
}

/** As compaction of the last level leaves it. */
function dayBlock(): BuiltObject {
  const dictionary = new Dictionary(dictionaryIdOf(new Uint8Array(DICTIONARY_SEED_BYTES), 1))
  const hours = Array.from({ length: HOURS }, (_, hour) => hourOf(hour, dictionary))
  const window = { windowStartMs: DAY_START_MS, windowMs: MS_PER_DAY }
  const { dataset, functionLevel } = mergeDatasets(
    hours.map((hour) => ({ dataset: hour, skip: [] })),
    window,
  )
  const options = { codec, functionLevel, functionTotalsFraction: FUNCTION_TOTALS_FRACTION }
  return objectOf(dataset, encodeDataset(dataset, options), 7)
}

function hourOf(hour: number, dictionary: Dictionary): Dataset {
  const windowStartMs = DAY_START_MS + hour * MS_PER_HOUR
  const head = new Head({ tenant: 'anonymous', service: 'shop', windowStartMs, windowMs: MS_PER_HOUR }, dictionary)
  const decoder = new ProfileDecoder()
  for (let i = 0; i < SERIES * PER_HOUR; i++) {
    const ordinal = hour * SERIES * PER_HOUR + i
    const result = decoder.decode(syntheticProfile(1_000 + ordinal), NO_LIMITS)
    assert(result.ok, 'a synthetic profile decodes')
    const { profile } = result
    head.append({
      profile,
      split: splitProfile(profile, labelsOfSeries(i % SERIES), { maxSessionsPerSeries: 0 }),
      profileId: idOf(ordinal),
      timeNanos: BigInt(windowStartMs + Math.floor(i / SERIES) * (MS_PER_HOUR / PER_HOUR)) * 1_000_000n,
      stackDepthMax: 0,
    })
  }
  return head.finish().dataset
}
