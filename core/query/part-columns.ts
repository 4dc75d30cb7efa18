/**
 * A head and columns of eight bytes a row as one buffer: how rows of partial answers travel, so that nobody on the way looks
 * at them. A clone of an object takes 1.6 µs, and a day in steps of 15 s has 5,760 points a series.
 *
 *   u32 length of what stands before the columns, the head as JSON, spaces up to a multiple of eight, the columns
 *
 * Integers and doubles are as the machine has them, little-endian wherever this runs. Readers know the columns and their
 * number from the head: another layout needs another name for the field that carries it.
 *
 * Parts come from other processes: what does not fit together is a `data_loss`, as it is of trees and stacks. Nothing is made
 * of a number that the bytes do not bear out: lengths of 10^9 and -10^9 would be lists of a billion.
 */
import { CinderError } from '../errors.ts'
import type { LabelPair } from '../labels/labels.ts'

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
    const { buffer, byteOffset, length } = bytes
    const headBytes = length < LENGTH_BYTES ? 0 : new DataView(buffer, byteOffset).getUint32(0, true)
    if (headBytes < COLUMN_BYTES || headBytes > length || headBytes % COLUMN_BYTES !== 0) {
      throw damagedPart(`a head of ${headBytes} bytes in ${length}`)
    }
    this.head = parseHead(bytes.subarray(LENGTH_BYTES, headBytes))
    this.#bytes = bytes
    this.#at = headBytes
  }

  doubles(rows: number): Float64Array {
    return new Float64Array(this.#bytes.buffer, this.#take(rows), rows)
  }

  integers(rows: number): BigInt64Array {
    return new BigInt64Array(this.#bytes.buffer, this.#take(rows), rows)
  }

  /** All columns were read, and there is nothing else. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw damagedPart(`${left} bytes behind the last column`)
  }

  #take(rows: number): number {
    const { byteOffset, length } = this.#bytes
    const start = this.#at
    if (rows * COLUMN_BYTES > length - start)
      throw damagedPart(`a column of ${rows} rows at byte ${start} of ${length}`)
    this.#at += rows * COLUMN_BYTES
    return byteOffset + start
  }
}

function parseHead(text: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(text))
  } catch {
    throw damagedPart('the head is no JSON')
  }
}

/** The sum of what a head says to be the rows of each of its series. */
export function rowsOf(lengths: unknown, series: number): number {
  if (!Array.isArray(lengths) || lengths.length !== series) throw damagedPart('not a number of rows for each series')
  let rows = 0
  for (const length of lengths) {
    if (!Number.isSafeInteger(length) || length < 0) throw damagedPart(`${length} rows of a series`)
    rows += length
  }
  if (!Number.isSafeInteger(rows)) throw damagedPart(`${rows} rows`)
  return rows
}

/** What a head says to be label sets. */
export function labelSetsOf(sets: unknown): LabelPair[][] {
  if (!Array.isArray(sets)) throw damagedPart('no label sets')
  for (const pairs of sets)
    if (!Array.isArray(pairs) || !pairs.every(isPair)) throw damagedPart('a label set of no pairs')
  return sets
}

function isPair(pair: Partial<LabelPair> | null): boolean {
  return typeof pair?.name === 'string' && typeof pair.value === 'string'
}

export function damagedPart(why: string): CinderError {
  return new CinderError('data_loss', `malformed rows of a partial answer: ${why}`, { reason: 'malformed_part' })
}

/** Array.from walks an iterator: ten times the time. */
export function listOf<Value>(column: ArrayLike<Value>, start: number, end: number): Value[] {
  const list: Value[] = []
  for (let i = start; i < end; i++) list.push(column[i]!)
  return list
}
