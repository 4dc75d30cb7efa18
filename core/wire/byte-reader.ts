/**
 * The inverse of ByteWriter, for bytes whose checksum held. Every length is checked against what is left before
 * anything is allocated or read, so that a crafted count costs an error and no memory. All faults are
 * `CinderError('data_loss')` whose message starts with the name of what is read.
 */
import { CinderError } from '../errors.ts'
import type { Int64Column } from './int64.ts'
import { allocateInt64Column } from './int64.ts'
import { decodeVarints32, decodeVarints64, undoDeltas32, undoDeltas64 } from './varint.ts'

/** Scratch of one value: a reader is made for every section, and its calls never overlap. */
const WORD = new Uint32Array(1)
const LANES = allocateInt64Column(1)
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteReader {
  readonly bytes: Uint8Array
  /** What the bytes are, for messages: `dataset 0 …: section headers`. */
  readonly subject: string
  at = 0

  constructor(bytes: Uint8Array, subject: string) {
    this.bytes = bytes
    this.subject = subject
  }

  get remaining(): number {
    return this.bytes.length - this.at
  }

  fail(what: string): never {
    throw new CinderError('data_loss', `${this.subject}: ${what}`, { reason: 'corrupt_block' })
  }

  u8(): number {
    if (this.remaining < 1) this.fail(`ends at byte ${this.at}`)
    return this.bytes[this.at++]!
  }

  u16(): number {
    const low = this.u8()
    return low | (this.u8() << 8)
  }

  u32(): number {
    const low = this.u16()
    return (low | (this.u16() << 16)) >>> 0
  }

  varint(): number {
    // Most are below 128; tables and indices are made of them.
    const first = this.bytes[this.at]
    if (first !== undefined && first < 0x80) {
      this.at++
      return first
    }
    this.#read32(WORD, 1)
    return WORD[0]!
  }

  safeInteger(): number {
    this.#read64(LANES, 1)
    const value = LANES.hi[0]! * 4294967296 + LANES.lo[0]!
    if (!Number.isSafeInteger(value)) this.fail(`integer before byte ${this.at} passes 2^53`)
    return value
  }

  signedInteger(): number {
    const value = this.safeInteger()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  bigint64(): bigint {
    this.#read64(LANES, 1)
    return BigInt.asIntN(64, (BigInt(LANES.hi[0]!) << 32n) | BigInt(LANES.lo[0]!))
  }

  /** A row count; each row takes at least `rowBytesMin` of the bytes that are left. */
  count(rowBytesMin = 1): number {
    const count = this.varint()
    if (count * rowBytesMin > this.remaining)
      this.fail(`count ${count} passes the ${this.remaining} bytes that are left`)
    return count
  }

  /** Borrowed. */
  viewBytes(length: number): Uint8Array {
    if (length > this.remaining) this.fail(`length ${length} passes the ${this.remaining} bytes that are left`)
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  string(): string {
    const bytes = this.viewBytes(this.varint())
    try {
      return UTF8.decode(bytes)
    } catch {
      return this.fail(`text before byte ${this.at} is not UTF-8`)
    }
  }

  column32(count: number): Uint32Array {
    if (count > this.remaining) this.fail(`column of ${count} rows passes the ${this.remaining} bytes that are left`)
    const column = new Uint32Array(count)
    this.#read32(column, count)
    return column
  }

  deltaColumn32(count: number): Uint32Array {
    const column = this.column32(count)
    undoDeltas32(column, count)
    return column
  }

  column64(count: number): Int64Column {
    if (count > this.remaining) this.fail(`column of ${count} rows passes the ${this.remaining} bytes that are left`)
    const column = allocateInt64Column(count)
    this.#read64(column, count)
    return column
  }

  deltaColumn64(count: number): Int64Column {
    const column = this.column64(count)
    undoDeltas64(column, count)
    return column
  }

  expectEnd(): void {
    if (this.remaining !== 0) this.fail(`${this.remaining} bytes left over`)
  }

  #read32(out: Uint32Array, count: number): void {
    const next = decodeVarints32({ bytes: this.bytes, start: this.at, end: this.bytes.length }, out, 0, count)
    if (next < 0) this.fail(`malformed varint after byte ${this.at}`)
    this.at = next
  }

  #read64(out: Int64Column, count: number): void {
    const next = decodeVarints64({ bytes: this.bytes, start: this.at, end: this.bytes.length }, out, 0, count)
    if (next < 0) this.fail(`malformed varint after byte ${this.at}`)
    this.at = next
  }
}
