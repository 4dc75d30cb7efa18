/**
 * Sample frames: consecutive whole headers of one group, up to 64 Ki rows, each column compressed on its own.
 *
 * 1. `planFrames` cuts the headers of each group: before the row target is passed, at a change of hour once the frame
 *    has a quarter of the target (edge hours of long windows then read little else), never inside a header.
 * 2. `encodeFrames` writes each column of each frame, then lays the chunks out by (group, column, frame).
 * 3. `decodeColumn` checks, inflates and decodes one chunk into rows of a column that the caller owns.
 */
import { assert } from '../assert.ts'
import type { CinderError } from '../errors.ts'
import type { Codec } from '../ports/codec.ts'
import { crc32c } from '../wire/crc32c.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { ColumnFactor } from './column-factor.ts'
import type { GroupRows, ProfileHeaders, SampleGroup } from './dataset.ts'
import type { EncodedColumn } from './column-codec.ts'
import {
  decodeNarrow,
  decodeResiduals,
  decodeSparse,
  divideColumn,
  encodeNarrow,
  encodeSparse,
  encodeWide,
  equalRows,
  measureColumn,
  multiplyColumn,
  scratchBytes,
  stackDeltas,
  undoStackDeltas,
} from './column-codec.ts'
import type { ColumnChunk, Frame, FramedHeaders } from './frame-index.ts'
import { assignOffsets, chunksInOrder } from './frame-index.ts'
import { CHUNK_ENCODING, FRAME_ROWS_HOUR_CUT, FRAME_ROWS_TARGET, corrupt, type SectionName } from './format.ts'
import { compress, inflate } from './section-table.ts'

export type FramePlan = Omit<Frame, 'columns'>

const HOUR_NANOS = 3.6e12
const NOTHING = new Uint8Array(0)

export function planFrames(
  headers: Pick<ProfileHeaders, 'count' | 'group' | 'timeNanos' | 'rowStart' | 'rowLength'>,
): FramePlan[] {
  const plans: FramePlan[] = []
  let first = 0
  let rowCount = 0
  let hour = 0
  const close = (end: number): void => {
    if (end > first)
      plans.push({
        group: headers.group[first]!,
        firstHeader: first,
        headerCount: end - first,
        rowStart: headers.rowStart[first]!,
        rowCount,
      })
    first = end
    rowCount = 0
  }
  for (let h = 0; h < headers.count; h++) {
    // A hint only, so the nearest double will do.
    const headerHour = Math.floor(((headers.timeNanos.hi[h]! | 0) * 4294967296 + headers.timeNanos.lo[h]!) / HOUR_NANOS)
    const rows = headers.rowLength[h]!
    const otherGroup = headers.group[h] !== headers.group[first]
    const full = rowCount + rows > FRAME_ROWS_TARGET
    const hourEnds = headerHour !== hour && rowCount >= FRAME_ROWS_HOUR_CUT
    if (otherGroup || full || hourEnds) close(h)
    rowCount += rows
    hour = headerHour
  }
  close(headers.count)
  return plans
}

/** What encoding a frame needs besides its rows. It grows to the largest frame, and may serve one encoder after the other. */
export class FrameScratch {
  bytes = new Uint8Array(0)
  deltas = new Uint32Array(0)
  /** Residuals of each type: later types compare with earlier ones. */
  residuals: Int64Column[] = []

  get sizeBytes(): number {
    return this.bytes.length + this.deltas.length * (4 + 8 * this.residuals.length)
  }

  reserve(rowsMax: number, typesMax: number): void {
    if (this.deltas.length < rowsMax) {
      this.bytes = new Uint8Array(scratchBytes(rowsMax))
      this.deltas = new Uint32Array(rowsMax)
      this.residuals = []
    }
    while (this.residuals.length < typesMax) this.residuals.push(allocateInt64Column(this.deltas.length))
  }
}

interface BuiltChunk {
  readonly chunk: ColumnChunk
  readonly stored: Uint8Array
}

export interface EncodedFrames {
  readonly frames: Frame[]
  /** In the order of the section. */
  readonly chunks: readonly Uint8Array[]
  readonly sizeBytes: number
}

/** A dataset, or its rollups with an entry for each header. */
export interface FrameContent {
  readonly groups: readonly SampleGroup[]
  readonly rows: readonly GroupRows[]
  readonly headers: Pick<ProfileHeaders, 'rowLength'>
}

export function encodeFrames(
  content: FrameContent,
  { codec, scratch }: FrameTools,
  plans: readonly FramePlan[],
): EncodedFrames {
  const encoder = new FrameEncoder(content.groups, { codec, scratch }, rowsOfLargest(plans))
  for (const plan of plans) {
    const lengths = content.headers.rowLength.subarray(plan.firstHeader, plan.firstHeader + plan.headerCount)
    encoder.add(plan, { rows: content.rows[plan.group]!, start: plan.rowStart, lengths })
  }
  return encoder.finish()
}

export function rowsOfLargest(plans: readonly FramePlan[]): number {
  return plans.reduce((max, plan) => Math.max(max, plan.rowCount), 0)
}

/** Rows of one frame: [start, start + rowCount) of `rows`, and the rows of each of its headers. */
export interface FrameRows {
  readonly rows: GroupRows
  readonly start: number
  readonly lengths: Uint32Array
}

export interface FrameTools {
  readonly codec: Codec
  /** The caller's, for one encoder at a time; its own if absent. */
  readonly scratch?: FrameScratch | undefined
}

/** Encodes frame by frame, so that no more rows are in memory than one frame has; keeps what is encoded. */
export class FrameEncoder {
  readonly #codec: Codec
  readonly #scratch: FrameScratch
  readonly #built: { readonly plan: FramePlan; readonly chunks: readonly BuiltChunk[] }[] = []

  /** `rowsMax`: of the largest frame. */
  constructor(groups: readonly SampleGroup[], { codec, scratch = new FrameScratch() }: FrameTools, rowsMax: number) {
    this.#codec = codec
    this.#scratch = scratch
    scratch.reserve(
      rowsMax,
      groups.reduce((max, group) => Math.max(max, group.types.length), 0),
    )
  }

  add(plan: FramePlan, from: FrameRows): void {
    const chunks = encodeFrame(plan, from, { codec: this.#codec, scratch: this.#scratch })
    this.#built.push({ plan, chunks })
  }

  finish(): EncodedFrames {
    const built = this.#built
    const frames = built.map(({ plan, chunks }): Frame => ({ ...plan, columns: chunks.map(({ chunk }) => chunk) }))
    const sizeBytes = assignOffsets(frames)
    const chunks: Uint8Array[] = []
    for (const { frame, column } of chunksInOrder(frames)) {
      const { stored } = built[frame]!.chunks[column]!
      if (stored.length > 0) chunks.push(stored)
    }
    return { frames, chunks, sizeBytes }
  }
}

function encodeFrame(
  plan: FramePlan,
  { rows, start, lengths }: FrameRows,
  tools: { codec: Codec; scratch: FrameScratch },
): BuiltChunk[] {
  const { codec, scratch } = tools
  stackDeltas(rows.stackId, start, lengths, scratch.deltas)
  const stack = encodeNarrow(scratch.deltas, plan.rowCount, scratch.bytes)
  const chunks = [plan.rowCount === 0 ? zeroChunk() : packChunk(codec, stack, 0)]
  const known: KnownResiduals[] = []
  const range = { start, end: start + plan.rowCount }
  rows.values.forEach((column, type) => {
    const factor = rows.factors?.[type]
    // Column 0 are the stacks.
    const earlier = factor === undefined ? undefined : sameTimes(chunks[1 + factor.of]!, factor)
    chunks.push(earlier ?? encodeValues({ column, type, known }, range, tools))
  })
  for (const column of [rows.spanId, rows.traceIdHigh, rows.traceIdLow]) {
    if (column === undefined || isZero(column, range.start, range.end)) chunks.push(zeroChunk())
    else chunks.push(packChunk(codec, encodeSparse(column, range.start, range.end, scratch.bytes), 0))
  }
  return chunks
}

/** What `encodeValues` would find by itself: equal residuals, and the divisor times as large. */
function sameTimes({ chunk }: BuiltChunk, { of, factor }: ColumnFactor): BuiltChunk {
  if (chunk.encoding === CHUNK_ENCODING.zero) return zeroChunk()
  const reference = chunk.encoding === CHUNK_ENCODING.same ? chunk.reference : of
  return referenceTo(reference, chunk.divisor * factor)
}

function referenceTo(reference: number, divisor: number): BuiltChunk {
  const { chunk } = zeroChunk()
  return { chunk: { ...chunk, encoding: CHUNK_ENCODING.same, divisor, reference }, stored: NOTHING }
}

interface KnownResiduals {
  readonly type: number
  readonly wide: boolean
}

function encodeValues(
  source: { column: Int64Column; type: number; known: KnownResiduals[] },
  range: { readonly start: number; readonly end: number },
  tools: { codec: Codec; scratch: FrameScratch },
): BuiltChunk {
  const { codec, scratch } = tools
  const rowCount = range.end - range.start
  const measure = measureColumn(source.column, range.start, range.end)
  if (measure.divisor === 0) return zeroChunk()
  const residuals = scratch.residuals[source.type]!
  divideColumn(source.column, range, measure, residuals)
  for (const other of source.known) {
    if (other.wide === measure.narrow) continue
    const earlier = scratch.residuals[other.type]!
    if (!equalRows(residuals.lo, earlier.lo, rowCount)) continue
    if (other.wide && !equalRows(residuals.hi, earlier.hi, rowCount)) continue
    return referenceTo(other.type, measure.divisor)
  }
  source.known.push({ type: source.type, wide: !measure.narrow })
  const encoded = measure.narrow
    ? encodeNarrow(residuals.lo, rowCount, scratch.bytes)
    : encodeWide(residuals, rowCount, scratch.bytes)
  return packChunk(codec, encoded, measure.divisor)
}

function isZero(column: Int64Column, start: number, end: number): boolean {
  let bits = 0
  for (let i = start; i < end; i++) bits |= column.lo[i]! | column.hi[i]!
  return bits === 0
}

function zeroChunk(): BuiltChunk {
  const chunk: ColumnChunk = {
    encoding: CHUNK_ENCODING.zero,
    zstd: false,
    divisor: 0,
    reference: 0,
    storedBytes: 0,
    rawBytes: 0,
    crc: 0,
    offset: 0,
  }
  return { chunk, stored: NOTHING }
}

function packChunk(codec: Codec, encoded: EncodedColumn, divisor: number): BuiltChunk {
  const { stored: borrowed, zstd } = compress(codec, encoded.bytes)
  // Raw bytes lie in the scratch, which the next column overwrites.
  const stored = zstd ? borrowed : borrowed.slice()
  const chunk: ColumnChunk = {
    encoding: encoded.encoding,
    zstd,
    divisor,
    reference: 0,
    storedBytes: stored.length,
    rawBytes: encoded.bytes.length,
    crc: crc32c(stored),
    offset: 0,
  }
  return { chunk, stored }
}

/** What a column of a frame needs to be decoded. `viewChunk` borrows the stored bytes of a chunk. */
export interface FrameSource {
  readonly codec: Codec
  readonly dataset: string
  readonly section: SectionName & ('frames' | 'rollups')
  readonly groups: readonly SampleGroup[]
  readonly headers: Pick<FramedHeaders, 'rowLength'>
  readonly stackCount: number
  viewChunk(chunk: ColumnChunk): Uint8Array
}

function chunkSubject(source: FrameSource, frame: Frame, column: number): string {
  const types = source.groups[frame.group]!.types
  const context = ['span ids', 'trace ids high', 'trace ids low'][column - 1 - types.length]
  const name = column === 0 ? 'stack ids' : (context ?? `values of ${types[column - 1]?.type}`)
  const entries = source.section === 'frames' ? 'headers' : 'rollups'
  return `${source.dataset}: section ${source.section}: ${name} of ${entries} ${frame.firstHeader}..${frame.firstHeader + frame.headerCount - 1}`
}

export function malformedColumn(source: FrameSource, frame: Frame, column: number): CinderError {
  return corrupt(chunkSubject(source, frame, column), 'malformed column')
}

/** Checked and inflated bytes of one column. Borrowed if they are stored raw. */
export function openChunk(source: FrameSource, frame: Frame, column: number): Uint8Array {
  const chunk = frame.columns[column]!
  const subject = (): string => chunkSubject(source, frame, column)
  const stored = source.viewChunk(chunk)
  if (stored.length !== chunk.storedBytes) throw corrupt(subject(), `${stored.length} bytes, not ${chunk.storedBytes}`)
  if (crc32c(stored) !== chunk.crc) throw corrupt(subject(), 'checksum does not match')
  return chunk.zstd ? inflate(source.codec, stored, chunk.rawBytes, subject) : stored
}

/** Stack ids of a frame into out[at, at + rowCount). */
export function decodeStackIds(source: FrameSource, frame: Frame, out: Uint32Array, at: number): void {
  const chunk = frame.columns[0]!
  const subject = (): CinderError => malformedColumn(source, frame, 0)
  if (chunk.encoding === CHUNK_ENCODING.zero) out.fill(0, at, at + frame.rowCount)
  else {
    const raw = openChunk(source, frame, 0)
    if (!decodeNarrow(raw, out, at, frame.rowCount)) throw subject()
  }
  const lengths = source.headers.rowLength.subarray(frame.firstHeader, frame.firstHeader + frame.headerCount)
  if (!undoStackDeltas(out, at, lengths, source.stackCount)) throw subject()
}

/** Values of one type into rows [at, at + rowCount) of `out`, which are 0 before. */
export function decodeValues(
  source: FrameSource,
  target: { frame: Frame; type: number },
  out: Int64Column,
  at: number,
): void {
  const { frame, type } = target
  const own = frame.columns[1 + type]!
  if (own.encoding === CHUNK_ENCODING.zero) return
  const column = own.encoding === CHUNK_ENCODING.same ? 1 + own.reference : 1 + type
  const chunk = frame.columns[column]!
  assert(chunk.encoding !== CHUNK_ENCODING.same, 'a reference names a column with bytes')
  const raw = openChunk(source, frame, column)
  const decoded = decodeResiduals({ encoding: chunk.encoding, raw }, out, at, frame.rowCount)
  if (!decoded || !multiplyColumn(out, at, frame.rowCount, own.divisor)) throw malformedColumn(source, frame, 1 + type)
}

/** Values of all types into rows from 0 of `out`: what several refer to is checked, inflated and decoded once. */
export function decodeAllValues(source: FrameSource, frame: Frame, out: readonly Int64Column[]): void {
  const { rowCount } = frame
  // Residuals first: a reference needs them as they were before they were multiplied.
  out.forEach(({ lo, hi }, type) => {
    const { encoding, reference } = frame.columns[1 + type]!
    if (encoding === CHUNK_ENCODING.same) {
      const referred = frame.columns[1 + reference]!.encoding
      assert(referred !== CHUNK_ENCODING.same, 'a reference names a column with bytes')
      if (referred === CHUNK_ENCODING.zero) throw malformedColumn(source, frame, 1 + type)
      lo.set(out[reference]!.lo.subarray(0, rowCount))
      hi.set(out[reference]!.hi.subarray(0, rowCount))
      return
    }
    hi.fill(0, 0, rowCount)
    if (encoding === CHUNK_ENCODING.zero) {
      lo.fill(0, 0, rowCount)
      return
    }
    const raw = openChunk(source, frame, 1 + type)
    if (!decodeResiduals({ encoding, raw }, { lo, hi }, 0, rowCount)) throw malformedColumn(source, frame, 1 + type)
  })
  out.forEach((column, type) => {
    const { encoding, divisor } = frame.columns[1 + type]!
    if (encoding === CHUNK_ENCODING.zero || multiplyColumn(column, 0, rowCount, divisor)) return
    throw malformedColumn(source, frame, 1 + type)
  })
}

/** Span (0), trace high (1) or trace low (2) into rows from `at`, which are 0 before. */
export function decodeContext(
  source: FrameSource,
  target: { frame: Frame; context: number },
  out: Int64Column,
  at: number,
): void {
  const { frame, context } = target
  const column = 1 + source.groups[frame.group]!.types.length + context
  if (frame.columns[column]!.encoding === CHUNK_ENCODING.zero) return
  const raw = openChunk(source, frame, column)
  if (!decodeSparse(raw, out, at, frame.rowCount)) throw malformedColumn(source, frame, column)
}

export function frameHasContext(frame: Frame, group: SampleGroup): boolean {
  const first = 1 + group.types.length
  return frame.columns.slice(first).some((chunk) => chunk.encoding !== CHUNK_ENCODING.zero)
}

/** Columns whose bytes a read of these types needs: stack ids, values or what they refer to, contexts. */
export function neededColumns(
  frame: Frame,
  group: SampleGroup,
  need: { types: readonly number[]; spans: boolean },
): number[] {
  const columns = new Set([0])
  for (const type of need.types) {
    const chunk = frame.columns[1 + type]!
    columns.add(chunk.encoding === CHUNK_ENCODING.same ? 1 + chunk.reference : 1 + type)
  }
  if (need.spans) for (let k = 0; k < 3; k++) columns.add(1 + group.types.length + k)
  return [...columns]
}

export function emptyRows(group: SampleGroup, rowCount: number, hasContext: boolean): GroupRows {
  const context = (): Int64Column | undefined => (hasContext ? allocateInt64Column(rowCount) : undefined)
  return {
    rowCount,
    stackId: new Uint32Array(rowCount),
    values: group.types.map(() => allocateInt64Column(rowCount)),
    spanId: context(),
    traceIdHigh: context(),
    traceIdLow: context(),
  }
}
