/**
 * What the compaction bench merges, in an object store on local files: segments like those of a fleet of 8 services with
 * 3 instances that push every 60 s, a large job, and a cardinality bomb.
 *
 * A service runs one program; each of its profiles has a random 60 to 100 % of the program's stacks, values that stay
 * multiples of their period, and its own time. Programs are real profiles below FIXTURES_DIR if that is set, else
 * synthetic ones of the same size (600 stacks of 12 to 30 frames). Same seed, same rows.
 */
import type { Dataset } from '#core/block/dataset.ts'
import { objectKey } from '#core/block/object-key.ts'
import { DICTIONARY_SEED_BYTES } from '#core/block/stack-keys.ts'
import { compareObjectDatasets, encodeDataset, encodeObject } from '#core/block/write.ts'
import { buildLabels } from '#core/labels/labels.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { splitProfile } from '#core/pprof/split.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { DictionaryCache } from '#core/segment/dictionary-cache.ts'
import { Head } from '#core/segment/head.ts'
import { floorTo, MIB, MS_PER_HOUR } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createCodec } from '#platform/codec.ts'
import { buildPprof, type FrameSpec, seededRandom } from '../support/profiles.ts'
import { distinctStacks, plainDataset } from '../support/plain-dataset.ts'
import { HOUR_START_MS, NO_LIMITS, realCorpus } from './corpus.ts'
import { idOf } from './segments.ts'

const SERVICES = 8
const INSTANCES = 3
const EVERY_MS = 60_000
const PROGRAM_STACKS = 600
const PROGRAM_STACKS_MIN = 200

const codec = createCodec()
type Random = (below: number) => number

export interface StoredSegments {
  readonly sources: readonly SourceObject[]
  /** Samples as pushed: a segment sums those of one stack. */
  readonly pushedSamples: readonly number[]
}

/** One segment a minute. */
export async function storeSegments(store: ObjectStore, count: number): Promise<StoredSegments> {
  const programs = programRaws()
  const decoder = new ProfileDecoder()
  // As a writer does: one dictionary a service, for as long as it runs.
  const dictionaries = new DictionaryCache(64 * MIB, { seed: new Uint8Array(DICTIONARY_SEED_BYTES).fill(1) })
  const sources: SourceObject[] = []
  const pushedSamples: number[] = []
  for (let minute = 0; minute < count; minute++) {
    const heads = new Map<string, Head>()
    let pushed = 0
    for (let i = 0; i < SERVICES * INSTANCES; i++) {
      const random = seededRandom(1 + minute * SERVICES * INSTANCES + i)
      const timeMs = HOUR_START_MS + minute * EVERY_MS + random(EVERY_MS / 2)
      pushed += appendVariant({ heads, dictionaries }, decoder, { program: programs[i % SERVICES]!, i, timeMs, random })
    }
    const datasets = [...heads.values()].map((head) => head.finish().dataset)
    sources.push(await storeObject(store, minute, datasets))
    pushedSamples.push(pushed)
  }
  return { sources, pushedSamples }
}

interface Variant {
  readonly program: Uint8Array
  readonly i: number
  readonly timeMs: number
  readonly random: Random
}

interface Segment {
  readonly heads: Map<string, Head>
  readonly dictionaries: DictionaryCache
}

function appendVariant({ heads, dictionaries }: Segment, decoder: ProfileDecoder, of: Variant): number {
  const { program, i, timeMs, random } = of
  const result = decoder.decode(program, NO_LIMITS)
  if (!result.ok) throw new Error(result.fault.message)
  const { profile } = result
  vary(profile, random)
  const service = `shop-${i % SERVICES}`
  const windowStartMs = floorTo(timeMs, MS_PER_HOUR)
  const key = `${service} ${windowStartMs}`
  const identity = { tenant: 'anonymous', service, windowStartMs, windowMs: MS_PER_HOUR }
  const head = heads.get(key) ?? new Head(identity, dictionaries.dictionaryOf('anonymous', service))
  heads.set(key, head)
  const labels = buildLabels([
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: service },
    { name: 'instance', value: `${service}-${Math.floor(i / SERVICES)}` },
  ])
  const split = splitProfile(profile, labels, { maxSessionsPerSeries: 0 })
  const profileId = idOf(Math.floor(timeMs / 1000) * 64 + i)
  head.append({ profile, split, profileId, timeNanos: BigInt(timeMs) * 1_000_000n, stackDepthMax: 0 })
  return split.keptCount
}

/** In place: what is not drawn gets zeros, which is not stored; the rest is scaled in whole units of its column. */
function vary({ sampleValue: { lo, hi }, sampleTypes, sampleCount }: DecodedProfile, random: Random): void {
  const types = sampleTypes.length
  const share = 600 + random(400)
  for (let sample = 0; sample < sampleCount; sample++) {
    const isKept = random(1000) < share
    const factor = 500 + random(1000)
    for (let at = sample * types; at < (sample + 1) * types; at++) {
      const value = hi[at]! * 2 ** 32 + lo[at]!
      const unit = value % 10_000_000 === 0 ? 10_000_000 : value % 512 === 0 ? 512 : 1
      const scaled = !isKept || value === 0 ? 0 : Math.max(1, Math.round(((value / unit) * factor) / 1000)) * unit
      lo[at] = scaled % 2 ** 32
      hi[at] = Math.floor(scaled / 2 ** 32)
    }
  }
}

function programRaws(): Uint8Array[] {
  const real = (realCorpus(process.env)?.profiles ?? [])
    .map(({ raw }) => raw)
    .filter((raw) => {
      const result = new ProfileDecoder().decode(raw, NO_LIMITS)
      return result.ok && result.profile.sampleCount >= PROGRAM_STACKS_MIN
    })
  return Array.from({ length: SERVICES }, (_, i) => (real.length > 0 ? real[i % real.length]! : programRaw(i)))
}

function programRaw(program: number): Uint8Array {
  const random = seededRandom(900 + program)
  const frame = (id: number): FrameSpec => [
    `github.com/acme/shop${program}/pkg${id % 41}.(*Handler${id % 7}).method${id}`,
    `/src/shop${program}/pkg${id % 41}/file${id % 5}.go`,
    10 + ((id * 13) % 400),
  ]
  const root = Array.from({ length: 12 }, () => frame(random(700)))
  const stacks: (readonly FrameSpec[])[] = [root]
  // A stack extends a random earlier one by one frame: depth grows with the logarithm of their number.
  while (stacks.length < PROGRAM_STACKS) stacks.push([frame(random(700)), ...stacks[random(stacks.length)]!])
  const isHeap = program % 4 === 3
  const cpu = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ] as const
  const heap = [
    ['alloc_objects', 'count'],
    ['alloc_space', 'bytes'],
  ] as const
  return buildPprof({
    types: isHeap ? heap : cpu,
    timeNanos: BigInt(HOUR_START_MS) * 1_000_000n,
    samples: stacks.map((stack) => {
      const count = 1 + Math.floor(40 / (1 + random(40)))
      return { stack, values: isHeap ? [count * 32, count * 512 * (1 + random(16))] : [count, count * 10_000_000] }
    }),
  })
}

/** About 5 bytes a row stored: values of 32 random bits, so that nothing but their number makes the job large. */
export async function storeLargeJob(store: ObjectStore, rowsMillions: number): Promise<SourceObject[]> {
  const random = seededRandom(11)
  const symbols = distinctStacks(8_000, 0)
  const sources: SourceObject[] = []
  for (let s = 0; s < 8; s++) {
    const profiles = Math.round((rowsMillions * 1e6) / 8 / 4_000)
    sources.push(
      await storeObject(store, 10_000 + s, [
        plainDataset({ startMs: HOUR_START_MS + s * 1_000, profiles, rows: 4_000, symbols, random }),
      ]),
    )
  }
  return sources
}

/** A million distinct stacks of 8 frames in one dataset, from 8 segments. */
export async function storeBomb(store: ObjectStore, stacksMillions: number): Promise<SourceObject[]> {
  const random = seededRandom(12)
  const sources: SourceObject[] = []
  const each = Math.round((stacksMillions * 1e6) / 8)
  for (let s = 0; s < 8; s++) {
    const symbols = distinctStacks(each, s * each)
    sources.push(
      await storeObject(store, 20_000 + s, [
        plainDataset({ startMs: HOUR_START_MS + s * 1_000, profiles: 10, rows: each / 10, symbols, random }),
      ]),
    )
  }
  return sources
}

async function storeObject(store: ObjectStore, number: number, datasets: readonly Dataset[]): Promise<SourceObject> {
  const objectId = makeUlid(HOUR_START_MS + number, new Uint8Array(10).fill(number & 0xff))
  const encoded = datasets
    .map(({ tenant, service, windowStartMs, windowMs, ...rest }) => {
      const dataset = { tenant, service, windowStartMs, windowMs, ...rest }
      return { tenant, service, windowStartMs, windowMs, encoded: encodeDataset(dataset, { codec }) }
    })
    .sort(compareObjectDatasets)
  const content = { objectId, level: 0, createdMs: HOUR_START_MS, sources: [], datasets: encoded }
  const { bytes, descriptors } = encodeObject(content)
  await store.put(objectKey(objectId), bytes)
  const named = descriptors.map((descriptor) => ({ descriptor, skip: [] }))
  return { objectId, level: 0, sizeBytes: bytes.length, datasets: named }
}
