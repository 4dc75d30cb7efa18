/**
 * Reads datasets of block format version 1, whole or by need, without I/O: it says which bytes, the caller brings them.
 *
 *   footerRange, decodeFooter      the last bytes of an object -> descriptors (footer.ts)
 *   openDataset(head bytes)        series, groups, headers, sums, frame index (dataset-head.ts)
 *   selectHeaders(head, query)     positions of the headers that a query wants (selection.ts)
 *   planDatasetRead(head, need)    ranges of the object, coalesced (read-plan.ts)
 *   decodeFrameColumns, decodeSymbols, decodeFunctionSymbols, decodeProfileIds     from the fetched ranges
 *   decodeDataset(region)          everything, for merges; order and counts are checked
 *   verifyObject(bytes)            every byte of an object against its checksums
 *
 * All faults are `data_loss` errors that name dataset and section.
 */
import { assert } from '../assert.ts'
import type { Codec } from '../ports/codec.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import type { FunctionLevel } from '../symbols/function-level.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { Dataset, GroupRows } from './dataset.ts'
import { type DatasetHead, openDataset } from './dataset-head.ts'
import { checkHeader, decodeFooter, footerRange, type ObjectFooter } from './footer.ts'
import { corrupt, SECTION_CODEC, type SectionName, sectionSubject } from './format.ts'
import type { ColumnChunk, Frame } from './frame-index.ts'
import { type FrameWish, type ResidualsFor, sumFrame } from './frame-sums.ts'
import {
  decodeAllValues,
  decodeContext,
  decodeStackIds,
  decodeValues,
  emptyRows,
  frameHasContext,
  type FrameSource,
} from './frames.ts'
import { decodeFunctionTotals, findFunctionTotalFault, type FunctionTotal } from './function-totals.ts'
import { PROFILE_ID_BYTES } from './header-section.ts'
import { findOrderFault } from './order.ts'
import { FetchedRanges } from './read-plan.ts'
import { findRollupFault } from './rollup.ts'
import { checkSection, findSection, openSection } from './section-table.ts'
import { decodeStackKeys, type StackKeys } from './stack-keys.ts'
import {
  decodeFunctionLevel,
  decodeFunctions,
  decodeLines,
  decodeLocations,
  decodeMappings,
  decodeStacks,
  decodeStrings,
  decodeTree,
  type StackColumns,
  type StringColumns,
} from './symbol-sections.ts'

export type { ByteRange } from './coalesce.ts'
export type { FunctionTotal } from './function-totals.ts'
export { type DatasetHead, openDataset } from './dataset-head.ts'
export { checkHeader, decodeFooter, footerRange, type ObjectFooter } from './footer.ts'
export type { Frame } from './frame-index.ts'
export type { HeadHeaders } from './header-section.ts'
export { FetchedRanges, planDatasetRead, type ReadNeed, selectFrames, selectRollupFrames } from './read-plan.ts'
export { type ColumnRef, type HeaderQuery, selectHeaders } from './selection.ts'

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

export type FunctionSymbols =
  | {
      readonly kind: 'function-level'
      readonly strings: StringColumns
      readonly stacks: StackColumns
      readonly level: FunctionLevel
    }
  | { readonly kind: 'line-level'; readonly symbols: Symbols }

/** For the need `functions`: the function level if the dataset has one, else what it is computed from. */
export function decodeFunctionSymbols(head: DatasetHead, fetched: FetchedRanges): FunctionSymbols {
  if (findSection(head.table, 'functionLevel') === undefined)
    return { kind: 'line-level', symbols: decodeSymbols(head, fetched) }
  const strings = decodeStrings(openFetched(head, fetched, 'strings'))
  const level = decodeFunctionLevel(openFetched(head, fetched, 'functionLevel'), strings.stringCount)
  const stacks = decodeStacks(openFetched(head, fetched, 'stacks'), level.nodeToFunctionNode.length)
  return { kind: 'function-level', strings, stacks, level }
}

/** For the need `all`. */
export function decodeSymbols(head: DatasetHead, fetched: FetchedRanges): Symbols {
  const strings = decodeStrings(openFetched(head, fetched, 'strings'))
  const functions = decodeFunctions(openFetched(head, fetched, 'functions'), strings.stringCount)
  const lines = decodeLines(openFetched(head, fetched, 'locationLines'), functions.functionCount)
  const tree = decodeTree(openFetched(head, fetched, 'tree'), lines.locationCount)
  const stacks = decodeStacks(openFetched(head, fetched, 'stacks'), tree.nodeCount)
  const mappings = decodeMappings(openFetched(head, fetched, 'mappings'), strings.stringCount)
  const locations = decodeLocations(openFetched(head, fetched, 'locations'), lines, mappings.mappingCount)
  return { ...strings, ...functions, ...mappings, ...lines, ...locations, ...tree, ...stacks }
}

/** Empty if the dataset has none. */
export function readFunctionTotals(head: DatasetHead, fetched: FetchedRanges): FunctionTotal[] {
  if (findSection(head.table, 'functionTotals') === undefined) return []
  return decodeFunctionTotals(openFetched(head, fetched, 'functionTotals'), head.groups)
}

/** Undefined if the dataset has none: its writer had no dictionary, or it is a block. */
export function readStackKeys(head: DatasetHead, fetched: FetchedRanges): StackKeys | undefined {
  if (findSection(head.table, 'stackKeys') === undefined) return undefined
  return decodeStackKeys(openFetched(head, fetched, 'stackKeys'))
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
  return chunkSource(head, fetched, { section: 'frames', headers: head.headers, stackCount })
}

function chunkSource(
  head: DatasetHead,
  fetched: FetchedRanges,
  of: Pick<FrameSource, 'section' | 'headers' | 'stackCount'>,
): FrameSource {
  const framesOffset = head.descriptor.offset + head.section(of.section).offset
  return {
    codec: head.codec,
    dataset: head.subject,
    groups: head.groups,
    ...of,
    viewChunk: (chunk: ColumnChunk) => fetched.view(framesOffset + chunk.offset, chunk.storedBytes),
  }
}

/** Adds the rows of wanted headers, or rollups, as residuals by stack; false for a frame that is not of the kind (frame-sums.ts). */
export function sumFrameRows(
  head: DatasetHead,
  fetched: FetchedRanges,
  wish: FrameWish & { readonly section: FrameSource['section']; readonly stackCount: number },
  residualsFor: ResidualsFor,
): boolean {
  const { section, stackCount } = wish
  const headers = section === 'frames' ? head.headers : head.rollups
  assert(headers !== undefined, 'the dataset has rollups')
  return sumFrame(chunkSource(head, fetched, { section, headers, stackCount }), wish, residualsFor)
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

/** All columns of a frame into rows from 0 of `out`, which has room for them; contexts if it has their columns. */
export function decodeFrameInto(
  head: DatasetHead,
  fetched: FetchedRanges,
  { frame, stackCount }: Pick<FrameRequest, 'frame' | 'stackCount'>,
  out: GroupRows,
): void {
  const source = frameSource(head, fetched, stackCount)
  decodeStackIds(source, frame, out.stackId, 0)
  decodeAllValues(source, frame, out.values)
  const contexts = [out.spanId, out.traceIdHigh, out.traceIdLow]
  contexts.forEach((column, context) => {
    if (column !== undefined) decodeContext(source, { frame, context }, column, 0)
  })
}

/** As `decodeFrameColumns`, of a frame of rollups: rows of rollup r start at rollups.rowStart[r] - frame.rowStart. */
export function decodeRollupColumns(
  head: DatasetHead,
  fetched: FetchedRanges,
  request: Omit<FrameRequest, 'spans'>,
): Pick<FrameColumns, 'stackId' | 'values'> {
  const { frame, types, stackCount } = request
  const headers = head.rollups
  assert(headers !== undefined, 'the dataset has rollups')
  const source = chunkSource(head, fetched, { section: 'rollups', headers, stackCount })
  const stackId = new Uint32Array(frame.rowCount)
  decodeStackIds(source, frame, stackId, 0)
  const values = types.map((type) => {
    const column = allocateInt64Column(frame.rowCount)
    decodeValues(source, { frame, type }, column, 0)
    return column
  })
  return { stackId, values }
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

/** Decodes every section of every dataset; returns the footer. Any damaged bit is an error that names its place. */
export function verifyObject(bytes: Uint8Array, codec: Codec): ObjectFooter {
  checkHeader(bytes)
  const footer = decodeFooter(bytes.subarray(footerRange(bytes.length, bytes).offset), bytes.length)
  for (const descriptor of footer.datasets) {
    const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
    verifyRegion(region, descriptor, codec)
  }
  return footer
}

/** Also the sections that no merge reads: sums, optional and unknown ones. */
function verifyRegion(region: Uint8Array, descriptor: DatasetDescriptor, codec: Codec): void {
  const dataset = decodeDataset(region, descriptor, codec)
  const head = openDataset(region, descriptor, codec)
  for (const entry of head.table.entries) {
    if (entry.codec === SECTION_CODEC.chunked) continue
    checkSection(region.subarray(entry.offset, entry.offset + entry.storedBytes), entry, head.subject)
  }
  const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
  if (findSection(head.table, 'functionLevel') !== undefined) {
    const symbols = decodeFunctionSymbols(head, fetched)
    if (symbols.kind === 'function-level') verifyFunctionTotals(head, fetched, symbols.level.nodeCount)
  }
  const keys = readStackKeys(head, fetched)
  if (keys !== undefined && keys.numbers.length !== dataset.symbols.stackCount)
    throw corrupt(
      sectionSubject(head.subject, 'stackKeys'),
      `${keys.numbers.length} keys of ${dataset.symbols.stackCount} stacks`,
    )
  verifyRollups(head, fetched, dataset.symbols.stackCount)
  for (const { group, series, type } of head.sums) {
    if (
      group >= dataset.groups.length ||
      series >= dataset.series.length ||
      type >= dataset.groups[group]!.types.length
    )
      throw corrupt(sectionSubject(head.subject, 'sums'), `sum of group ${group}, series ${series}, type ${type}`)
  }
}

function verifyFunctionTotals(head: DatasetHead, fetched: FetchedRanges, nodeCount: number): void {
  if (findSection(head.table, 'functionTotals') === undefined) return
  const totals = readFunctionTotals(head, fetched)
  const largest = totals.reduce((max, { nodes }) => Math.max(max, nodes.at(-1) ?? 0), 0)
  const fault = largest >= nodeCount ? `node ${largest} of ${nodeCount}` : findFunctionTotalFault(head, totals)
  if (fault !== undefined) throw corrupt(sectionSubject(head.subject, 'functionTotals'), fault)
}

/** Decodes all rollups and compares their sums with the headers; the content of their stacks is checked by the writer. */
function verifyRollups(head: DatasetHead, fetched: FetchedRanges, stackCount: number): void {
  const { rollups } = head
  if (rollups === undefined) return
  const rowsOf = head.groups.map(() => 0)
  for (const frame of rollups.frames) rowsOf[frame.group]! += frame.rowCount
  const columns = head.groups.map(({ types }, g) => types.map(() => allocateInt64Column(rowsOf[g]!)))
  for (const frame of rollups.frames) {
    const types = head.groups[frame.group]!.types.map((_, type) => type)
    const { values } = decodeRollupColumns(head, fetched, { frame, types, stackCount })
    values.forEach(({ lo, hi }, type) => {
      columns[frame.group]![type]!.lo.set(lo, frame.rowStart)
      columns[frame.group]![type]!.hi.set(hi, frame.rowStart)
    })
  }
  const fault = findRollupFault(head, { index: rollups, valuesOf: (group, type) => columns[group]![type]! })
  if (fault !== undefined) throw corrupt(sectionSubject(head.subject, 'rollups'), fault)
}
