/**
 * Reads the numbers and strings of a JFR chunk, whose position it keeps.
 *
 * Integers are LEB128 of at most nine bytes, the ninth whole (so not protobuf's), or big-endian of their own width, as the
 * chunk's header says. A byte past the array reads as 0: readers look at `at` where a record, an array or a structure
 * ends (`expectWithin`), which costs less than a look at every byte, and counts are held against the bytes that are left
 * before anything is allocated. A fault is thrown, once a recording at most, as `invalid_argument` that names the byte.
 */
import { invalidArgument } from '../../errors.ts'

/** How a string came; its bytes are [start, start + length), of a pool reference the key is in `start` and `length`. */
export const STRING_EMPTY = 0
export const STRING_POOL = 2
export const STRING_UTF8 = 3
export const STRING_CHARS = 4
export const STRING_LATIN1 = 5

export const MALFORMED_RECORDING = 'malformed_profile'

export class JfrCursor {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  /** Nothing at or after it belongs to what is read. */
  end = 0
  isCompressed = true
  /** The last integer. */
  lo = 0
  hi = 0
  /** The last string. */
  stringKind = STRING_EMPTY
  stringStart = 0
  stringLength = 0

  begin(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  fail(what: string): never {
    throw invalidArgument(`the JFR recording cannot be read: ${what}`, MALFORMED_RECORDING)
  }

  /** After reads that did not look. */
  expectWithin(end: number, what: string): void {
    if (this.at > end) this.fail(`${what} passes its end at byte ${end}`)
  }

  u8(): number {
    return this.bytes[this.at++]!
  }

  /** Big-endian, whatever the header says. */
  fixed(width: number): void {
    const { bytes } = this
    let hi = 0
    let lo = 0
    for (let left = width; left > 0; left--) {
      hi = (hi << 8) | (lo >>> 24)
      lo = ((lo << 8) | bytes[this.at++]!) >>> 0
    }
    this.lo = lo
    this.hi = hi >>> 0
  }

  /** A `long`, or an index of a constant pool. */
  long(): void {
    if (this.isCompressed) this.varint()
    else this.fixed(8)
  }

  /** An `int` that counts or measures. */
  int(): number {
    if (!this.isCompressed) {
      this.fixed(4)
      return this.lo
    }
    const first = this.bytes[this.at]!
    if (first < 0x80) {
      this.at++
      return first
    }
    this.varint()
    if (this.hi !== 0) this.fail(`an integer before byte ${this.at} passes 32 bits`)
    return this.lo
  }

  /** Of records that take a byte each at least. */
  count(what: string): number {
    const count = this.int()
    if (count > this.end - this.at) {
      this.fail(`${count} ${what} at byte ${this.at} pass the ${Math.max(0, this.end - this.at)} bytes that are left`)
    }
    return count
  }

  varint(): void {
    const { bytes } = this
    let p = this.at
    let byte = bytes[p++]!
    let lo = byte & 0x7f
    if (byte > 0x7f) {
      byte = bytes[p++]!
      lo |= (byte & 0x7f) << 7
      if (byte > 0x7f) {
        byte = bytes[p++]!
        lo |= (byte & 0x7f) << 14
        if (byte > 0x7f) {
          byte = bytes[p++]!
          lo |= (byte & 0x7f) << 21
          if (byte > 0x7f) {
            this.#longVarint(p, lo)
            return
          }
        }
      }
    }
    this.lo = lo
    this.hi = 0
    this.at = p
  }

  /** The bytes from the fifth on. */
  #longVarint(start: number, low28: number): void {
    const { bytes } = this
    let p = start
    let byte = bytes[p++]!
    this.lo = (low28 | (byte << 28)) >>> 0
    let hi = (byte & 0x7f) >>> 4
    for (let shift = 3; byte > 0x7f && shift <= 17; shift += 7) {
      byte = bytes[p++]!
      hi |= (byte & 0x7f) << shift
    }
    // The ninth byte has no mark: it is bits 56 to 63.
    if (byte > 0x7f) hi |= bytes[p++]! << 24
    this.hi = hi >>> 0
    this.at = p
  }

  skipVarint(): void {
    const { bytes } = this
    let p = this.at
    const last = p + 8
    while (p < last && bytes[p]! > 0x7f) p++
    this.at = p + 1
  }

  /** Sets the last string. */
  string(): void {
    const kind = this.u8()
    this.stringKind = kind
    this.stringStart = this.at
    this.stringLength = 0
    switch (kind) {
      case 0:
      case 1:
        this.stringKind = STRING_EMPTY
        return
      case STRING_POOL:
        this.long()
        this.stringStart = this.lo
        this.stringLength = this.hi
        return
      case STRING_UTF8:
      case STRING_LATIN1:
        this.stringLength = this.count('bytes of a string')
        this.stringStart = this.at
        this.at += this.stringLength
        return
      case STRING_CHARS: {
        const chars = this.count('characters of a string')
        this.stringStart = this.at
        for (let i = 0; i < chars; i++) this.#skipChar()
        this.expectWithin(this.end, 'a string')
        this.stringLength = this.at - this.stringStart
        return
      }
      default:
        this.fail(`string of encoding ${kind} before byte ${this.at}, known are 0 to 5`)
    }
  }

  #skipChar(): void {
    if (this.isCompressed) this.skipVarint()
    else this.at += 2
  }

  /** UTF-16 units of a string of `STRING_CHARS`. */
  chars(start: number, length: number): string {
    const resumeAt = this.at
    this.at = start
    let text = ''
    while (this.at < start + length) {
      if (this.isCompressed) this.varint()
      else this.fixed(2)
      text += String.fromCharCode(this.lo & 0xffff)
    }
    this.at = resumeAt
    return text
  }

  /** Of the last string, which must not be of a pool. */
  text(): string {
    return this.textOf(this.stringKind, this.stringStart, this.stringLength)
  }

  textOf(kind: number, start: number, length: number): string {
    if (kind === STRING_CHARS) return this.chars(start, length)
    const bytes = this.bytes.subarray(start, start + length)
    if (kind === STRING_UTF8) return utf8.decode(bytes)
    if (kind !== STRING_LATIN1) return ''
    let text = ''
    for (const byte of bytes) text += String.fromCharCode(byte)
    return text
  }
}

/** A JVM's strings are not all UTF-8: what is none becomes U+FFFD. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
