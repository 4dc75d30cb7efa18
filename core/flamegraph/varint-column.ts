/**
 * LEB128 varints of whole columns, unsigned, 32 and 64 bits (64 as lanes). Every read is checked against the end of
 * the bytes, because a typed array read past its end is `undefined`, which arithmetic turns into 0 without a word.
 */
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'

export class VarintWriter {
  #array: Uint8Array
  #at = 0

  constructor(capacity: number) {
    this.#array = new Uint8Array(Math.max(64, capacity))
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#array[this.#at++] = value
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#array.set(bytes, this.#at)
    this.#at += bytes.length
  }

  uint32(value: number): void {
    this.#reserve(5)
    let rest = value
    while (rest > 127) {
      this.#array[this.#at++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#array[this.#at++] = rest
  }

  uint64(lo: number, hi: number): void {
    this.#reserve(10)
    let low = lo
    let high = hi
    while (high !== 0) {
      this.#array[this.#at++] = (low & 127) | 128
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.uint32(low)
  }

  /** The bytes written, for the caller to own; the writer is done. */
  take(): Uint8Array {
    return this.#array.slice(0, this.#at)
  }

  #reserve(extra: number): void {
    if (this.#at + extra <= this.#array.length) return
    const grown = new Uint8Array(Math.max(this.#array.length * 2, this.#at + extra))
    grown.set(this.#array)
    this.#array = grown
  }
}

/** Makes the error for a fault; what it is called depends on the format that is read. */
export type FaultMaker = (why: string) => Error

export class VarintReader {
  readonly #bytes: Uint8Array
  readonly #fault: FaultMaker
  #at = 0

  constructor(bytes: Uint8Array, fault: FaultMaker) {
    this.#bytes = bytes
    this.#fault = fault
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    if (this.#at >= this.#bytes.length) throw this.#fault('truncated')
    return this.#bytes[this.#at++]!
  }

  uint32(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 15) break
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 0
    }
    throw this.#fault('a varint is over 32 bits')
  }

  /** Passes over `length` bytes; the place where they began. */
  skip(length: number): number {
    const start = this.#at
    if (length > this.#bytes.length - start) throw this.#fault('truncated')
    this.#at = start + length
    return start
  }

  /** Rows [from, count) of a new column; rows before `from` are 0. */
  uint32Column(count: number, from: number): Uint32Array {
    const column = new Uint32Array(count)
    const bytes = this.#bytes
    let at = this.#at
    for (let i = from; i < count; i++) {
      const first = bytes[at]!
      const second = bytes[at + 1]!
      // One and two bytes are the usual cases; `undefined < 128` is false, so the end falls to the checked path.
      if (first < 128) {
        column[i] = first
        at++
      } else if (second < 128) {
        column[i] = (first & 127) | (second << 7)
        at += 2
      } else {
        this.#at = at
        column[i] = this.uint32()
        at = this.#at
      }
    }
    this.#at = at
    return column
  }

  uint64Column(count: number, from: number): Int64Column {
    const column = allocateInt64Column(count)
    const { lo, hi } = column
    const bytes = this.#bytes
    let at = this.#at
    for (let i = from; i < count; i++) {
      // Up to five bytes without a call; past the end `byte` is undefined, which falls to the checked path too.
      let byte = bytes[at]!
      let low = byte & 127
      let length = 1
      while (byte > 127 && length < 4) {
        byte = bytes[at + length]!
        low |= (byte & 127) << (7 * length++)
      }
      if (byte > 127) {
        byte = bytes[at + length++]!
        low |= byte << 28
        hi[i] = (byte & 127) >>> 4
      }
      if (byte < 128) {
        lo[i] = low
        at += length
        continue
      }
      this.#at = at
      this.uint64Into(column, i)
      at = this.#at
    }
    this.#at = at
    return column
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw this.#fault(`${this.#bytes.length - this.#at} bytes after the end`)
  }

  /** column[index] = the next varint of 64 bits. */
  uint64Into(column: Int64Column, index: number): void {
    let lo = 0
    let hi = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte()
      if (shift === 63 && byte > 1) break
      const bits = byte & 127
      if (shift < 28) lo |= bits << shift
      else if (shift === 28) {
        lo |= bits << 28
        hi |= bits >>> 4
      } else hi |= bits << (shift - 32)
      if (byte < 128) {
        column.lo[index] = lo
        column.hi[index] = hi
        return
      }
    }
    throw this.#fault('a varint is over 64 bits')
  }
}
