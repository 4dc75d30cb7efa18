/**
 * Fuzzing of one decoder: mutated valid inputs for a time, each of which must be read, or refused in the one way that
 * the decoder documents; it must come back, and must not allocate beyond a stated multiple of the input.
 *
 * 1. Seeds are valid inputs; they must be read.
 * 2. An input is a mutation of one of the corpus. If its outcome is new (the place that refused it, or what `read`
 *    returns), it joins the corpus: so mutation goes on behind every check that it has passed.
 * 3. What is met badly is written to found/<name>/, and replayed by every later run.
 *
 * Time: 0.25 s a decoder, 10 s with CI=true, FUZZ_SECONDS by hand. FUZZ_SEED repeats a run; without it, a run by hand
 * draws its own and prints it. The gate keeps to seed 1: what it finds must be the change's doing, not the day's luck.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { seededRandom } from '../support/profiles.ts'
import { countAllocations, countedBytes } from './allocations.ts'
import { FOUND, readFound, saveFound } from './found.ts'
import { type HangWatch, startHangWatch } from './hang-watch.ts'
import { INPUT_BYTES_MAX, mutate, type Random } from './mutate.ts'

export interface FuzzTarget {
  /** Also the folder of what is found. */
  readonly name: string
  readonly seeds: readonly Uint8Array[]
  /** Words of the format, for text. */
  readonly words?: readonly string[]
  /** A change that keeps what no blind one would, checksums for example. */
  readonly mutate?: (seed: Uint8Array, random: Random) => Uint8Array
  /** What it returns names the outcome. */
  readonly read: (input: Uint8Array) => string | void | Promise<string | void>
  /** Whether a thrown value is the documented refusal. */
  readonly isRefusal: (error: unknown) => boolean
  readonly memory: MemoryBound
}

/** Typed arrays for one input: at most `multiple` times its bytes, and `baseBytes` for any. */
export interface MemoryBound {
  readonly baseBytes: number
  readonly multiple: number
}

export interface FuzzRun {
  readonly durationMs: number
  readonly seed: number
  /** Of what is found. */
  readonly directory: string
}

export interface FuzzReport {
  readonly inputs: number
  readonly corpus: number
  /** The greatest share of the memory bound that an input took. */
  readonly memoryShare: number
}

const DURATION_MS = 250
const CI_DURATION_MS = 10_000
/** 1,000 outcomes; beyond it the first ones are as good. */
const CORPUS_MAX = 1_024

export function durationMs(env: NodeJS.ProcessEnv): number {
  if (env.FUZZ_SECONDS !== undefined) return Number(env.FUZZ_SECONDS) * 1000
  return env.CI === 'true' ? CI_DURATION_MS : DURATION_MS
}

function seedOf(env: NodeJS.ProcessEnv): number {
  if (env.FUZZ_SEED !== undefined) return Number(env.FUZZ_SEED)
  return env.FUZZ_SECONDS === undefined ? 1 : Math.floor(Math.random() * 2 ** 32)
}

/** Registers the tests of some decoders. */
export function fuzz(targets: readonly FuzzTarget[]): void {
  countAllocations()
  const timeMs = durationMs(process.env)
  const seed = seedOf(process.env)
  for (const target of targets) {
    const directory = join(FOUND, target.name)
    describe(`fuzz ${target.name}`, () => {
      test('what was once found is met well', async () => {
        for (const { name, input } of readFound(directory)) {
          const fault = await faultOf(target, input)
          assert.equal(fault, undefined, `${name}: ${fault}`)
        }
      })

      test('any input is read or refused', { timeout: timeMs * 2 + 30_000 }, async () => {
        const report = await runFuzzer(target, { durationMs: timeMs, seed, directory })
        const share = (report.memoryShare * 100).toFixed(0)
        const done = `${report.inputs} inputs, ${report.corpus} outcomes, ${share} % of the memory bound`
        console.log(`fuzz ${target.name}: ${done}, FUZZ_SEED=${seed}`)
      })
    })
  }
}

/** Fails with the first input that is met badly, after writing it down. */
export async function runFuzzer(target: FuzzTarget, run: FuzzRun): Promise<FuzzReport> {
  const random = seededRandom(run.seed)
  const words = (target.words ?? []).map((word) => new TextEncoder().encode(word))
  const corpus: Uint8Array[] = target.seeds.map((seed) => seed.slice(0, INPUT_BYTES_MAX))
  const outcomes = new Set<string>()
  const watch = startHangWatch(run.directory)
  const endMs = performance.now() + run.durationMs
  let inputs = 0
  let memoryShare = 0
  try {
    for (const seed of target.seeds) await expectRead(target, seed)
    while (performance.now() < endMs) {
      // The clock is read once in 32 inputs: it costs as much as a short one.
      for (let i = 0; i < 32; i++, inputs++) {
        const from = corpus[random(corpus.length)]!
        const input = target.mutate?.(from, random) ?? mutate(from, corpus, words, random)
        const met = await meet(target, input, watch)
        if (met.fault !== undefined) fail(target, input, { ...run, fault: met.fault })
        memoryShare = Math.max(memoryShare, met.memoryShare)
        if (corpus.length >= CORPUS_MAX || outcomes.has(met.outcome)) continue
        outcomes.add(met.outcome)
        corpus.push(input)
      }
    }
  } finally {
    await watch.stop()
  }
  return { inputs, corpus: outcomes.size, memoryShare }
}

function fail(target: FuzzTarget, input: Uint8Array, found: FuzzRun & { fault: string }): never {
  const path = saveFound(found.directory, input)
  assert.fail(`${target.name}: ${found.fault}\nFUZZ_SEED=${found.seed}, ${input.length} bytes in ${path}`)
}

async function expectRead(target: FuzzTarget, seed: Uint8Array): Promise<void> {
  try {
    await target.read(seed)
  } catch (error) {
    assert.fail(`${target.name}: a seed of ${seed.length} bytes is not read: ${String(error)}`)
  }
}

interface Met {
  readonly outcome: string
  readonly fault: string | undefined
  readonly memoryShare: number
}

async function meet(target: FuzzTarget, input: Uint8Array, watch?: HangWatch): Promise<Met> {
  watch?.begin(input)
  const before = countedBytes()
  let outcome = 'read'
  let fault: string | undefined
  try {
    const read = target.read(input)
    // Most decoders are synchronous; awaiting them would double the time of an input.
    const named = read instanceof Promise ? await read : read
    if (named !== undefined) outcome = named
  } catch (error) {
    if (target.isRefusal(error)) outcome = outcomeOf(error)
    else fault = `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  }
  const { baseBytes, multiple } = target.memory
  const allocated = countedBytes() - before
  const allowed = baseBytes + multiple * input.length
  if (fault === undefined && allocated > allowed) {
    fault = `allocated ${allocated} bytes for ${input.length}, allowed are ${allowed}`
  }
  watch?.end()
  return { outcome, fault, memoryShare: allowed === 0 ? 0 : allocated / allowed }
}

async function faultOf(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  return (await meet(target, input)).fault
}

/** The lines that led to a refusal: texts repeat the input, which would make every outcome a new one. */
function outcomeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return (stack.match(/[^/\s]+\.ts:\d+/g) ?? []).slice(0, 4).join(' ')
}
