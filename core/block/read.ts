/**
 * Reads datasets of block format version 1, whole or by need, without I/O: it says which bytes, the caller brings them.
 *
 *   footerRange, decodeFooter      the last bytes of an object -> descriptors (core/block/footer.ts)
 *   openDataset(head bytes)        series, groups, headers, sums, frame index: each decoded when first asked for
 *   selectHeaders(head, query)     positions of the headers that a query wants (core/block/selection.ts)
 *   planDatasetRead(head, need)    ranges of the object, coalesced: with the head one or two requests a dataset
 *   decodeFrameColumns, decodeSymbols, …   from the fetched ranges
 *   decodeDataset(region)          everything, for merges; order and counts are checked
 *
 * All faults are `data_loss` errors that name dataset and section. Nothing here is cached beyond the head.
 */
import { assert } from '../assert.ts'
import type { Codec } from '../ports/codec.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { coalesceRanges, COALESCE_LIMITS, type ByteRange } from './coalesce.ts'
import type { ConservationSum, Dataset, GroupRows, SampleGroup } from './dataset.ts'
import { corrupt, datasetSubject, sectionSubject, type SectionName } from './format.ts'
import { decodeFrameIndex, type ColumnChunk, type Frame } from './frame-index.ts'
import {
  decodeContext,
  decodeStackIds,
  decodeValues,
  emptyRows,
  frameHasContext,
  neededColumns,
  type FrameSource,
} from './frames.ts'
import { decodeHeaders, PROFILE_ID_BYTES, type HeadHeaders } from './header-section.ts'
import { decodeGroups, decodeSeries } from './label-sections.ts'
import type { Labels } from '../labels/labels.ts'
import { findOrderFault } from './order.ts'
import type { ColumnRef } from './selection.ts'
import { decodeTable, findSection, openSection, type SectionEntry, type SectionTable } from './section-table.ts'
import { decodeSums } from './sum-section.ts'
import {
  decodeFunctionLevel,
  decodeFunctions,
  decodeLines,
  decodeLocations,
  decodeMappings,
  decodeStacks,
  decodeStrings,
  decodeTree,
  type FunctionColumns,
  type FunctionLevel,
  type LineColumns,
  type StackColumns,
  type StringColumns,
  type TreeColumns,
} from './symbol-sections.ts'

export { decodeFooter, footerRange, type ObjectFooter } from './footer.ts'
export { findColumns, selectHeaders, type ColumnRef, type HeaderQuery } from './selection.ts'
export type { ByteRange } from './coalesce.ts'
export type { Frame } from './frame-index.ts'
export type { HeadHeaders } from './header-section.ts'
export type { FunctionLevel } from './symbol-sections.ts'

/** The sections that every read needs. Decoded when first asked for, then kept. */
export class DatasetHead {
  readonly descriptor: DatasetDescriptor
  readonly codec: Codec
  readonly table: SectionTable
  /** For messages. */
  readonly subject: string
  readonly #bytes: Uint8Array
  #series: Labels[] | undefined
  #groups: SampleGroup[] | undefined
  #headers: HeadHeaders | undefined
  #frames: Frame[] | undefined
  #sums: ConservationSum[] | undefined

  constructor(bytes: Uint8Array, descriptor: DatasetDescriptor, codec: Codec) {
    this.subject = datasetSubject(descriptor)
    const subject = `${this.subject}: section table`
    if (bytes.length < descriptor.headBytes)
      throw corrupt(subject, `head of ${bytes.length} bytes, not ${descriptor.headBytes}`)
    this.#bytes = bytes.subarray(0, descriptor.headBytes)
    this.table = decodeTable(this.#bytes, descriptor, this.subject)
    if (this.table.headBytes !== descriptor.headBytes)
      throw corrupt(subject, `head of ${this.table.headBytes} bytes, its descriptor says ${descriptor.headBytes}`)
    if (this.table.regionBytes !== descriptor.sizeBytes)
      throw corrupt(subject, `region of ${this.table.regionBytes} bytes, its descriptor says ${descriptor.sizeBytes}`)
    this.descriptor = descriptor
    this.codec = codec
  }

  get series(): readonly Labels[] {
    this.#series ??= decodeSeries(this.#reader('series'))
    return this.#series
  }

  get seriesCount(): number {
    return this.series.length
  }

  get groups(): readonly SampleGroup[] {
    this.#groups ??= decodeGroups(this.#reader('groups'))
    return this.#groups
  }

  get headers(): HeadHeaders {
    this.#headers ??= this.#decodeHeaders()
    return this.#headers
  }

  get sums(): readonly ConservationSum[] {
    this.#sums ??= decodeSums(this.#reader('sums'))
    return this.#sums
  }

  get frames(): readonly Frame[] {
    const framesBytes = this.section('frames').storedBytes
    const context = { groups: this.groups, headers: this.headers, framesBytes }
    this.#frames ??= decodeFrameIndex(this.#reader('frameIndex'), context)
    return this.#frames
  }

  section(name: SectionName): SectionEntry {
    const entry = findSection(this.table, name)
    if (entry === undefined) throw corrupt(`${this.subject}: section table`, `section ${name} is missing`)
    return entry
  }

  #decodeHeaders(): HeadHeaders {
    const headers = decodeHeaders(this.#reader('headers'), { groups: this.groups, seriesCount: this.series.length })
    let rows = 0
    for (let h = 0; h < headers.count; h++) rows += headers.rowLength[h]!
    const { profileCount, sampleCount } = this.descriptor
    if (headers.count !== profileCount || rows !== sampleCount)
      throw corrupt(
        sectionSubject(this.subject, 'headers'),
        `${headers.count} profiles and ${rows} rows, the descriptor says ${profileCount} and ${sampleCount}`,
      )
    return headers
  }

  #reader(name: SectionName): ByteReader {
    const entry = this.section(name)
    const end = entry.offset + entry.storedBytes
    if (end > this.#bytes.length) throw corrupt(sectionSubject(this.subject, name), 'lies outside the head')
    const raw = openSection(this.#bytes.subarray(entry.offset, end), entry, {
      codec: this.codec,
      dataset: this.subject,
    })
    return new ByteReader(raw, sectionSubject(this.subject, name))
  }
}

/** `head`: the first `headBytes` of the region, or more. */
export function openDataset(head: Uint8Array, descriptor: DatasetDescriptor, codec: Codec): DatasetHead {
  return new DatasetHead(head, descriptor, codec)
}

export interface ReadNeed {
  /** `functions`: what a flame graph needs; `all`: what a pprof needs. */
  readonly symbols: 'none' | 'functions' | 'all'
  /** Header positions, ascending; empty if no samples are wanted. */
  readonly headers: Uint32Array
  /** Types whose values are wanted. */
  readonly columns: readonly ColumnRef[]
  readonly spans?: boolean
  readonly profileIds?: boolean
}

const LINE_LEVEL: readonly SectionName[] = ['functions', 'locationLines', 'tree', 'stacks', 'strings']
const FUNCTION_LEVEL: readonly SectionName[] = ['stacks', 'functionLevel', 'strings']
const ALL_SYMBOLS: readonly SectionName[] = ['mappings', 'locations', ...LINE_LEVEL]

function symbolSections(head: DatasetHead, need: ReadNeed['symbols']): readonly SectionName[] {
  if (need === 'none') return []
  if (need === 'all') return ALL_SYMBOLS
  return findSection(head.table, 'functionLevel') === undefined ? LINE_LEVEL : FUNCTION_LEVEL
}

/** Frames that hold any of the positions, ascending. */
export function selectFrames(head: DatasetHead, positions: Uint32Array): Frame[] {
  const selected: Frame[] = []
  let at = 0
  for (const frame of head.frames) {
    const end = frame.firstHeader + frame.headerCount
    while (at < positions.length && positions[at]! < frame.firstHeader) at++
    if (at < positions.length && positions[at]! < end) selected.push(frame)
  }
  return selected
}

/** 1 MiB: about what a store sends in the time of one request, so that one range beats two. */
const SPAN_WASTE_BYTES_MAX = 1024 * 1024

/** Ranges of the object that the need takes beyond the head. Usually one; more where the bytes lie far apart. */
export function planDatasetRead(head: DatasetHead, need: ReadNeed): ByteRange[] {
  const base = head.descriptor.offset
  const ranges: ByteRange[] = []
  const addSection = (name: SectionName): void => {
    const { offset, storedBytes } = head.section(name)
    ranges.push({ offset: base + offset, lengthBytes: storedBytes })
  }
  for (const name of symbolSections(head, need.symbols)) addSection(name)
  if (need.profileIds === true) addSection('profileIds')
  if (need.headers.length > 0) {
    if (need.symbols === 'none') addSection('stacks')
    const framesOffset = base + head.section('frames').offset
    for (const frame of selectFrames(head, need.headers)) {
      const types = need.columns.filter(({ group }) => group === frame.group).map(({ type }) => type)
      for (const column of neededColumns(frame, head.groups[frame.group]!, { types, spans: need.spans === true })) {
        const chunk = frame.columns[column]!
        ranges.push({ offset: framesOffset + chunk.offset, lengthBytes: chunk.storedBytes })
      }
    }
  }
  return joinSpan(coalesceRanges(ranges))
}

function joinSpan(ranges: ByteRange[]): ByteRange[] {
  if (ranges.length < 2) return ranges
  const offset = ranges[0]!.offset
  const last = ranges.at(-1)!
  const lengthBytes = last.offset + last.lengthBytes - offset
  const waste = lengthBytes - ranges.reduce((sum, range) => sum + range.lengthBytes, 0)
  const joins = lengthBytes <= COALESCE_LIMITS.requestBytesMax && waste <= SPAN_WASTE_BYTES_MAX
  return joins ? [{ offset, lengthBytes }] : ranges
}

/** Bytes that were read, by their offset in the object. Views borrow. */
export class FetchedRanges {
  readonly #parts: readonly { offset: number; bytes: Uint8Array }[]

  constructor(parts: readonly { offset: number; bytes: Uint8Array }[]) {
    this.#parts = parts
  }

  view(offset: number, lengthBytes: number): Uint8Array {
    if (lengthBytes === 0) return new Uint8Array(0)
    for (const part of this.#parts) {
      const start = offset - part.offset
      if (start >= 0 && start + lengthBytes <= part.bytes.length) return part.bytes.subarray(start, start + lengthBytes)
    }
    assert(false, `bytes ${offset}..${offset + lengthBytes} were not planned or not fetched`)
  }
}

function openFetched(head: DatasetHead, fetched: FetchedRanges, name: SectionName): ByteReader {
  const entry = head.section(name)
  const stored = fetched.view(head.descriptor.offset + entry.offset, entry.storedBytes)
  const raw = openSection(stored, entry, { codec: head.codec, dataset: head.subject })
  return new ByteReader(raw, sectionSubject(head.subject, name))
}

export function decodeProfileIds(head: DatasetHead, fetched: FetchedRanges): Uint8Array {
  const input = openFetched(head, fetched, 'profileIds')
  const ids = input.viewBytes(head.headers.count * PROFILE_ID_BYTES).slice()
  input.expectEnd()
  return ids
}

/** Symbols without what only a pprof needs. */
export type LineSymbols = StringColumns & FunctionColumns & LineColumns & TreeColumns & StackColumns

export type FunctionSymbols =
  | {
      readonly kind: 'function-level'
      readonly strings: StringColumns
      readonly stacks: StackColumns
      readonly level: FunctionLevel
    }
  | { readonly kind: 'line-level'; readonly symbols: LineSymbols }

/** For the need `functions`: the function level if the dataset has one, else what it is computed from. */
export function decodeFunctionSymbols(head: DatasetHead, fetched: FetchedRanges): FunctionSymbols {
  if (findSection(head.table, 'functionLevel') === undefined)
    return { kind: 'line-level', symbols: decodeLineSymbols(head, fetched) }
  const strings = decodeStrings(openFetched(head, fetched, 'strings'))
  const level = decodeFunctionLevel(openFetched(head, fetched, 'functionLevel'), strings.stringCount)
  const stacks = decodeStacks(openFetched(head, fetched, 'stacks'), level.nodeToFunctionNode.length)
  return { kind: 'function-level', strings, stacks, level }
}

function decodeLineSymbols(head: DatasetHead, fetched: FetchedRanges): LineSymbols {
  const strings = decodeStrings(openFetched(head, fetched, 'strings'))
  const functions = decodeFunctions(openFetched(head, fetched, 'functions'), strings.stringCount)
  const lines = decodeLines(openFetched(head, fetched, 'locationLines'), functions.functionCount)
  const tree = decodeTree(openFetched(head, fetched, 'tree'), lines.locationCount)
  const stacks = decodeStacks(openFetched(head, fetched, 'stacks'), tree.nodeCount)
  return { ...strings, ...functions, ...lines, ...tree, ...stacks }
}

/** For the need `all`. */
export function decodeSymbols(head: DatasetHead, fetched: FetchedRanges): Symbols {
  const lines = decodeLineSymbols(head, fetched)
  const mappings = decodeMappings(openFetched(head, fetched, 'mappings'), lines.stringCount)
  const locations = decodeLocations(openFetched(head, fetched, 'locations'), lines, mappings.mappingCount)
  return { ...lines, ...mappings, ...locations }
}

/** Columns of one frame: row i is row frame.rowStart + i of the group. */
export interface FrameColumns {
  readonly frame: Frame
  readonly stackId: Uint32Array
  /** In the order of the types asked for. */
  readonly values: readonly Int64Column[]
  /** Present if asked for and if any row of the frame has one. */
  readonly spanId: Int64Column | undefined
  readonly traceIdHigh: Int64Column | undefined
  readonly traceIdLow: Int64Column | undefined
}

function frameSource(head: DatasetHead, fetched: FetchedRanges, stackCount: number): FrameSource {
  const framesOffset = head.descriptor.offset + head.section('frames').offset
  return {
    codec: head.codec,
    dataset: head.subject,
    groups: head.groups,
    headers: head.headers,
    stackCount,
    viewChunk: (chunk: ColumnChunk) => fetched.view(framesOffset + chunk.offset, chunk.storedBytes),
  }
}

export interface FrameRequest {
  readonly frame: Frame
  /** Types of the frame's group. */
  readonly types: readonly number[]
  readonly spans?: boolean
  /** Of the decoded symbols: stack ids are checked against it. */
  readonly stackCount: number
}

/** Values and stack ids of one frame; rows of header h start at headers.rowStart[h] - frame.rowStart. */
export function decodeFrameColumns(head: DatasetHead, fetched: FetchedRanges, request: FrameRequest): FrameColumns {
  const { frame, types } = request
  const source = frameSource(head, fetched, request.stackCount)
  const stackId = new Uint32Array(frame.rowCount)
  decodeStackIds(source, frame, stackId, 0)
  const values = types.map((type) => {
    const column = allocateInt64Column(frame.rowCount)
    decodeValues(source, { frame, type }, column, 0)
    return column
  })
  const hasContext = request.spans === true && frameHasContext(frame, head.groups[frame.group]!)
  const [spanId, traceIdHigh, traceIdLow] = [0, 1, 2].map((context) => {
    if (!hasContext) return undefined
    const column = allocateInt64Column(frame.rowCount)
    decodeContext(source, { frame, context }, column, 0)
    return column
  })
  return { frame, stackId, values, spanId, traceIdHigh, traceIdLow }
}

/** `region`: the whole dataset, `sizeBytes` from `offset`. */
export function decodeDataset(region: Uint8Array, descriptor: DatasetDescriptor, codec: Codec): Dataset {
  const head = openDataset(region, descriptor, codec)
  const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region.subarray(0, descriptor.sizeBytes) }])
  if (region.length < descriptor.sizeBytes)
    throw corrupt(head.subject, `region of ${region.length} bytes, not ${descriptor.sizeBytes}`)
  const symbols = decodeSymbols(head, fetched)
  const rows = decodeRows(head, fetched, symbols.stackCount)
  const headers = { ...head.headers, profileId: decodeProfileIds(head, fetched) }
  const { tenant, service, windowStartMs, windowMs } = descriptor
  const { series, groups } = head
  const dataset: Dataset = { tenant, service, windowStartMs, windowMs, symbols, series, groups, rows, headers }
  const fault = findOrderFault(dataset)
  if (fault !== undefined) throw corrupt(head.subject, fault)
  return dataset
}

/** The function level of a region that is read whole. */
export function decodeStoredFunctionLevel(
  head: DatasetHead,
  fetched: FetchedRanges,
  stringCount: number,
): FunctionLevel | undefined {
  if (findSection(head.table, 'functionLevel') === undefined) return undefined
  return decodeFunctionLevel(openFetched(head, fetched, 'functionLevel'), stringCount)
}

function decodeRows(head: DatasetHead, fetched: FetchedRanges, stackCount: number): GroupRows[] {
  const source = frameSource(head, fetched, stackCount)
  const rowCounts = head.groups.map(() => 0)
  const hasContext = head.groups.map(() => false)
  for (const frame of head.frames) {
    rowCounts[frame.group]! += frame.rowCount
    if (frameHasContext(frame, head.groups[frame.group]!)) hasContext[frame.group] = true
  }
  const rows = head.groups.map((group, g) => emptyRows(group, rowCounts[g]!, hasContext[g]!))
  for (const frame of head.frames) {
    const out = rows[frame.group]!
    decodeStackIds(source, frame, out.stackId, frame.rowStart)
    out.values.forEach((column, type) => decodeValues(source, { frame, type }, column, frame.rowStart))
    const contexts = [out.spanId, out.traceIdHigh, out.traceIdLow]
    contexts.forEach((column, context) => {
      if (column !== undefined) decodeContext(source, { frame, context }, column, frame.rowStart)
    })
  }
  return rows
}
