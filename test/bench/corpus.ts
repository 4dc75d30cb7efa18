/**
 * What is measured: our recorded profiles, synthetic ones from a seed, and, with FIXTURES_DIR or GOLDENS_DIR set, every
 * profile below those directories.
 *
 * The synthetic service: one program with a pool of stacks that share their roots, as a call graph makes them; every
 * profile draws stacks from the pool, few of them often (rank^-1); values are multiples of 10 ms. So stacks repeat over
 * profiles while rows differ, which is what decides the size of a block and the speed of a merge.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MIB } from '#core/units.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { createCodec } from '#platform/codec.ts'
import { buildPprof, type FrameSpec, seededRandom } from '../support/profiles.ts'

export interface CorpusProfile {
  readonly gzip: Uint8Array
  readonly raw: Uint8Array
}

export interface Corpus {
  readonly name: string
  readonly profiles: readonly CorpusProfile[]
  readonly rawBytes: number
}

export const NO_LIMITS = { maxProfileSizeBytes: 0, maxSamples: 0, maxSymbolBytes: 0 }

const codec = createCodec()
const FIXTURES = fileURLToPath(new URL('../fixtures/profiles', import.meta.url))
/** A case has seconds, not minutes. */
const REAL_PROFILES_MAX = 100
const REAL_BYTES_MAX = 24 * MIB
const PROFILE_RAW_BYTES_MAX = 16 * MIB

/** 2026-01-01T10:00:00Z, the start of an hour. */
export const HOUR_START_MS = Date.UTC(2026, 0, 1, 10)

const POOL_STACKS = 2_000
const SAMPLES_PER_PROFILE = 300

let syntheticStacks: readonly (readonly FrameSpec[])[] | undefined

/** Leaf first. A stack extends a random earlier one by one frame: depth grows with the logarithm of the pool. */
function stackPool(): readonly (readonly FrameSpec[])[] {
  if (syntheticStacks !== undefined) return syntheticStacks
  const random = seededRandom(7)
  const pool: (readonly FrameSpec[])[] = [...roots(random)]
  while (pool.length < POOL_STACKS) pool.push([frameOf(random(900)), ...pool[random(pool.length)]!])
  syntheticStacks = pool
  return pool
}

/** Ten ways into the program, each twelve frames deep: frameworks put that much below any handler. */
function* roots(random: (below: number) => number): Generator<readonly FrameSpec[]> {
  for (let root = 0; root < 10; root++)
    yield Array.from({ length: 12 }, (_, i) => frameOf(i < 6 ? random(900) : 900 + i))
}

function frameOf(id: number): FrameSpec {
  const owner = `github.com/acme/shop/pkg${id % 41}`
  return [
    `${owner}.(*Handler${id % 7}).method${id}`,
    `/src/shop/pkg${id % 41}/file${id % 5}.go`,
    10 + ((id * 13) % 400),
  ]
}

export function syntheticProfile(seed: number): Uint8Array {
  const pool = stackPool()
  const random = seededRandom(seed)
  const counts = new Map<number, number>()
  for (let draw = 0; draw < SAMPLES_PER_PROFILE; draw++) {
    // Density 1/rank: the exponent of a uniform number.
    const rank = Math.floor(pool.length ** (random(1 << 24) / (1 << 24))) - 1
    counts.set(rank, (counts.get(rank) ?? 0) + 1 + random(3))
  }
  return buildPprof({
    types: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    timeNanos: BigInt(HOUR_START_MS) * 1_000_000n,
    durationNanos: 10_000_000_000n,
    samples: [...counts].map(([rank, count]) => ({ stack: pool[rank]!, values: [count, count * 10_000_000] })),
  })
}

export function syntheticCorpus(count: number, firstSeed = 1): Corpus {
  const profiles = Array.from({ length: count }, (_, i) => {
    const raw = syntheticProfile(firstSeed + i)
    return { raw, gzip: codec.gzip(raw) }
  })
  return corpusOf('synthetic', profiles)
}

export function recordedCorpus(): Corpus {
  return corpusOf('recorded', readProfiles(FIXTURES))
}

/** Undefined if neither directory is given. */
export function realCorpus(env: Readonly<Record<string, string | undefined>>): Corpus | undefined {
  const directories = [env['FIXTURES_DIR'], env['GOLDENS_DIR']].filter((path) => path !== undefined && path !== '')
  if (directories.length === 0) return undefined
  const profiles = directories.flatMap((path) => readProfiles(path!))
  const kept: CorpusProfile[] = []
  let bytes = 0
  for (const profile of profiles) {
    if (kept.length === REAL_PROFILES_MAX || bytes + profile.raw.length > REAL_BYTES_MAX) continue
    kept.push(profile)
    bytes += profile.raw.length
  }
  return kept.length === 0 ? undefined : corpusOf('real', kept)
}

export function allCorpora(env: Readonly<Record<string, string | undefined>>): Corpus[] {
  const real = realCorpus(env)
  return [recordedCorpus(), syntheticCorpus(40), ...(real === undefined ? [] : [real])]
}

function corpusOf(name: string, profiles: readonly CorpusProfile[]): Corpus {
  return { name, profiles, rawBytes: profiles.reduce((sum, { raw }) => sum + raw.length, 0) }
}

/** Files whose content is a profile with samples, in the order of their paths. */
function readProfiles(directory: string): CorpusProfile[] {
  const profiles: CorpusProfile[] = []
  const decoder = new ProfileDecoder()
  for (const entry of (readdirSync(directory, { recursive: true }) as string[]).sort()) {
    const path = join(directory, entry)
    if (!statSync(path).isFile()) continue
    const raw = inflate(readFileSync(path))
    if (raw === undefined) continue
    const result = decoder.decode(raw, NO_LIMITS)
    if (!result.ok || result.profile.sampleCount === 0 || result.profile.valueCountMismatches > 0) continue
    profiles.push({ raw, gzip: codec.gzip(raw) })
  }
  return profiles
}

function inflate(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return new Uint8Array(bytes)
  try {
    return codec.gunzip(bytes, PROFILE_RAW_BYTES_MAX)
  } catch {
    return undefined
  }
}
