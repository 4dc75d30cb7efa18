/**
 * Speedscope files (https://www.speedscope.app/file-format-schema.json): profiles of type `sampled` (a stack and a weight
 * each) and `evented` (frames that open and close; the time between two events belongs to the frames that are open).
 *
 * 1. Profiles of equal name, type, unit and start are one. Each becomes a series with the label `profile_name`.
 * 2. Weights are kept exactly: time is stored in nanoseconds, whatever its unit, rounded once per stack; bytes as bytes.
 *    Weights without a unit are counts.
 * 3. What the values are follows from the application's suffix where it fits the unit; several profiles in one file are
 *    told apart by their unit instead, and the application keeps its whole name, as with the peers.
 */
import { decodeText } from './collapsed.ts'
import { type AppType, parseAppType, type SampledType, sampledType } from './app-type.ts'
import { type Frame, ROOT, StackCounts, StackFault } from './stack-counts.ts'

const SCHEMA = 'https://www.speedscope.app/file-format-schema.json'

/** A browser's recording has one for each thread. */
const PROFILES_MAX = 1_024

/** Of a unit of time, in nanoseconds. */
const NANOS: Readonly<Record<string, number>> = { nanoseconds: 1, microseconds: 1e3, milliseconds: 1e6, seconds: 1e9 }
/** The rate that stands for "not given", which every agent sends. */
const SAMPLE_RATE_DEFAULT = 100

export interface SpeedscopeProfile {
  readonly profileName: string
  /** The application that its series belongs to. */
  readonly service: string
  readonly type: SampledType
  /** Weights without a unit may be numbers of samples. */
  readonly countsSamples: boolean
  readonly counts: StackCounts
}

interface Weights {
  readonly type: SampledType
  readonly service: string
  readonly countsSamples: boolean
  /** Of one unit of weight, in the type's unit. */
  readonly factor: number
}

type Json = Readonly<Record<string, unknown>>

/** Throws `StackFault`. */
export function readSpeedscope(body: Uint8Array, app: string, sampleRate: number): SpeedscopeProfile[] {
  const file = parseFile(decodeText(body))
  const frames = listOf(objectOf(file.shared, 'shared').frames, 'shared.frames').map(frameOf)
  const profiles = listOf(file.profiles, 'profiles').map((profile, i) => objectOf(profile, `profiles[${i}]`))
  if (profiles.length > PROFILES_MAX) throw new StackFault(`${profiles.length} profiles, ${PROFILES_MAX} are allowed`)
  const byKey = new Map<string, Into>()
  for (const profile of profiles) {
    const { name, type, unit, startValue } = profile
    const key = JSON.stringify([name, type, unit, startValue])
    const known = byKey.get(key)
    if (known !== undefined) {
      readProfile(profile, frames, known)
      continue
    }
    const weights = weightsOf(textOf(unit, 'unit'), { app, sampleRate, isOnly: profiles.length === 1 })
    const { service, type: sampled, countsSamples } = weights
    const profileName = textOf(name ?? '', 'name')
    const read = { profileName, service, type: sampled, countsSamples, counts: new StackCounts() }
    const entry = { read, weights: new WeightSums(weights.factor), frameIds: [] }
    byKey.set(key, entry)
    readProfile(profile, frames, entry)
  }
  return Array.from(byKey.values(), ({ read, weights }) => {
    weights.addTo(read.counts)
    return read
  })
}

function parseFile(text: string): Json {
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (error) {
    throw new StackFault(`speedscope: ${error instanceof Error ? error.message : 'not JSON'}`)
  }
  const json = objectOf(file, 'the file')
  if (json.$schema !== SCHEMA)
    throw new StackFault(`Unknown schema: ${JSON.stringify(json.$schema ?? '').slice(1, 101)}; known is ${SCHEMA}`)
  return json
}

function frameOf(value: unknown, i: number): Frame {
  const { name, file, line } = objectOf(value, `frame ${i}`)
  const text = textOf(name, `name of frame ${i}`)
  if (typeof file !== 'string') return { name: text }
  const isLine = typeof line === 'number' && Number.isSafeInteger(line) && line >= 0
  return { name: text, file, ...(isLine ? { line } : {}) }
}

interface Asked {
  readonly app: string
  readonly sampleRate: number
  readonly isOnly: boolean
}

function weightsOf(unit: string, { app, sampleRate, isOnly }: Asked): Weights {
  const nanos = Object.hasOwn(NANOS, unit) ? NANOS[unit]! : undefined
  if (nanos === undefined && unit !== 'none' && unit !== 'bytes')
    throw new StackFault(
      `unknown unit ${JSON.stringify(unit.slice(0, 64))}; known are ${Object.keys(NANOS)}, bytes, none`,
    )
  const named = parseAppType(isOnly ? app : `${app}.${nanos === undefined ? 'bytes' : unit}`)
  if (!named.ok) throw new StackFault(named.message)
  const { service, suffix, type } = named.app
  if (unit === 'bytes')
    return { service, type: sampledType(type.name === 'memory' ? type : MEMORY, 0), countsSamples: false, factor: 1 }
  if (nanos === undefined) {
    // Somebody who writes `.cpu` says that these are samples of CPU.
    const counts = isOnly && suffix !== undefined ? sampledType(type, sampleRate) : sampledType(COUNTS, 0)
    return { service, type: counts, countsSamples: true, factor: 1 }
  }
  const isOwnRate = sampleRate !== SAMPLE_RATE_DEFAULT && sampleRate > 0
  // A rate of one's own says how long a hundredth of a unit is; what is sent so today must not change.
  const weightNanos = isOwnRate ? (100 * 1e9) / sampleRate : nanos
  const timed = sampledType(type, isOwnRate ? sampleRate : 1e11 / nanos)
  const isTime = timed.unit === 'nanoseconds'
  return { service, type: timed, countsSamples: false, factor: isTime ? weightNanos : 1 }
}

const MEMORY: AppType = { name: 'memory', type: 'samples', unit: 'bytes' }
const COUNTS: AppType = { name: 'process_cpu', type: 'samples', unit: 'count' }

/** Weights of stacks as they come: fractions are added before they are rounded. */
class WeightSums {
  readonly #factor: number
  readonly #sums = new Map<number, number>()

  constructor(factor: number) {
    this.#factor = factor
  }

  add(node: number, weight: number): void {
    this.#sums.set(node, (this.#sums.get(node) ?? 0) + weight)
  }

  addTo(counts: StackCounts): void {
    for (const [node, weight] of this.#sums) {
      const value = Math.round(weight * this.#factor)
      // Sums of finite weights may be infinite, or no number.
      if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER))
        throw new StackFault(`weight ${weight} of a stack is too large`)
      counts.add(node, BigInt(value))
    }
  }
}

interface Into {
  readonly read: SpeedscopeProfile
  readonly weights: WeightSums
  /** By index in the file: a name is looked up once, however often a stack has it. */
  readonly frameIds: number[]
}

function readProfile(profile: Json, frames: readonly Frame[], into: Into): void {
  if (profile.type === 'sampled') readSampled(profile, frames, into)
  else if (profile.type === 'evented') readEvented(profile, frames, into)
  else throw new StackFault(`unknown profile type ${JSON.stringify(profile.type ?? '')}; known are evented, sampled`)
}

function readSampled(profile: Json, frames: readonly Frame[], into: Into): void {
  const { counts } = into.read
  const samples = listOf(profile.samples, 'samples')
  const list = listOf(profile.weights, 'weights')
  if (samples.length !== list.length)
    throw new StackFault(`${samples.length} samples and ${list.length} weights: each sample has one`)
  samples.forEach((sample, i) => {
    let node = ROOT
    for (const index of listOf(sample, `samples[${i}]`)) node = counts.child(node, frameIdOf(frames, index, into))
    into.weights.add(node, numberOf(list[i], `weights[${i}]`))
  })
}

function readEvented(profile: Json, frames: readonly Frame[], into: Into): void {
  const { counts } = into.read
  let lastAt = numberOf(profile.startValue ?? 0, 'startValue')
  let node = ROOT
  const elapse = (at: number, what: string) => {
    if (at < lastAt) throw new StackFault(`${what} lies before the one in front of it: ${at} < ${lastAt}`)
    if (node !== ROOT) into.weights.add(node, at - lastAt)
    lastAt = at
  }
  listOf(profile.events, 'events').forEach((value, i) => {
    const event = objectOf(value, `events[${i}]`)
    const frame = frameIdOf(frames, event.frame, into)
    elapse(numberOf(event.at, `events[${i}].at`), `events[${i}]`)
    if (event.type === 'O') node = counts.child(node, frame)
    else if (event.type !== 'C') throw new StackFault(`events[${i}]: type is O or C`)
    else if (node === ROOT || counts.frameOf(node) !== frame)
      throw new StackFault(`events[${i}] closes frame ${String(event.frame)}, which is not the innermost open one`)
    else node = counts.parent(node)
  })
  // Frames that never close are open to the end.
  if (node !== ROOT && typeof profile.endValue === 'number') elapse(Math.max(lastAt, profile.endValue), 'endValue')
}

function frameIdOf(frames: readonly Frame[], index: unknown, { read, frameIds }: Into): number {
  const frame = typeof index === 'number' ? frames[index] : undefined
  if (typeof index !== 'number' || frame === undefined)
    throw new StackFault(`Invalid frame ${JSON.stringify(index)}: there are ${frames.length}`)
  return (frameIds[index] ??= read.counts.frame(frame))
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw new StackFault(`speedscope: ${what} is not an object`)
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new StackFault(`speedscope: ${what} is not a list`)
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new StackFault(`speedscope: ${what} is not a text`)
}

function numberOf(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new StackFault(`speedscope: ${what} is not a number`)
}
