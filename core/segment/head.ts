/**
 * A head: the profiles of one tenant, service and data hour on their way into one segment.
 *
 * append: 1. every kept sample's stack is found or interned in the dictionary (only what samples use) and numbered
 *            in order of its first use in this head;
 *         2. rows with equal (stack, span, trace) of one series are summed;
 *         3. one header per resulting series, with the exact totals of its rows, empty stacks included.
 *         An append that throws leaves nothing behind: a header of half a profile would count, and be another's.
 * finish: headers sorted by (group, series, time, id), rows gathered in that order, and the symbols that the head's stacks
 *         use taken from the dictionary: a `Dataset`. What else the dictionary holds makes no difference to it.
 *
 * A profile's id is 16 bytes of which the last two count the series that its sample labels split it into, so that
 * every header has an id of its own and all headers of one profile share the first fourteen bytes.
 *
 * Must not: read the clock, decide about duplicates (the commit does), or keep the decoded profile.
 */
import type { Dataset, GroupRows, ProfileHeaders, SampleGroup } from '../block/dataset.ts'
import { compareLabels, labelsKey, type Labels } from '../labels/labels.ts'
import type { DecodedProfile } from '../pprof/profile.ts'
import type { SplitProfile } from '../pprof/split.ts'
import { GrowingInt64, GrowingUint32, GrowingUint8 } from '../wire/growing.ts'
import { allocateInt64Column } from '../wire/int64.ts'
import { Dictionary } from './dictionary.ts'
import { HeadStacks } from './head-stacks.ts'
import { GrowingRows, RowScratch } from './rows.ts'

/** 65,536 series of one profile: more than the 16,000 samples that the default limit allows. */
export const SPLIT_SERIES_MAX = 65_536
export const PROFILE_ID_BYTES = 16

export interface HeadKey {
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly windowMs: number
}

export interface AppendInput {
  readonly profile: DecodedProfile
  readonly split: SplitProfile
  /** 16 bytes; the last two are overwritten per series. */
  readonly profileId: Uint8Array
  readonly timeNanos: bigint
  /** Root-most frames kept of a stack; 0 = all. */
  readonly stackDepthMax: number
  /** `tablesDigestOf` the profile, by which its tables are known again. */
  readonly tablesDigest?: Uint8Array | undefined
}

export interface AppendResult {
  /** Ordinal of the profile in this head; undefined if nothing of it was left to store. */
  readonly ordinal: number | undefined
  /** Headers that it became: one per series. */
  readonly headers: number
  /** Samples that named a location that does not exist. */
  readonly droppedSamples: number
}

export interface FinishedHead {
  readonly dataset: Dataset
  /** Of header position i of the dataset: the ordinal that `append` returned for its profile. */
  readonly profileOrdinal: Uint32Array
}

const decoder = new TextDecoder()

export class Head {
  readonly key: HeadKey
  readonly #dictionary: Dictionary
  #stacks = new HeadStacks()
  readonly #scratch: RowScratch
  #groups: SampleGroup[] = []
  #groupIndex = new Map<string, number>()
  #rows: GrowingRows[] = []
  #series: Labels[] = []
  #seriesIndex = new Map<string, number>()
  #headerGroup = new GrowingUint32()
  #headerSeries = new GrowingUint32()
  #headerOrdinal = new GrowingUint32()
  #headerRowStart = new GrowingUint32()
  #headerRowLength = new GrowingUint32()
  #headerTime = new GrowingInt64()
  #headerDuration = new GrowingInt64()
  #headerId = new GrowingUint8(256)
  #totals: GrowingInt64[] = []
  #bucketStart = new Uint32Array(16)
  #bucket = new Uint32Array(32)
  #profileCount = 0

  /** A dictionary of its tenant and service; several heads may share one, and the scratch with all heads of a thread. */
  constructor(key: HeadKey, dictionary = new Dictionary(), scratch = new RowScratch()) {
    this.key = key
    this.#dictionary = dictionary
    this.#scratch = scratch
    dictionary.retain()
  }

  get profileCount(): number {
    return this.#profileCount
  }

  append(input: AppendInput): AppendResult {
    const headersBefore = this.#headerGroup.count
    try {
      return this.#append(input)
    } catch (error) {
      this.#cutTo(headersBefore)
      throw error
    }
  }

  #append(input: AppendInput): AppendResult {
    const group = this.#groupOf(input.profile)
    this.#dictionary.profileSymbols.begin(input.profile, input.tablesDigest)
    let droppedSamples = 0
    let headers = 0
    const { split } = input
    this.#bucketBySeries(split)
    for (let s = 0; s < split.series.length; s++) {
      droppedSamples += this.#collect(input, s)
      if (this.#scratch.count === 0) continue
      this.#appendHeader(input, group, s)
      headers++
    }
    if (headers === 0) return { ordinal: undefined, headers, droppedSamples }
    return { ordinal: this.#profileCount++, headers, droppedSamples }
  }

  /** Counting sort of the kept samples by series: 16,000 samples in 16,000 series stay linear. */
  #bucketBySeries(split: SplitProfile): void {
    const seriesCount = split.series.length
    if (this.#bucketStart.length < seriesCount + 1) this.#bucketStart = new Uint32Array(seriesCount * 2)
    if (this.#bucket.length < split.keptCount) this.#bucket = new Uint32Array(split.keptCount * 2)
    const start = this.#bucketStart
    start.fill(0, 0, seriesCount + 1)
    for (let k = 0; k < split.keptCount; k++) start[split.keptSeries[k]! + 1]!++
    for (let s = 0; s < seriesCount; s++) start[s + 1]! += start[s]!
    // Filling from the back turns each end into its start again and keeps the order of samples.
    const next = start.slice(1, seriesCount + 1)
    for (let k = split.keptCount - 1; k >= 0; k--) this.#bucket[--next[split.keptSeries[k]!]!] = k
  }

  /** Collects the rows of one series into the scratch; returns the number of dropped samples. */
  #collect(input: AppendInput, series: number): number {
    const { profile, split, stackDepthMax } = input
    const typeCount = profile.sampleTypes.length
    const scratch = this.#scratch
    const symbols = this.#dictionary.profileSymbols
    const from = this.#bucketStart[series]!
    const to = this.#bucketStart[series + 1]!
    scratch.begin(typeCount, to - from)
    const values = profile.sampleValue
    let dropped = 0
    for (let b = from; b < to; b++) {
      const k = this.#bucket[b]!
      const sample = split.keptSample[k]!
      const known = symbols.stackOf(sample, stackDepthMax)
      if (known < 0) {
        dropped++
        continue
      }
      const stackId = this.#stacks.idOf(known)
      const row = hasContext(split, k) ? scratch.rowWithContext(stackId, split, k) : scratch.rowOf(stackId)
      scratch.addValues(row, values, sample * typeCount)
    }
    return dropped
  }

  #appendHeader(input: AppendInput, group: number, splitOrdinal: number): void {
    const rows = this.#rows[group]!
    const typeCount = rows.values.length
    const header = this.#headerGroup.count
    this.#headerRowStart.push(rows.count)
    this.#headerGroup.push(group)
    this.#headerSeries.push(this.#seriesOf(input.split.series[splitOrdinal]!))
    this.#headerOrdinal.push(this.#profileCount)
    this.#headerTime.pushBigInt(input.timeNanos)
    this.#headerDuration.pushBigInt(input.profile.durationNanos)
    this.#headerId.append(input.profileId, 0, PROFILE_ID_BYTES - 2)
    this.#headerId.push(splitOrdinal & 0xff)
    this.#headerId.push(splitOrdinal >>> 8)
    const total = allocateInt64Column(1)
    for (let t = 0; t < typeCount; t++) {
      this.#scratch.sumInto(total, t)
      this.#totalsOf(t, header).push(total.lo[0]!, total.hi[0]!)
    }
    this.#headerRowLength.push(this.#scratch.appendTo(rows))
  }

  /**
   * Back to the first `headers` headers. Columns may be of different lengths by now. Series, groups and stacks are
   * numbered in order of first use, so what no header that stays uses is the end of each.
   */
  #cutTo(headers: number): void {
    for (const column of [this.#headerGroup, this.#headerSeries, this.#headerOrdinal]) cut(column, headers)
    for (const column of [this.#headerRowStart, this.#headerRowLength]) cut(column, headers)
    cut(this.#headerId, headers * PROFILE_ID_BYTES)
    for (const column of [this.#headerTime, this.#headerDuration, ...this.#totals]) cutInt64(column, headers)
    const seriesCount = countUsed(this.#headerSeries)
    this.#series.length = seriesCount
    for (const [key, index] of this.#seriesIndex) if (index >= seriesCount) this.#seriesIndex.delete(key)
    const groupCount = countUsed(this.#headerGroup)
    this.#groups.length = groupCount
    this.#rows.length = groupCount
    for (const [key, index] of this.#groupIndex) if (index >= groupCount) this.#groupIndex.delete(key)
    this.#totals.length = this.#groups.reduce((max, { types }) => Math.max(max, types.length), 0)
    const rowCounts = new Uint32Array(groupCount)
    for (let h = 0; h < headers; h++) rowCounts[this.#headerGroup.array[h]!]! += this.#headerRowLength.array[h]!
    this.#rows.forEach((rows, group) => cutRows(rows, rowCounts[group]!))
    const { array } = this.#stacks.known
    const stackCount = this.#rows.reduce((max, { stackId }) => Math.max(max, countUsed(stackId)), 0)
    this.#stacks = new HeadStacks()
    for (let id = 0; id < stackCount; id++) this.#stacks.idOf(array[id]!)
  }

  /** Totals of type t, padded with zeros up to this header: headers of groups with fewer types have none. */
  #totalsOf(type: number, header: number): GrowingInt64 {
    const column = (this.#totals[type] ??= new GrowingInt64())
    while (column.count < header) column.push(0, 0)
    return column
  }

  #seriesOf(labels: Labels): number {
    const key = labelsKey(labels)
    let index = this.#seriesIndex.get(key)
    if (index === undefined) {
      index = this.#series.length
      this.#series.push(labels)
      this.#seriesIndex.set(key, index)
    }
    return index
  }

  #groupOf(profile: DecodedProfile): number {
    const text = (index: number): string =>
      decoder.decode(
        profile.raw.subarray(profile.stringStart[index]!, profile.stringStart[index]! + profile.stringLength[index]!),
      )
    const types = profile.sampleTypes.map((t) => ({ type: text(t.type), unit: text(t.unit) }))
    const periodType = profile.periodType === undefined ? '' : text(profile.periodType.type)
    const periodUnit = profile.periodType === undefined ? '' : text(profile.periodType.unit)
    const key = JSON.stringify([types, periodType, periodUnit, String(profile.period)])
    let group = this.#groupIndex.get(key)
    if (group === undefined) {
      group = this.#groups.length
      this.#groups.push({ types, periodType, periodUnit, period: profile.period })
      this.#rows.push(new GrowingRows(types.length))
      this.#groupIndex.set(key, group)
    }
    return group
  }

  /** To be called once, when no profile will be appended any more: the dictionary is free for others. */
  release(): void {
    this.#dictionary.release()
  }

  /** The dataset of everything appended. The head must be released and dropped afterwards. */
  finish(): FinishedHead {
    const count = this.#headerGroup.count
    const seriesOrder = this.#series.map((_, i) => i)
    seriesOrder.sort((a, b) => compareLabels(this.#series[a]!, this.#series[b]!))
    const seriesRank = new Uint32Array(seriesOrder.length)
    for (let i = 0; i < seriesOrder.length; i++) seriesRank[seriesOrder[i]!] = i
    const order = this.#headerOrder(seriesRank)
    const headers = this.#gatherHeaders(order, seriesRank)
    const rows = this.#rows.map((groupRows, group) => this.#gatherRows(group, groupRows, order))
    const profileOrdinal = new Uint32Array(count)
    for (let i = 0; i < count; i++) profileOrdinal[i] = this.#headerOrdinal.array[order[i]!]!
    const { array, count: stackCount } = this.#stacks.known
    const stackKeys = this.#dictionary.keysOf(array, stackCount)
    return {
      dataset: {
        ...this.key,
        symbols: this.#dictionary.take(array, stackCount),
        ...(stackKeys && { stackKeys }),
        series: seriesOrder.map((i) => this.#series[i]!),
        groups: this.#groups,
        rows,
        headers,
      },
      profileOrdinal,
    }
  }

  #headerOrder(seriesRank: Uint32Array): Uint32Array {
    const group = this.#headerGroup.array
    const series = this.#headerSeries.array
    const { lo, hi } = this.#headerTime
    const id = this.#headerId.array
    const order = new Uint32Array(this.#headerGroup.count)
    for (let i = 0; i < order.length; i++) order[i] = i
    return order.sort((a, b) => {
      if (group[a] !== group[b]) return group[a]! - group[b]!
      if (series[a] !== series[b]) return seriesRank[series[a]!]! - seriesRank[series[b]!]!
      if (hi.array[a] !== hi.array[b]) return (hi.array[a]! | 0) - (hi.array[b]! | 0)
      if (lo.array[a] !== lo.array[b]) return lo.array[a]! - lo.array[b]!
      return compareIds(id, a, b)
    })
  }

  #gatherHeaders(order: Uint32Array, seriesRank: Uint32Array): ProfileHeaders {
    const count = order.length
    const pick = (source: Uint32Array): Uint32Array => order.map((from) => source[from]!)
    const pick64 = (source: GrowingInt64): { lo: Uint32Array; hi: Uint32Array } => ({
      lo: pick(source.lo.array),
      hi: pick(source.hi.array),
    })
    const profileId = new Uint8Array(count * PROFILE_ID_BYTES)
    for (let i = 0; i < count; i++) {
      const from = order[i]! * PROFILE_ID_BYTES
      profileId.set(this.#headerId.array.subarray(from, from + PROFILE_ID_BYTES), i * PROFILE_ID_BYTES)
    }
    const rowLength = pick(this.#headerRowLength.array)
    const group = pick(this.#headerGroup.array)
    const rowStart = new Uint32Array(count)
    const next = new Uint32Array(this.#groups.length)
    for (let i = 0; i < count; i++) {
      rowStart[i] = next[group[i]!]!
      next[group[i]!]! += rowLength[i]!
    }
    for (let t = 0; t < this.#totals.length; t++) this.#totalsOf(t, count)
    return {
      count,
      profileId,
      group,
      series: pick(this.#headerSeries.array).map((s) => seriesRank[s]!),
      timeNanos: pick64(this.#headerTime),
      durationNanos: pick64(this.#headerDuration),
      totals: this.#totals.map(pick64),
      rowStart,
      rowLength,
    }
  }

  #gatherRows(group: number, rows: GrowingRows, order: Uint32Array): GroupRows {
    const from = new Uint32Array(rows.count)
    let at = 0
    for (let i = 0; i < order.length; i++) {
      const header = order[i]!
      if (this.#headerGroup.array[header] !== group) continue
      const start = this.#headerRowStart.array[header]!
      const length = this.#headerRowLength.array[header]!
      for (let k = 0; k < length; k++) from[at++] = start + k
    }
    return rows.gather(from)
  }
}

function cut(column: { count: number }, count: number): void {
  column.count = Math.min(column.count, count)
}

function cutInt64({ lo, hi }: GrowingInt64, count: number): void {
  cut(lo, count)
  cut(hi, count)
}

function cutRows(rows: GrowingRows, count: number): void {
  cut(rows.stackId, count)
  for (const column of rows.values) cutInt64(column, count)
  const contexts = [rows.spanId, rows.traceIdHigh, rows.traceIdLow]
  for (const column of contexts) if (column !== undefined) cutInt64(column, count)
  if (contexts.some((column) => column !== undefined && hasValue(column, count))) return
  // Enabled by the row that is gone, perhaps one of the three only.
  rows.spanId = rows.traceIdHigh = rows.traceIdLow = undefined
}

function hasValue({ lo, hi }: GrowingInt64, count: number): boolean {
  for (let i = 0; i < count; i++) if (lo.array[i] !== 0 || hi.array[i] !== 0) return true
  return false
}

/** One more than the largest. */
function countUsed({ array, count }: GrowingUint32): number {
  let used = 0
  for (let i = 0; i < count; i++) used = Math.max(used, array[i]! + 1)
  return used
}

/** Byte order of the ids of headers a and b. */
function compareIds(ids: Uint8Array, a: number, b: number): number {
  for (let i = 0; i < PROFILE_ID_BYTES; i++) {
    const difference = ids[a * PROFILE_ID_BYTES + i]! - ids[b * PROFILE_ID_BYTES + i]!
    if (difference !== 0) return difference
  }
  return 0
}

function hasContext(split: SplitProfile, k: number): boolean {
  const { spanId, traceIdHigh, traceIdLow } = split
  if (spanId === undefined && traceIdHigh === undefined) return false
  if (spanId !== undefined && (spanId.lo[k] !== 0 || spanId.hi[k] !== 0)) return true
  if (traceIdHigh !== undefined && (traceIdHigh.lo[k] !== 0 || traceIdHigh.hi[k] !== 0)) return true
  return traceIdLow !== undefined && (traceIdLow.lo[k] !== 0 || traceIdLow.hi[k] !== 0)
}
