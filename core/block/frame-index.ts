/**
 * The frame index: where every column chunk of every frame lies, how it is written, and its checksum.
 *
 *   varint frame count, then per frame: varint header count, then per column (stack id, each type, span, trace high,
 *   trace low) one byte encoding | 0x10 if zstd, and
 *     zero: nothing            same: varint reference column, varint64 divisor
 *     value columns but zero and same: varint64 divisor
 *     all but zero and same: varint stored length, [varint raw length if zstd], crc32c u32
 *
 * Chunks lie in the frames section by (group, column, frame): the stack ids of a group are one run of bytes, and so are
 * the values of each type, so that a query of one type reads two runs however many types the group has.
 */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'
import type { SampleGroup } from './dataset.ts'
import type { HeadHeaders } from './header-section.ts'
import { CHUNK_ENCODING, CHUNK_ZSTD, SECTION_RAW_BYTES_MAX } from './format.ts'

export interface ColumnChunk {
  readonly encoding: number
  readonly zstd: boolean
  /** Values = residuals * divisor. 0 for other columns. */
  readonly divisor: number
  /** `same`: the type whose residuals these are. */
  readonly reference: number
  readonly storedBytes: number
  readonly rawBytes: number
  readonly crc: number
  /** In the frames section. */
  offset: number
}

export interface Frame {
  readonly group: number
  readonly firstHeader: number
  readonly headerCount: number
  /** Rows [rowStart, rowStart + rowCount) of the group. */
  readonly rowStart: number
  readonly rowCount: number
  /** Stack id, values by type, span, trace high, trace low. */
  readonly columns: ColumnChunk[]
}

/** What frames are made of: headers, or rollups. */
export type FramedHeaders = Pick<HeadHeaders, 'count' | 'group' | 'rowStart' | 'rowLength'>

export const CONTEXT_COLUMNS = 3

export function columnCount(group: SampleGroup): number {
  return 1 + group.types.length + CONTEXT_COLUMNS
}

/** Every chunk in the order of the frames section. */
export function* chunksInOrder(frames: readonly Frame[]): Generator<{ frame: number; column: number }> {
  let first = 0
  while (first < frames.length) {
    let end = first
    while (end < frames.length && frames[end]!.group === frames[first]!.group) end++
    for (let column = 0; column < frames[first]!.columns.length; column++)
      for (let frame = first; frame < end; frame++) yield { frame, column }
    first = end
  }
}

function hasBytes(encoding: number): boolean {
  return encoding !== CHUNK_ENCODING.zero && encoding !== CHUNK_ENCODING.same
}

function hasDivisor(encoding: number): boolean {
  return (
    encoding === CHUNK_ENCODING.varint32 || encoding === CHUNK_ENCODING.varint64 || encoding === CHUNK_ENCODING.same
  )
}

export function encodeFrameIndex(frames: readonly Frame[], groups: readonly SampleGroup[], out: ByteWriter): void {
  out.varint(frames.length)
  for (const frame of frames) {
    out.varint(frame.headerCount)
    const types = groups[frame.group]!.types.length
    frame.columns.forEach((chunk, column) => {
      out.u8(chunk.encoding | (chunk.zstd ? CHUNK_ZSTD : 0))
      if (chunk.encoding === CHUNK_ENCODING.same) out.varint(chunk.reference)
      if (column >= 1 && column <= types && hasDivisor(chunk.encoding)) out.safeInteger(chunk.divisor)
      if (!hasBytes(chunk.encoding)) return
      out.varint(chunk.storedBytes)
      if (chunk.zstd) out.varint(chunk.rawBytes)
      out.u32(chunk.crc)
    })
  }
}

/** Frames with their offsets; checks that they cover every header and `framesBytes` exactly. */
export function decodeFrameIndex(
  input: ByteReader,
  dataset: { groups: readonly SampleGroup[]; headers: FramedHeaders; framesBytes: number },
): Frame[] {
  const { groups, headers } = dataset
  const frameCount = input.count(2)
  const frames: Frame[] = []
  let header = 0
  for (let f = 0; f < frameCount; f++) {
    const headerCount = input.varint()
    if (headerCount === 0) input.fail(`frame ${f} is empty`)
    if (header + headerCount > headers.count) input.fail(`frame ${f} ends past header ${headers.count}`)
    const group = headers.group[header]!
    if (headers.group[header + headerCount - 1] !== group) input.fail(`frame ${f} spans two groups`)
    let rowCount = 0
    for (let h = header; h < header + headerCount; h++) rowCount += headers.rowLength[h]!
    const columns: ColumnChunk[] = []
    const types = groups[group]!.types.length
    for (let column = 0; column < columnCount(groups[group]!); column++) columns.push(decodeChunk(input, column, types))
    // A stack id takes a byte at least: what a crafted header claims beyond that is refused before it is allocated.
    const idBytes = columns[0]!.rawBytes
    if (rowCount > idBytes) input.fail(`frame ${f} has ${rowCount} rows, but ${idBytes} bytes of stack ids`)
    frames.push({ group, firstHeader: header, headerCount, rowStart: headers.rowStart[header]!, rowCount, columns })
    header += headerCount
  }
  input.expectEnd()
  if (header !== headers.count) input.fail(`frames hold ${header} of ${headers.count} headers`)
  const framesBytes = assignOffsets(frames)
  if (framesBytes !== dataset.framesBytes) input.fail(`chunks take ${framesBytes} bytes of ${dataset.framesBytes}`)
  return frames
}

/** Gives every chunk its place; returns the length of the frames section. */
export function assignOffsets(frames: readonly Frame[]): number {
  let offset = 0
  for (const { frame, column } of chunksInOrder(frames)) {
    const chunk = frames[frame]!.columns[column]!
    chunk.offset = offset
    offset += chunk.storedBytes
  }
  return offset
}

function decodeChunk(input: ByteReader, column: number, types: number): ColumnChunk {
  const head = input.u8()
  const encoding = head & 0x0f
  const zstd = (head & CHUNK_ZSTD) !== 0
  const isValue = column >= 1 && column <= types
  checkEncoding(input, { column, encoding, isValue, head })
  const reference = encoding === CHUNK_ENCODING.same ? input.varint() : 0
  // A reference names an earlier type, so that reading never follows a circle.
  if (encoding === CHUNK_ENCODING.same && reference >= column - 1)
    input.fail(`column ${column} refers to type ${reference}, which is not before it`)
  const divisor = isValue && hasDivisor(encoding) ? input.safeInteger() : 0
  if (isValue && hasDivisor(encoding) && divisor === 0) input.fail(`column ${column} has divisor 0`)
  if (!hasBytes(encoding)) return { encoding, zstd, divisor, reference, storedBytes: 0, rawBytes: 0, crc: 0, offset: 0 }
  const storedBytes = input.varint()
  const rawBytes = zstd ? input.varint() : storedBytes
  if (rawBytes > SECTION_RAW_BYTES_MAX) input.fail(`chunk of ${rawBytes} bytes, at most ${SECTION_RAW_BYTES_MAX}`)
  return { encoding, zstd, divisor, reference, storedBytes, rawBytes, crc: input.u32(), offset: 0 }
}

function checkEncoding(
  input: ByteReader,
  of: { column: number; encoding: number; isValue: boolean; head: number },
): void {
  const { column, encoding, isValue, head } = of
  if ((head & ~(0x0f | CHUNK_ZSTD)) !== 0) input.fail(`unknown encoding ${head} of column ${column}`)
  const { zero, varint32, varint64, same, sparse64 } = CHUNK_ENCODING
  const allowed = isValue ? [zero, varint32, varint64, same] : column === 0 ? [zero, varint32] : [zero, sparse64]
  if (!(allowed as number[]).includes(encoding)) input.fail(`encoding ${encoding} is not one of column ${column}`)
  if ((encoding === zero || encoding === same) && (head & CHUNK_ZSTD) !== 0) input.fail(`encoding ${head} has no bytes`)
}
