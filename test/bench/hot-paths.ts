/**
 * One hot path at a time, in a loop of some seconds: what `test/bench/self-profile.ts` runs under Bun's profiler.
 *
 * `bun --cpu-prof test/bench/hot-paths.ts <path>`. Work below `runHotPath` is the path; what builds its input is not.
 */
import { assert } from '#core/assert.ts'
import { FetchedRanges, openDataset } from '#core/block/read.ts'
import { encodeDataset } from '#core/block/write.ts'
import { mergeRegions } from '#core/compaction/merge-regions.ts'
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { addStacktraces, selectProfiles } from '#core/query/aggregate.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { HOUR_START_MS, NO_LIMITS, syntheticCorpus } from './corpus.ts'
import { idOf, labelsOfSeries, newHead, PROFILE_TYPE, syntheticBlocks } from './segments.ts'

/** A sample a millisecond: 3,000 of them tell shares to one percent. */
const RUN_MS = 3_000
const PROFILES = 40

export const HOT_PATHS = {
  decode: decodePath,
  'head-append': headPath,
  'block-encode': encodePath,
  merge: mergePath,
  'flame-graph': flameGraphPath,
} as const

type HotPath = keyof typeof HOT_PATHS

type Round = () => number

function decodePath(): Round {
  const decoder = new ProfileDecoder()
  const { profiles } = syntheticCorpus(PROFILES)
  return () =>
    profiles.reduce((sum, { raw }) => {
      const result = decoder.decode(raw, NO_LIMITS)
      return sum + (result.ok ? result.profile.sampleCount : 0)
    }, 0)
}

function headPath(): Round {
  const decoder = new ProfileDecoder()
  const { profiles } = syntheticCorpus(PROFILES)
  const labels = profiles.map((_, i) => labelsOfSeries(i % 6))
  const ids = profiles.map((_, i) => idOf(i))
  return () => {
    const head = newHead()
    for (const [i, { raw }] of profiles.entries()) {
      const result = decoder.decode(raw, NO_LIMITS)
      assert(result.ok, 'a synthetic profile decodes')
      const { profile } = result
      const split = splitProfile(profile, labels[i]!, { maxSessionsPerSeries: 0 })
      head.append({ profile, split, profileId: ids[i]!, timeNanos: profile.timeNanos + BigInt(i), stackDepthMax: 0 })
    }
    return head.finish().dataset.headers.count
  }
}

function encodePath(): Round {
  const codec = createCodec()
  const segment = syntheticBlocks().segments[0]!
  return () => encodeDataset(segment, { codec }).bytes.length
}

function mergePath(): Round {
  const codec = nativeZstd(createCodec())
  const { segmentObjects } = syntheticBlocks()
  const inputs = segmentObjects.map(({ region, descriptor }) => ({ region, descriptor, skip: [] }))
  const window = { windowStartMs: HOUR_START_MS, windowMs: MS_PER_HOUR }
  // As in a thread that has merged the service before.
  const options = { codec, window, budgetBytes: Number.POSITIVE_INFINITY, memory: new MergeMemory() }
  return () => mergeRegions(inputs, options).dataset.encoded.bytes.length
}

function flameGraphPath(): Round {
  const codec = createCodec()
  const { region, descriptor } = syntheticBlocks().mergedObject
  const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
  const range = { startMs: HOUR_START_MS, endMs: HOUR_START_MS + MS_PER_HOUR, stepMs: 60_000 }
  const query = { profileType: PROFILE_TYPE, matches: () => true, ...range, skip: [] }
  return () => {
    const head = openDataset(region, descriptor, codec)
    const tree = new FunctionTree()
    addStacktraces(planStacktraces(head, selectProfiles(head, query)), fetched, tree)
    return encodeTree(tree).length
  }
}

export function isHotPath(name: string | undefined): name is HotPath {
  return name !== undefined && Object.hasOwn(HOT_PATHS, name)
}

/** Its name marks the frames that count. */
function runHotPath(round: Round): number {
  const endMs = performance.now() + RUN_MS
  let done = 0
  while (performance.now() < endMs) done += round() > 0 ? 1 : 0
  return done
}

if (import.meta.main) {
  const name = process.argv[2]
  if (isHotPath(name)) console.log(`${name}: ${runHotPath(HOT_PATHS[name]())} rounds`)
  else {
    console.error(`hot-paths: ${name ?? 'no path'}; known: ${Object.keys(HOT_PATHS).join(', ')}`)
    process.exitCode = 2
  }
}
