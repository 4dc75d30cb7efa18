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
 * 4. Samples of series that the tenant's rules drop are left out.
 *
 * A profile without sample labels costs one pass over its values. Must not: look at stacks, or validate labels.
 */
import { labelsKey, type LabelPair, type Labels } from '../labels/labels.ts'
import type { TenantLimits } from '../limits/limits.ts'
import { GrowingUint32 } from '../wire/growing.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { tableSeed, tableWords } from '../wire/table-hash.ts'
import type { DecodedProfile } from './profile.ts'
import { type SeriesRules, seriesLabels } from './series-labels.ts'
import { stringAt } from './string-table.ts'

export interface SplitProfile {
  /** In order of first use; every one has a kept sample. */
  readonly series: readonly Labels[]
  readonly keptCount: number
  /** Samples of series that rules dropped. */
  readonly droppedCount: number
  /** Of kept sample k: its row in the profile, and its series. The columns may be longer than `keptCount`. */
  readonly keptSample: Uint32Array
  readonly keptSeries: Uint32Array
  /** By k; 0 = none; undefined if no sample has one. A span id's first 8 hexadecimal digits are the high lane. */
  readonly spanId: Int64Column | undefined
  readonly traceIdHigh: Int64Column | undefined
  readonly traceIdLow: Int64Column | undefined
}

export type SplitLimits = Pick<TenantLimits, 'maxSessionsPerSeries'>

const DROPPED = 0xffffffff

export function splitProfile(
  profile: DecodedProfile,
  pushedLabels: readonly LabelPair[],
  limits: SplitLimits,
  rules?: SeriesRules,
): SplitProfile {
  const keptSample = new Uint32Array(profile.sampleCount)
  const keptCount = keepSamples(profile, keptSample)
  const keptSeries = new Uint32Array(keptCount)
  const kept = { keptCount, droppedCount: 0, keptSample, keptSeries }
  if (keptCount > 0 && profile.sampleLabelsMax > 0) {
    const splitter = new Splitter(profile, pushedLabels, { maxSessions: limits.maxSessionsPerSeries, rules })
    for (let k = 0; k < keptCount; k++) keptSeries[k] = splitter.add(keptSample[k]!, k, keptCount)
    const { series, spanId, traceIdHigh, traceIdLow } = splitter
    const split = { series, ...kept, spanId, traceIdHigh, traceIdLow }
    return splitter.hasDropped ? withoutDropped(split) : split
  }
  const none = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  if (keptCount === 0) return { series: [], ...kept, ...none }
  const labels = seriesLabels(pushedLabels, limits.maxSessionsPerSeries, rules)
  return labels === undefined
    ? { series: [], ...kept, keptCount: 0, droppedCount: keptCount, ...none }
    : { series: [labels], ...kept, ...none }
}

/** Moves what is kept to the front of every column. */
function withoutDropped(split: SplitProfile): SplitProfile {
  const { keptSample, keptSeries, spanId, traceIdHigh, traceIdLow } = split
  let count = 0
  for (let k = 0; k < split.keptCount; k++) {
    if (keptSeries[k] === DROPPED) continue
    keptSample[count] = keptSample[k]!
    keptSeries[count] = keptSeries[k]!
    for (const ids of [spanId, traceIdHigh, traceIdLow]) {
      if (ids === undefined) continue
      ids.lo[count] = ids.lo[k]!
      ids.hi[count] = ids.hi[k]!
    }
    count++
  }
  return { ...split, keptCount: count, droppedCount: split.keptCount - count }
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

/** What a label's name makes of it; 0 = not looked at yet. */
const SERIES_LABEL = 1
const SPAN_ID = 2
const TRACE_ID = 3
const OVERRIDDEN = 4

interface SplitterRules {
  readonly maxSessions: number
  readonly rules: SeriesRules | undefined
}

class Splitter {
  readonly series: Labels[] = []
  hasDropped = false
  spanId: Int64Column | undefined
  traceIdHigh: Int64Column | undefined
  traceIdLow: Int64Column | undefined
  readonly #seed = tableSeed()
  readonly #profile: DecodedProfile
  readonly #pushed: readonly LabelPair[]
  readonly #maxSessions: number
  readonly #rules: SeriesRules | undefined
  readonly #pushedNames: ReadonlySet<string>
  readonly #seriesByKey = new Map<string, number>()
  /** What a label of this name is, by string index; found once per string. */
  readonly #kind: Uint8Array
  /** Label lists seen: name and value indices of list l are #pairs[#listStart[l]] up to #listStart[l + 1]. */
  readonly #pairs = new GrowingUint32(64)
  readonly #listStart = new GrowingUint32(16)
  readonly #listHash = new GrowingUint32(16)
  readonly #listSeries = new GrowingUint32(16)
  /** Open hash of lists + 1; 0 = free. At most half full. */
  #slots = new Uint32Array(64)
  /** Series of samples without labels of their own, or `DROPPED`; -1 until there is one. */
  #bareSeries = -1

  constructor(profile: DecodedProfile, pushed: readonly LabelPair[], { maxSessions, rules }: SplitterRules) {
    this.#profile = profile
    this.#pushed = pushed
    this.#maxSessions = maxSessions
    this.#rules = rules
    this.#pushedNames = new Set(pushed.filter((pair) => pair.value !== '').map((pair) => pair.name))
    this.#kind = new Uint8Array(profile.stringCount)
    this.#listStart.push(0)
  }

  /** Series of a sample, which is the k-th kept of `keptCount`; its span and trace go to row k. */
  add(sample: number, k: number, keptCount: number): number {
    const { labelKey, labelString, sampleLabelStart } = this.#profile
    const end = sampleLabelStart[sample + 1]!
    const pairs = this.#pairs
    // The list of this sample is written behind the last one, and stays there if it is new.
    const start = pairs.count
    pairs.reserve(2 * (end - sampleLabelStart[sample]!))
    const out = pairs.array
    let at = start
    for (let i = sampleLabelStart[sample]!; i < end; i++) {
      const text = labelString[i]!
      if (text === 0) continue
      const key = labelKey[i]!
      const kind = this.#kind[key] || this.#kindOf(key)
      if (kind === SERIES_LABEL) {
        out[at++] = key
        out[at++] = text
      } else if (kind === SPAN_ID) this.#readSpan(text, k, keptCount)
      else if (kind === TRACE_ID) this.#readTrace(text, k, keptCount)
    }
    if (at > start) return this.#seriesOfList(start, at)
    if (this.#bareSeries < 0) this.#bareSeries = this.#addSeries(start, start)
    return this.#bareSeries
  }

  #kindOf(key: number): number {
    const name = stringAt(this.#profile, key)
    let kind = this.#pushedNames.has(name) ? OVERRIDDEN : SERIES_LABEL
    if (name === 'span_id' || name === 'profile_id') kind = SPAN_ID
    if (name === 'trace_id') kind = TRACE_ID
    this.#kind[key] = kind
    return kind
  }

  #seriesOfList(start: number, end: number): number {
    const hash = tableWords(this.#seed, this.#pairs.array, start, end)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#listHash.array[entry - 1] === hash && this.#equalsList(entry - 1, start, end)) {
        return this.#listSeries.array[entry - 1]!
      }
      slot = (slot + 1) & mask
    }
    const series = this.#addSeries(start, end)
    this.#pairs.count = end
    this.#listStart.push(end)
    this.#listHash.push(hash)
    this.#listSeries.push(series)
    this.#slots[slot] = this.#listSeries.count
    if (this.#listSeries.count * 2 > this.#slots.length) this.#rehash()
    return series
  }

  #equalsList(list: number, start: number, end: number): boolean {
    const pairs = this.#pairs.array
    const from = this.#listStart.array[list]!
    if (this.#listStart.array[list + 1]! - from !== end - start) return false
    for (let i = start; i < end; i++) if (pairs[i] !== pairs[from + i - start]) return false
    return true
  }

  /** Different lists may be one series: another order, equal strings at two indices, names that relabelling drops. */
  #addSeries(start: number, end: number): number {
    const own = new Map<string, string>()
    for (let i = start; i < end; i += 2) {
      const name = stringAt(this.#profile, this.#pairs.array[i]!)
      const value = stringAt(this.#profile, this.#pairs.array[i + 1]!)
      if (value !== '' && !own.has(name)) own.set(name, value)
    }
    const pairs = [...this.#pushed, ...Array.from(own, ([name, value]) => ({ name, value }))]
    const labels = seriesLabels(pairs, this.#maxSessions, this.#rules)
    if (labels === undefined) {
      this.hasDropped = true
      return DROPPED
    }
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
    this.#slots = new Uint32Array(this.#slots.length * 2)
    const mask = this.#slots.length - 1
    for (let list = 0; list < this.#listSeries.count; list++) {
      let slot = this.#listHash.array[list]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = list + 1
    }
  }

  #readSpan(text: number, k: number, keptCount: number): void {
    this.spanId ??= allocateInt64Column(keptCount)
    const { raw, stringStart, stringLength } = this.#profile
    const start = stringStart[text]!
    if (stringLength[text] === 16 && isHex(raw, start, 16)) readInt64(raw, start, this.spanId, k)
  }

  #readTrace(text: number, k: number, keptCount: number): void {
    this.traceIdHigh ??= allocateInt64Column(keptCount)
    this.traceIdLow ??= allocateInt64Column(keptCount)
    const { raw, stringStart, stringLength } = this.#profile
    const start = stringStart[text]!
    if (stringLength[text] !== 32 || !isHex(raw, start, 32)) return
    readInt64(raw, start, this.traceIdHigh, k)
    readInt64(raw, start + 16, this.traceIdLow, k)
  }
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
