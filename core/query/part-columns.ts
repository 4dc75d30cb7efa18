/**
 * A head and columns of eight bytes a row as one buffer: how rows of partial answers travel, so that nobody on the way looks
 * at them. A clone of an object takes 1.6 µs, and a day in steps of 15 s has 5,760 points a series.
 *
 *   u32 length of what stands before the columns, the head as JSON, spaces up to a multiple of eight, the columns
 *
 * Integers and doubles are as the machine has them, little-endian wherever this runs. Readers know the columns and their
 * number from the head: another layout needs another name for the field that carries it.
 */

export type PartColumn = Float64Array | BigInt64Array

const LENGTH_BYTES = 4
const COLUMN_BYTES = 8
const SPACE = 0x20

export function encodePart(head: unknown, columns: readonly PartColumn[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(head))
  const headBytes = Math.ceil((LENGTH_BYTES + text.length) / COLUMN_BYTES) * COLUMN_BYTES
  const part = new Uint8Array(columns.reduce((sum, { byteLength }) => sum + byteLength, headBytes))
  new DataView(part.buffer).setUint32(0, headBytes, true)
  part.fill(SPACE, LENGTH_BYTES, headBytes)
  part.set(text, LENGTH_BYTES)
  let at = headBytes
  for (const { buffer, byteOffset, byteLength } of columns) {
    part.set(new Uint8Array(buffer, byteOffset, byteLength), at)
    at += byteLength
  }
  return part
}

/** Columns are read in the order in which they were given. */
export class PartReader {
  readonly head: unknown
  readonly #bytes: Uint8Array
  #at: number

  constructor(part: Uint8Array) {
    // Views of eight bytes begin at multiples of eight: a part that came inside of a message may not.
    const bytes = part.byteOffset % COLUMN_BYTES === 0 ? part : part.slice()
    const headBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    this.head = JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, headBytes)))
    this.#bytes = bytes
    this.#at = headBytes
  }

  doubles(rows: number): Float64Array {
    return new Float64Array(this.#bytes.buffer, this.#take(rows), rows)
  }

  integers(rows: number): BigInt64Array {
    return new BigInt64Array(this.#bytes.buffer, this.#take(rows), rows)
  }

  #take(rows: number): number {
    const start = this.#bytes.byteOffset + this.#at
    this.#at += rows * COLUMN_BYTES
    return start
  }
}

/** Array.from walks an iterator: ten times the time. */
export function listOf<Value>(column: ArrayLike<Value>, start: number, end: number): Value[] {
  const list: Value[] = []
  for (let i = start; i < end; i++) list.push(column[i]!)
  return list
}
