/**
 * One input of a merge of regions: its head, its symbols for as long as they are needed, and its rows frame by frame.
 *
 * 1. `symbolBytesMax` bounds what its symbols take once decoded and mapped, from the raw lengths in its section table: so
 *    a dataset that would pass the budget is known before anything of it is inflated.
 * 2. `spanOf` decodes the frame of a header and keeps it until another is asked for. Headers of a merge come in the order
 *    of each input, so every frame is decoded once.
 * 3. Rows must ascend within their header, as the writer promised; a checksum does not say so.
 */
import type { ConservationSum, GroupRows, ProfileHeaders, SampleGroup } from '../block/dataset.ts'
import { prepareHashes, stackHashes, addSums, sumHeaders } from '../block/conservation.ts'
import { corrupt } from '../block/format.ts'
import { frameHasContext, rowsOfLargest } from '../block/frames.ts'
import { findHeaderFault, findRowFault } from '../block/order.ts'
import {
  type DatasetHead,
  decodeFrameInto,
  decodeProfileIds,
  decodeSymbols,
  FetchedRanges,
  type Frame,
  openDataset,
  readStackKeys,
} from '../block/read.ts'
import { findSection } from '../block/section-table.ts'
import type { StackKeys } from '../block/stack-keys.ts'
import { CinderError } from '../errors.ts'
import type { Labels } from '../labels/labels.ts'
import type { Codec } from '../ports/codec.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import type { Symbols } from '../symbols/symbols.ts'
import type { SourceHead } from './merge-headers.ts'
import { RowScratch, type RowSpan } from './merge-rows.ts'

export interface RegionInput {
  /** The whole region of the dataset. */
  readonly region: Uint8Array
  readonly descriptor: DatasetDescriptor
  /** Header positions to leave out, ascending. */
  readonly skip: readonly number[]
}

/**
 * Bytes in memory per raw byte of a section, at most: a node takes two varints at least and becomes 32-bit columns of the
 * source and of the merge, table slots, hashes, a function-level node and the encoder's copies.
 */
const BYTES_PER_RAW = { tree: 48, stacks: 24, strings: 4, other: 24 } as const

export class RegionSource implements SourceHead {
  readonly head: DatasetHead
  readonly headers: ProfileHeaders
  readonly series: readonly Labels[]
  readonly groups: readonly SampleGroup[]
  readonly skip: readonly number[]
  /** Known after `closeSymbols`. */
  skippedSums: readonly ConservationSum[] = []
  readonly #fetched: FetchedRanges
  #stackCount = 0
  /** The frame that is decoded. */
  #frame = -1
  #rows: GroupRows | undefined
  readonly #scratch: RowScratch

  /** `scratch`: for the rows of this source alone, as long as it is read. */
  constructor({ region, descriptor, skip }: RegionInput, codec: Codec, scratch = new RowScratch()) {
    this.#scratch = scratch
    if (region.length < descriptor.sizeBytes)
      throw corrupt(`dataset ${descriptor.index}`, `region of ${region.length} bytes, not ${descriptor.sizeBytes}`)
    this.head = openDataset(region, descriptor, codec)
    this.#fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region.subarray(0, descriptor.sizeBytes) }])
    this.headers = { ...this.head.headers, profileId: decodeProfileIds(this.head, this.#fetched) }
    this.series = this.head.series
    this.groups = this.head.groups
    this.skip = skip
    const fault = findHeaderFault(this.headers, { groups: this.groups.length, series: this.series.length })
    if (fault !== undefined) throw corrupt(this.head.subject, fault)
  }

  get symbolBytesMax(): number {
    const raw = (name: Parameters<typeof findSection>[1]): number => findSection(this.head.table, name)?.rawBytes ?? 0
    const other = raw('functions') + raw('locations') + raw('locationLines') + raw('mappings')
    const { tree, stacks, strings } = BYTES_PER_RAW
    return raw('tree') * tree + raw('stacks') * stacks + raw('strings') * strings + other * BYTES_PER_RAW.other
  }

  /** What its writer called its stacks, if it says so. Damage of what is only a hint does not keep a dataset from merging. */
  readStackKeys(): StackKeys | undefined {
    try {
      return readStackKeys(this.head, this.#fetched)
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'data_loss') return undefined
      throw error
    }
  }

  /** Instead of `decodeSymbols`, by its keys: ids at or above it are refused. */
  trustStackCount(stackCount: number): void {
    this.#stackCount = stackCount
  }

  decodeSymbols(): Symbols {
    const symbols = decodeSymbols(this.head, this.#fetched)
    this.#stackCount = symbols.stackCount
    return symbols
  }

  /** 1 for every stack that a sample of a kept header names; a dataset without skips has no other stacks. */
  usedStacks(symbols: Symbols): Uint8Array {
    const used = new Uint8Array(symbols.stackCount)
    if (this.skip.length === 0) return used.fill(1)
    let next = 0
    for (let h = 0; h < this.headers.count; h++) {
      if (this.skip[next] === h) {
        next++
        continue
      }
      const { rows, start, length } = this.spanOf(h)
      for (let row = start; row < start + length; row++) used[rows.stackId[row]!] = 1
    }
    return used
  }

  /** The last chance to ask for what needs its own symbols: the sums of what is skipped. */
  closeSymbols(symbols: Symbols): void {
    if (this.skip.length === 0) return
    const hashes = prepareHashes(stackHashes(symbols))
    const parts = this.skip.map((position) => {
      const { rows, start, length } = this.spanOf(position)
      const group = this.headers.group[position]!
      const ofGroup: GroupRows[] = []
      ofGroup[group] = rows
      const headers = {
        count: 1,
        group: Uint32Array.of(group),
        series: this.headers.series.subarray(position, position + 1),
        rowStart: Uint32Array.of(start),
        rowLength: Uint32Array.of(length),
      }
      return sumHeaders({ rows: ofGroup, headers }, hashes)
    })
    this.skippedSums = addSums(parts)
  }

  get hasAnyContext(): boolean {
    return this.head.frames.some((frame) => frameHasContext(frame, this.groups[frame.group]!))
  }

  hasContext(position: number): boolean {
    const frame = this.head.frames[this.#frameOf(position)]!
    return frameHasContext(frame, this.groups[frame.group]!)
  }

  /** Borrowed: valid until a header of another frame is asked for. */
  spanOf(position: number): RowSpan {
    const index = this.#frameOf(position)
    const frame = this.head.frames[index]!
    if (this.#frame !== index) {
      this.#rows = this.#decodeFrame(frame)
      this.#frame = index
    }
    const start = this.headers.rowStart[position]! - frame.rowStart
    return { rows: this.#rows!, start, length: this.headers.rowLength[position]! }
  }

  /** Usually that of the header before, or the next. */
  #frameOf(position: number): number {
    const { frames } = this.head
    let low = 0
    let high = frames.length - 1
    const guess = frames[this.#frame]
    if (guess !== undefined && position >= guess.firstHeader) {
      if (position < guess.firstHeader + guess.headerCount) return this.#frame
      low = this.#frame
    }
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (frames[middle]!.firstHeader <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  #decodeFrame(frame: Frame): GroupRows {
    const group = this.groups[frame.group]!
    if (this.#frame < 0) this.#scratch.reserve(rowsOfLargest(this.head.frames))
    const rows = this.#scratch.take(group, frame.rowCount, frameHasContext(frame, group))
    decodeFrameInto(this.head, this.#fetched, { frame, stackCount: this.#stackCount }, rows)
    for (let h = frame.firstHeader; h < frame.firstHeader + frame.headerCount; h++) {
      const start = this.headers.rowStart[h]! - frame.rowStart
      const row = findRowFault(rows, start, start + this.headers.rowLength[h]!)
      if (row >= 0)
        throw corrupt(
          this.head.subject,
          `row ${frame.rowStart + row} of group ${frame.group} is not above the row before it`,
        )
    }
    return rows
  }
}
