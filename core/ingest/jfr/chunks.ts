/**
 * The frame of a recording: chunks one after another, each a header of 68 bytes and events, each with its size and type.
 *
 *     magic "FLR\0", major and minor version, chunk size, offsets of constant pools and metadata, start and duration in
 *     nanoseconds, start in ticks, ticks per second, features (bit 0: integers are LEB128); big-endian
 *
 * Metadata and checkpoints are found by a walk over the events, not by the offsets in the header and in each checkpoint:
 * it costs a hundredth of the decode and needs no trust.
 */
import type { JfrCursor } from './cursor.ts'

export const CHUNK_HEADER_BYTES = 68
/** "FLR\0". */
const MAGIC = 0x464c5200
const EVENT_METADATA = 0
const EVENT_CHECKPOINT = 1

/** Version 0 is of JDK 7 and 8, and another format. */
const MAJORS: readonly number[] = [1, 2]

const NANOS_PER_SECOND = 1_000_000_000

export interface Chunk {
  readonly start: number
  readonly end: number
  readonly isCompressed: boolean
  readonly ticksPerSecond: number
}

/** Of the chunk that begins at `start`; the recording's bytes are the cursor's. */
export function readChunkHeader(cursor: JfrCursor, start: number): Chunk {
  const recordingBytes = cursor.bytes.length
  const left = recordingBytes - start
  const at = `the chunk at byte ${start}`
  if (left < CHUNK_HEADER_BYTES) {
    cursor.fail(`${at} has ${left} bytes, its header alone has ${CHUNK_HEADER_BYTES}`)
  }
  cursor.begin(cursor.bytes, start, recordingBytes)
  cursor.fixed(4)
  const magic = cursor.lo
  if (magic !== MAGIC) cursor.fail(`${at} begins with ${magic.toString(16).padStart(8, '0')}, which is not "FLR"`)
  cursor.fixed(2)
  const major = cursor.lo
  if (!MAJORS.includes(major)) cursor.fail(`${at} is of version ${major}, known are ${MAJORS.join(' and ')}`)
  cursor.fixed(2)
  cursor.fixed(8)
  const sizeBytes = cursor.hi * 2 ** 32 + cursor.lo
  if (sizeBytes < CHUNK_HEADER_BYTES) cursor.fail(`${at} was not finished: it says that it has ${sizeBytes} bytes`)
  if (sizeBytes > left) cursor.fail(`${at} is cut: it says that it has ${sizeBytes} bytes, ${left} are left`)
  cursor.at = start + 56
  cursor.fixed(8)
  const ticksPerSecond = cursor.hi * 2 ** 32 + cursor.lo
  cursor.fixed(4)
  return {
    start,
    end: start + sizeBytes,
    isCompressed: (cursor.lo & 1) !== 0,
    ticksPerSecond: ticksPerSecond === 0 ? NANOS_PER_SECOND : ticksPerSecond,
  }
}

/** Positions behind size and type of an event. */
export interface EventPlace {
  readonly start: number
  readonly end: number
}

export interface ChunkParts {
  readonly metadata: EventPlace
  readonly checkpoints: readonly EventPlace[]
}

/** Leaves the type in `lo` and `hi`, the position behind it; returns where the event ends. */
export function readEventHeader(cursor: JfrCursor): number {
  const start = cursor.at
  const sizeBytes = cursor.int()
  const end = start + sizeBytes
  if (sizeBytes === 0 || end > cursor.end) {
    cursor.fail(`the event at byte ${start} has ${sizeBytes} bytes, ${cursor.end - start} are left in its chunk`)
  }
  cursor.long()
  if (cursor.at > end) cursor.fail(`the event at byte ${start} has ${sizeBytes} bytes, less than its header`)
  return end
}

export function findParts(cursor: JfrCursor, chunk: Chunk): ChunkParts {
  cursor.begin(cursor.bytes, chunk.start + CHUNK_HEADER_BYTES, chunk.end)
  let metadata: EventPlace | undefined
  const checkpoints: EventPlace[] = []
  while (cursor.at < chunk.end) {
    const end = readEventHeader(cursor)
    if (cursor.hi === 0 && cursor.lo <= EVENT_CHECKPOINT) {
      const place = { start: cursor.at, end }
      // The last one knows all types of the chunk.
      if (cursor.lo === EVENT_METADATA) metadata = place
      else checkpoints.push(place)
    }
    cursor.at = end
  }
  if (metadata === undefined) cursor.fail(`the chunk at byte ${chunk.start} has no metadata`)
  return { metadata, checkpoints }
}

/** Nanoseconds of a duration in ticks: `lo` and `hi` in, and out. Negative ones stay as they are. */
export function scaleTicks(lanes: { lo: number; hi: number }, ticksPerSecond: number): void {
  if (ticksPerSecond === NANOS_PER_SECOND || lanes.hi > 0x7fffffff) return
  if (lanes.hi < 0x200000) {
    const ticks = lanes.hi * 2 ** 32 + lanes.lo
    const seconds = Math.floor(ticks / ticksPerSecond)
    const rest = ticks - seconds * ticksPerSecond
    const nanos = seconds * NANOS_PER_SECOND + Math.floor((rest * NANOS_PER_SECOND) / ticksPerSecond)
    if (nanos <= Number.MAX_SAFE_INTEGER) {
      lanes.lo = nanos % 2 ** 32
      lanes.hi = Math.floor(nanos / 2 ** 32)
      return
    }
  }
  const ticks = (BigInt(lanes.hi) << 32n) | BigInt(lanes.lo)
  const nanos = BigInt.asUintN(63, (ticks * BigInt(NANOS_PER_SECOND)) / BigInt(ticksPerSecond))
  lanes.lo = Number(nanos & 0xffffffffn)
  lanes.hi = Number(nanos >> 32n)
}
