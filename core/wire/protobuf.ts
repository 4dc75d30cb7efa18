/**
 * The protobuf wire format: a bounds-checked reader over one Uint8Array and a growing writer.
 *
 * Reader, step by step: `next()` reads a tag and leaves `field` and `wireType`; the caller reads the value with the
 * method of its type, or `skip()`s it. A varint leaves its 64 bits in `lo` and `hi`. What does not fit (a truncated
 * varint, a length past the end, a group, field number 0) sets `fault` once; from then on `next()` is false, so a loop
 * over `next()` ends and its caller looks at `fault`. Nothing throws, and no missing byte reads as zero.
 *
 * Must not: copy payloads (`bytes()` returns a view), or use bigint outside the two methods that say so.
 */
import { assert } from '../assert.ts'

export const WIRE_VARINT = 0
export const WIRE_FIXED64 = 1
export const WIRE_LENGTH = 2
export const WIRE_FIXED32 = 5

const GOOD_WIRE_TYPES = (1 << WIRE_VARINT) | (1 << WIRE_FIXED64) | (1 << WIRE_LENGTH) | (1 << WIRE_FIXED32)

/** One bigint where shifting two together makes four. */
const wideValue = new BigInt64Array(1)
const wideLanes = new Uint32Array(wideValue.buffer)

/** 64 bits in groups of seven. */
const VARINT_BYTES_MAX = 10

export class ProtobufReader {
  raw: Uint8Array
  position: number
  end: number
  field = 0
  wireType = 0
  /** The last varint or fixed value. */
  lo = 0
  hi = 0
  /** Why the bytes are not a message; the first reason stays. */
  fault: string | undefined

  constructor(raw: Uint8Array, start = 0, end = raw.length) {
    assert(start <= end, 'a message ends after its start')
    assert(end <= raw.length, 'a message lies inside its bytes')
    this.raw = raw
    this.position = start
    this.end = end
  }

  /** Begins again with another message, so that a loop over many small ones needs no reader for each. */
  begin(raw: Uint8Array, start: number, end: number): void {
    assert(start <= end, 'a message ends after its start')
    assert(end <= raw.length, 'a message lies inside its bytes')
    this.raw = raw
    this.position = start
    this.end = end
    this.fault = undefined
  }

  /** Reads a tag; false at the end and after a fault. */
  next(): boolean {
    const at = this.position
    if (at >= this.end || this.fault !== undefined) return false
    const tag = this.raw[at]!
    // A field below 16 and none of the wire types that are faults: most tags of every format we read.
    if (tag < 0x80 && tag > 7 && (GOOD_WIRE_TYPES & (1 << (tag & 7))) !== 0) {
      this.lo = tag
      this.hi = 0
      this.field = tag >>> 3
      this.wireType = tag & 7
      this.position = at + 1
      return true
    }
    if (!this.varint()) return false
    this.field = ((this.lo >>> 3) | (this.hi << 29)) >>> 0
    this.wireType = this.lo & 7
    if (this.hi !== 0 || this.field === 0) return this.#fail(`field number out of range at byte ${at}`)
    if (this.wireType === 3 || this.wireType === 4) return this.#fail(`group at byte ${at}`)
    if (this.wireType > 5) return this.#fail(`wire type ${this.wireType} at byte ${at}`)
    return true
  }

  /** Reads 64 bits into `lo` and `hi`. Bits above the 64th are dropped, as every decoder does. */
  varint(): boolean {
    const raw = this.raw
    const start = this.position
    if (start < this.end) {
      const only = raw[start]!
      if (only < 0x80) {
        this.lo = only
        this.hi = 0
        this.position = start + 1
        return true
      }
    }
    return this.#longVarint(start)
  }

  #longVarint(start: number): boolean {
    const raw = this.raw
    const end = Math.min(this.end, start + VARINT_BYTES_MAX)
    let lo = 0
    let hi = 0
    for (let p = start, shift = 0; p < end; p++, shift += 7) {
      const byte = raw[p]!
      const bits = byte & 0x7f
      if (shift < 28) lo |= bits << shift
      else if (shift === 28) {
        lo |= bits << 28
        hi = bits >>> 4
      } else hi |= bits << (shift - 32)
      if (byte < 0x80) {
        this.lo = lo >>> 0
        this.hi = hi >>> 0
        this.position = p + 1
        return true
      }
    }
    if (end === this.end) return this.#fail(`truncated varint at byte ${start}`)
    return this.#fail(`varint of more than ${VARINT_BYTES_MAX} bytes at byte ${start}`)
  }

  /** Little-endian 8 bytes into `lo` and `hi`. */
  fixed64(): boolean {
    const at = this.position
    if (!this.#take(8)) return false
    this.lo = this.#uint32At(at)
    this.hi = this.#uint32At(at + 4)
    return true
  }

  fixed32(): boolean {
    const at = this.position
    if (!this.#take(4)) return false
    this.lo = this.#uint32At(at)
    this.hi = 0
    return true
  }

  /** Payload of a length-delimited field, a view; empty after a fault. */
  bytes(): Uint8Array {
    const length = this.#length()
    const start = this.position
    if (length < 0 || !this.#take(length)) return this.raw.subarray(0, 0)
    return this.raw.subarray(start, start + length)
  }

  /** Passes over a length-delimited payload and returns where it starts; it ends at `position`. Empty after a fault. */
  payload(): number {
    const length = this.#length()
    const start = this.position
    return length >= 0 && this.#take(length) ? start : this.position
  }

  /** A reader of a nested message; its fault is its own. */
  message(): ProtobufReader {
    const length = this.#length()
    const start = this.position
    if (length < 0 || !this.#take(length)) return new ProtobufReader(this.raw, 0, 0)
    return new ProtobufReader(this.raw, start, start + length)
  }

  /**
   * Goes into a nested message without a reader of its own: `end` is where it ends, until `leave` is given what this
   * returns. A fault inside is the reader's.
   */
  enter(): number {
    const outer = this.end
    const start = this.payload()
    this.end = this.position
    this.position = start
    return outer
  }

  leave(outer: number): void {
    this.position = this.end
    this.end = outer
  }

  /** Skips the value of the field that `next()` found. */
  skip(): boolean {
    if (this.wireType === WIRE_VARINT) return this.varint()
    if (this.wireType === WIRE_FIXED64) return this.#take(8)
    if (this.wireType === WIRE_FIXED32) return this.#take(4)
    const length = this.#length()
    return length >= 0 && this.#take(length)
  }

  /** The last value as a signed 64-bit integer. */
  int64(): bigint {
    wideLanes[0] = this.lo
    wideLanes[1] = this.hi
    return wideValue[0]!
  }

  /** The last value as an unsigned 64-bit integer. */
  uint64(): bigint {
    return (BigInt(this.hi) << 32n) | BigInt(this.lo)
  }

  #length(): number {
    const at = this.position
    // Messages in messages have lengths of two bytes; in `varint` this would keep it from being inlined.
    if (this.end - at > 1) {
      const low = this.raw[at]!
      const high = this.raw[at + 1]!
      const length = (low & 0x7f) | (high << 7)
      if (low >= 0x80 && high < 0x80 && length <= this.end - at - 2) {
        this.position = at + 2
        return length
      }
    }
    if (!this.varint()) return -1
    if (this.hi === 0 && this.lo <= this.end - this.position) return this.lo
    this.#fail(`length ${this.uint64()} at byte ${at} passes the end at byte ${this.end}`)
    return -1
  }

  #take(count: number): boolean {
    if (this.fault !== undefined) return false
    if (count > this.end - this.position) return this.#fail(`truncated value at byte ${this.position}`)
    this.position += count
    return true
  }

  #uint32At(at: number): number {
    const raw = this.raw
    return (raw[at]! | (raw[at + 1]! << 8) | (raw[at + 2]! << 16) | (raw[at + 3]! << 24)) >>> 0
  }

  #fail(fault: string): false {
    this.fault ??= fault
    return false
  }
}

/** 1 GiB: no message of the product comes near it, and every runtime allocates it. */
const WRITER_BYTES_MAX = 2 ** 30

const encoder = new TextEncoder()

/**
 * Grows by doubling. Nested messages are written by a second writer and copied in: messages of this kind are small,
 * or written once.
 */
export class ProtobufWriter {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** Everything written so far, a copy. */
  copyBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** Forgets what was written, keeps the memory. */
  clear(): void {
    this.#length = 0
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  /** An unsigned integer below 2^53, exact. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value), 'a varint written as a number is a safe integer')
    assert(value >= 0, 'a varint written as a number is not negative')
    this.#reserve(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
  }

  /** int64 or uint64 modulo 2^64: -1 takes ten bytes, as int64 does on the wire. */
  varintBigInt(value: bigint): void {
    this.#reserve(VARINT_BYTES_MAX)
    let rest = BigInt.asUintN(64, value)
    while (rest >= 0x80n) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#bytes[this.#length++] = Number(rest)
  }

  /** The eight bytes of a fixed64, little endian. */
  fixed64(value: bigint): void {
    this.#reserve(8)
    let rest = BigInt.asUintN(64, value)
    for (let i = 0; i < 8; i++) {
      this.#bytes[this.#length++] = Number(rest & 0xffn)
      rest >>= 8n
    }
  }

  fixed32(value: number): void {
    this.#reserve(4)
    for (let i = 0; i < 4; i++) this.#bytes[this.#length++] = (value >>> (8 * i)) & 0xff
  }

  /** Bytes without tag and length. */
  rawBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** bytes[start, end), without tag and length. Short ones are copied in a loop: a view costs as much as 60 bytes. */
  rawRange(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start)
    const to = this.#bytes
    let at = this.#length
    if (end - start < 64) for (let i = start; i < end; i++) to[at++] = bytes[i]!
    else to.set(bytes.subarray(start, end), at)
    this.#length += end - start
  }

  bytesField(field: number, bytes: Uint8Array): void {
    this.tag(field, WIRE_LENGTH)
    this.varint(bytes.length)
    this.rawBytes(bytes)
  }

  stringField(field: number, text: string): void {
    this.bytesField(field, encoder.encode(text))
  }

  /** A nested message: what `other` holds. */
  messageField(field: number, other: ProtobufWriter): void {
    this.tag(field, WIRE_LENGTH)
    this.varint(other.#length)
    this.rawRange(other.#bytes, 0, other.#length)
  }

  /** Varint field; zero is not written, as proto3 does. */
  varintField(field: number, value: bigint | number): void {
    if (value === 0 || value === 0n) return
    this.tag(field, WIRE_VARINT)
    if (typeof value === 'number') this.varint(value)
    else this.varintBigInt(value)
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra
    if (needed <= this.#bytes.length) return
    assert(needed <= WRITER_BYTES_MAX, `a message has at most ${WRITER_BYTES_MAX} bytes`)
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}
