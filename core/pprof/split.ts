/**
 * Splits a profile into the series that its sample labels make, and says which samples of it are stored.
 *
 * 1. A sample with a negative value, or with zeros alone, is dropped.
 * 2. `span_id` (or `profile_id`, its old name) and `trace_id` become numbers of the sample; what is not 16 or 32
 *    hexadecimal digits is ignored, the sample stays.
 * 3. Every other string label joins the pushed labels, unless a pushed label has its name; numeric labels are dropped.
 *    Samples with equal label lists find their series by one hash of string indices; only the first of each list builds
 *    label strings. Of a name that a sample repeats the first value counts.
 *
 * A profile without sample labels costs one pass over its values. Must not: look at stacks, or validate labels.
 */
import { labelsKey, type LabelPair, type Labels } from '../labels/labels.ts'
import type { TenantLimits } from '../limits/limits.ts'
import { hashStep, mix32 } from '../wire/hash.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { DecodedProfile } from './profile.ts'
import { seriesLabels } from './series-labels.ts'
import { stringAt } from './string-table.ts'

export interface SplitProfile {
  /** In order of first use; every one has a kept sample. */
  readonly series: readonly Labels[]
  readonly keptCount: number
  /** Of kept sample k: its row in the profile, and its series. The columns may be longer than `keptCount`. */
  readonly keptSample: Uint32Array
  readonly keptSeries: Uint32Array
  /** By k; 0 = none; undefined if no sample has one. A span id's first 8 hexadecimal digits are the high lane. */
  readonly spanId: Int64Column | undefined
  readonly traceIdHigh: Int64Column | undefined
  readonly traceIdLow: Int64Column | undefined
}

export type SplitLimits = Pick<TenantLimits, 'maxSessionsPerSeries'>

export function splitProfile(
  profile: DecodedProfile,
  pushedLabels: readonly LabelPair[],
  limits: SplitLimits,
): SplitProfile {
  const keptSample = new Uint32Array(profile.sampleCount)
  const keptCount = keepSamples(profile, keptSample)
  const keptSeries = new Uint32Array(keptCount)
  const none = { keptCount, keptSample, keptSeries, spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  if (keptCount === 0) return { series: [], ...none }
  if (profile.sampleLabelsMax === 0)
    return { series: [seriesLabels(pushedLabels, limits.maxSessionsPerSeries)], ...none }
  const splitter = new Splitter(profile, pushedLabels, limits)
  for (let k = 0; k < keptCount; k++) keptSeries[k] = splitter.seriesOf(keptSample[k]!)
  return {
    series: splitter.series,
    keptCount,
    keptSample,
    keptSeries,
    ...readContexts(profile, splitter, keptSample, keptCount),
  }
}

/** Rows of the samples to store, in order; returns how many. */
function keepSamples(profile: DecodedProfile, keptSample: Uint32Array): number {
  const { lo, hi } = profile.sampleValue
  const typeCount = profile.sampleTypes.length
  let kept = 0
  for (let sample = 0, at = 0; sample < profile.sampleCount; sample++) {
    let bits = 0
    let signs = 0
    for (let t = 0; t < typeCount; t++, at++) {
      bits |= lo[at]! | hi[at]!
      signs |= hi[at]!
    }
    if (bits !== 0 && (signs | 0) >= 0) keptSample[kept++] = sample
  }
  return kept
}

const UNKNOWN = 0
const SERIES_LABEL = 1
const SPAN_ID = 2
const TRACE_ID = 3
const OVERRIDDEN = 4

class Splitter {
  readonly series: Labels[] = []
  hasSpans = false
  hasTraces = false
  readonly #profile: DecodedProfile
  readonly #pushed: readonly LabelPair[]
  readonly #maxSessions: number
  readonly #pushedNames: ReadonlySet<string>
  readonly #seriesByKey = new Map<string, number>()
  /** What a label of this name is, by string index; found once per string. */
  readonly #kind: Uint8Array
  /** Open hash over label lists: a sample that has the list, + 1, and the list's series. At most half full. */
  #slotSample = new Uint32Array(64)
  #slotSeries = new Uint32Array(64)
  #listCount = 0

  constructor(profile: DecodedProfile, pushed: readonly LabelPair[], limits: SplitLimits) {
    this.#profile = profile
    this.#pushed = pushed
    this.#maxSessions = limits.maxSessionsPerSeries
    this.#pushedNames = new Set(pushed.filter((pair) => pair.value !== '').map((pair) => pair.name))
    this.#kind = new Uint8Array(profile.stringCount)
  }

  seriesOf(sample: number): number {
    const mask = this.#slotSample.length - 1
    let slot = this.#hashOf(sample) & mask
    for (;;) {
      const entry = this.#slotSample[slot]!
      if (entry === 0) break
      if (this.#sameLabels(entry - 1, sample)) return this.#slotSeries[slot]!
      slot = (slot + 1) & mask
    }
    const series = this.#addSeries(sample)
    this.#slotSample[slot] = sample + 1
    this.#slotSeries[slot] = series
    if (++this.#listCount * 2 > this.#slotSample.length) this.#rehash()
    return series
  }

  kindOf(key: number): number {
    let kind = this.#kind[key]!
    if (kind === UNKNOWN) {
      kind = this.#kindOfName(stringAt(this.#profile, key))
      this.#kind[key] = kind
    }
    return kind
  }

  #kindOfName(name: string): number {
    if (name === 'span_id' || name === 'profile_id') {
      this.hasSpans = true
      return SPAN_ID
    }
    if (name === 'trace_id') {
      this.hasTraces = true
      return TRACE_ID
    }
    return this.#pushedNames.has(name) ? OVERRIDDEN : SERIES_LABEL
  }

  /** Next label at or after `at` that decides the series; `end` if there is none. */
  #nextLabel(at: number, end: number): number {
    const { labelKey, labelString } = this.#profile
    let i = at
    while (i < end && (labelString[i] === 0 || this.kindOf(labelKey[i]!) !== SERIES_LABEL)) i++
    return i
  }

  #hashOf(sample: number): number {
    const { labelKey, labelString, sampleLabelStart } = this.#profile
    const end = sampleLabelStart[sample + 1]!
    let hash = 0
    for (let i = this.#nextLabel(sampleLabelStart[sample]!, end); i < end; i = this.#nextLabel(i + 1, end)) {
      hash = hashStep(hashStep(hash, labelKey[i]!), labelString[i]!)
    }
    return mix32(hash)
  }

  #sameLabels(a: number, b: number): boolean {
    const { labelKey, labelString, sampleLabelStart } = this.#profile
    const endA = sampleLabelStart[a + 1]!
    const endB = sampleLabelStart[b + 1]!
    let i = this.#nextLabel(sampleLabelStart[a]!, endA)
    let j = this.#nextLabel(sampleLabelStart[b]!, endB)
    while (i < endA && j < endB) {
      if (labelKey[i] !== labelKey[j] || labelString[i] !== labelString[j]) return false
      i = this.#nextLabel(i + 1, endA)
      j = this.#nextLabel(j + 1, endB)
    }
    return i === endA && j === endB
  }

  /** Different lists may be one series: another order, equal strings at two indices, names that relabelling drops. */
  #addSeries(sample: number): number {
    const { labelKey, labelString, sampleLabelStart } = this.#profile
    const end = sampleLabelStart[sample + 1]!
    const own = new Map<string, string>()
    for (let i = this.#nextLabel(sampleLabelStart[sample]!, end); i < end; i = this.#nextLabel(i + 1, end)) {
      const name = stringAt(this.#profile, labelKey[i]!)
      const value = stringAt(this.#profile, labelString[i]!)
      if (value !== '' && !own.has(name)) own.set(name, value)
    }
    const pairs = [...this.#pushed, ...Array.from(own, ([name, value]) => ({ name, value }))]
    const labels = seriesLabels(pairs, this.#maxSessions)
    const key = labelsKey(labels)
    let series = this.#seriesByKey.get(key)
    if (series === undefined) {
      series = this.series.length
      this.series.push(labels)
      this.#seriesByKey.set(key, series)
    }
    return series
  }

  #rehash(): void {
    const samples = this.#slotSample
    const series = this.#slotSeries
    this.#slotSample = new Uint32Array(samples.length * 2)
    this.#slotSeries = new Uint32Array(samples.length * 2)
    const mask = this.#slotSample.length - 1
    for (let i = 0; i < samples.length; i++) {
      if (samples[i] === 0) continue
      let slot = this.#hashOf(samples[i]! - 1) & mask
      while (this.#slotSample[slot] !== 0) slot = (slot + 1) & mask
      this.#slotSample[slot] = samples[i]!
      this.#slotSeries[slot] = series[i]!
    }
  }
}

type Contexts = Pick<SplitProfile, 'spanId' | 'traceIdHigh' | 'traceIdLow'>

function readContexts(
  profile: DecodedProfile,
  splitter: Splitter,
  keptSample: Uint32Array,
  keptCount: number,
): Contexts {
  const spanId = splitter.hasSpans ? allocateInt64Column(keptCount) : undefined
  const traceIdHigh = splitter.hasTraces ? allocateInt64Column(keptCount) : undefined
  const traceIdLow = splitter.hasTraces ? allocateInt64Column(keptCount) : undefined
  if (spanId === undefined && traceIdHigh === undefined) return { spanId, traceIdHigh, traceIdLow }
  const { raw, stringStart, stringLength, labelKey, labelString, sampleLabelStart } = profile
  for (let k = 0; k < keptCount; k++) {
    const end = sampleLabelStart[keptSample[k]! + 1]!
    for (let i = sampleLabelStart[keptSample[k]!]!; i < end; i++) {
      const kind = splitter.kindOf(labelKey[i]!)
      const start = stringStart[labelString[i]!]!
      const length = stringLength[labelString[i]!]!
      if (kind === SPAN_ID && length === 16 && isHex(raw, start, 16)) readInt64(raw, start, spanId!, k)
      else if (kind === TRACE_ID && length === 32 && isHex(raw, start, 32)) {
        readInt64(raw, start, traceIdHigh!, k)
        readInt64(raw, start + 16, traceIdLow!, k)
      }
    }
  }
  return { spanId, traceIdHigh, traceIdLow }
}

function isHex(bytes: Uint8Array, start: number, count: number): boolean {
  for (let i = start; i < start + count; i++) if (hexDigit(bytes[i]!) < 0) return false
  return true
}

/** Sixteen hexadecimal digits, most significant first. */
function readInt64(bytes: Uint8Array, start: number, column: Int64Column, row: number): void {
  column.hi[row] = readUint32(bytes, start)
  column.lo[row] = readUint32(bytes, start + 8)
}

function readUint32(bytes: Uint8Array, start: number): number {
  let value = 0
  for (let i = start; i < start + 8; i++) value = (value << 4) | hexDigit(bytes[i]!)
  return value >>> 0
}

/** -1 if the byte is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
