/**
 * The strings of an OTLP dictionary and the texts that are made of it (names of labels, ids as hexadecimal), by number:
 * first those of the dictionary, then texts in order of first use. Bytes of all of them lie in one array.
 *
 * A string is looked at once a request, when it is first needed: whether it is UTF-8, and 128 bits of its content, of
 * which identities of profiles are made (content-digest.ts): four lanes of 32 bits with multipliers of their own, which
 * take 25 µs for the strings of an agent where a call of the digest for each takes 150.
 * Must not: make a JavaScript string of what is in the dictionary.
 */
import { isValidUtf8 } from '../../pprof/utf8.ts'
import { GrowingUint32, GrowingUint8 } from '../../wire/growing.ts'
import { mix32 } from '../../wire/hash.ts'
import { tableSeed, tableWords } from '../../wire/table-hash.ts'
import type { EntryRanges } from './request.ts'

export const STRING_LANES = 4

/** Kinds of a string that was looked at. */
export const STRING_EMPTY = 1
const STRING_VALID = 2
export const STRING_INVALID = 3

/** Texts of a request are a fraction of its dictionary. */
const TEXT_BYTES_FIRST = 4_096
const TEXTS_FIRST = 256

const encoder = new TextEncoder()

export class RequestStrings {
  /** Larger than what is in it. */
  raw: Uint8Array<ArrayBuffer>
  readonly start: GrowingUint32
  readonly end: GrowingUint32
  /** `STRING_LANES` of each, once it was looked at. */
  readonly lanes: GrowingUint32
  readonly #kind: GrowingUint8
  readonly #texts = new Map<string, number>()
  /** Open hash of numbers + 1 of what is no string of the table, by lanes; 0 = free. At most half full. */
  #slots = new Uint32Array(128)
  #taken = 0
  readonly #seed = tableSeed()
  /** Slots that insertions have passed over: a few a text, whatever the texts are. */
  probes = 0
  #length: number

  constructor(dictionary: Uint8Array, { count, start, end }: EntryRanges) {
    this.raw = new Uint8Array(dictionary.length + TEXT_BYTES_FIRST)
    this.raw.set(dictionary)
    this.#length = dictionary.length
    const capacity = count + TEXTS_FIRST
    this.start = new GrowingUint32(capacity)
    this.end = new GrowingUint32(capacity)
    this.#kind = new GrowingUint8(capacity)
    this.lanes = new GrowingUint32(capacity * STRING_LANES)
    this.start.array.set(start.array.subarray(0, count))
    this.end.array.set(end.array.subarray(0, count))
    this.start.count = this.end.count = this.#kind.count = count
    this.lanes.count = count * STRING_LANES
  }

  get count(): number {
    return this.start.count
  }

  get sizeBytes(): number {
    const columns = [this.start, this.end, this.lanes, this.#kind]
    return columns.reduce((sum, { array }) => sum + array.byteLength, this.raw.byteLength + this.#slots.byteLength)
  }

  /** Number of a text of ours. */
  numberOf(text: string): number {
    let number = this.#texts.get(text)
    if (number === undefined) {
      const bytes = encoder.encode(text)
      this.#append(bytes)
      number = this.numberAt(this.#length - bytes.length, this.#length)
      this.#texts.set(text, number)
    }
    return number
  }

  /** Number of an integer's decimal digits, below 2^32. */
  numberOfDigits(value: number): number {
    let digits = 1
    for (let limit = 10; limit <= value; limit *= 10) digits++
    const start = this.#length
    this.#reserve(digits)
    this.#length += digits
    for (let at = this.#length - 1, rest = value; at >= start; at--, rest = Math.floor(rest / 10)) {
      this.raw[at] = 0x30 + (rest % 10)
    }
    const count = this.count
    const number = this.numberAt(start, this.#length)
    // It is known: its bytes are free for the next.
    if (number !== count) this.#length = start
    return number
  }

  /** Number of raw[start, end), the same for equal bytes of any place but the table of strings. */
  numberAt(start: number, end: number): number {
    const number = this.start.count
    this.start.push(start)
    this.end.push(end)
    this.#kind.push(0)
    for (let lane = 0; lane < STRING_LANES; lane++) this.lanes.push(0)
    this.look(number)
    const known = this.#place(number)
    if (known === number) return number
    this.start.count = this.end.count = this.#kind.count = number
    this.lanes.count = number * STRING_LANES
    return known
  }

  /** The number of equal content, itself where there is none. */
  #place(number: number): number {
    const lanes = this.lanes.array
    const mask = this.#slots.length - 1
    const first = this.#hashOf(number) & mask
    let slot = first
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      const known = entry - 1
      let lane = 0
      while (lane < STRING_LANES && lanes[known * STRING_LANES + lane] === lanes[number * STRING_LANES + lane]) lane++
      if (lane === STRING_LANES) return known
      slot = (slot + 1) & mask
    }
    this.probes += (slot - first) & mask
    this.#slots[slot] = number + 1
    if (++this.#taken * 2 > this.#slots.length) this.#rehash()
    return number
  }

  #hashOf(number: number): number {
    return tableWords(this.#seed, this.lanes.array, number * STRING_LANES, (number + 1) * STRING_LANES)
  }

  #rehash(): void {
    const old = this.#slots
    const slots = new Uint32Array(old.length * 2)
    const mask = slots.length - 1
    for (const entry of old) {
      if (entry === 0) continue
      let slot = this.#hashOf(entry - 1) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = entry
    }
    this.#slots = slots
  }

  lengthOf(number: number): number {
    return this.end.array[number]! - this.start.array[number]!
  }

  /** False if it is not UTF-8. Its lanes are known from here on. */
  look(number: number): boolean {
    return this.kindOf(number) !== STRING_INVALID
  }

  kindOf(number: number): number {
    return this.#kind.array[number] || this.#readKind(number)
  }

  #readKind(number: number): number {
    const start = this.start.array[number]!
    const end = this.end.array[number]!
    const seen = hashInto(this.lanes.array, number * STRING_LANES, { bytes: this.raw, start, end })
    const isValid = seen < 0x80 || isValidUtf8(this.raw, start, end)
    const kind = start === end ? STRING_EMPTY : isValid ? STRING_VALID : STRING_INVALID
    this.#kind.array[number] = kind
    return kind
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.raw.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra
    if (needed <= this.raw.length) return
    const grown = new Uint8Array(Math.max(needed, this.raw.length * 2))
    grown.set(this.raw.subarray(0, this.#length))
    this.raw = grown
  }
}

/** Four bytes a step. Returns all bytes or'ed, which are below 0x80 if they are ASCII. */
function hashInto(
  lanes: Uint32Array,
  at: number,
  { bytes, start, end }: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
): number {
  const length = end - start
  let a = length ^ 0x9e3779b1
  let b = length ^ 0x85ebca77
  let c = length ^ 0xc2b2ae3d
  let d = length ^ 0x27d4eb2f
  let seen = 0
  for (let i = start; i < end; i += 4) {
    const word = end - i >= 4 ? wordAt(bytes, i) : tailAt(bytes, i, end)
    seen |= word
    a = Math.imul(a ^ word, 0x5bd1e995)
    a ^= a >>> 15
    b = Math.imul(b ^ word, 0x1b873593)
    b ^= b >>> 13
    c = Math.imul(c + word, 0x2c1b3c6d)
    c ^= c >>> 16
    d = Math.imul(d + word, 0x297a2d39)
    d ^= d >>> 14
  }
  lanes[at] = mix32(a ^ d)
  lanes[at + 1] = mix32(b ^ a)
  lanes[at + 2] = mix32(c ^ b)
  lanes[at + 3] = mix32(d ^ Math.imul(c, 0x165667b1))
  return (seen & 0xff) | ((seen >>> 8) & 0xff) | ((seen >>> 16) & 0xff) | (seen >>> 24)
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

/** The length is in every lane, so that zeros behind the end are none of the string. */
function tailAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0
  for (let i = at; i < end; i++) word |= bytes[i]! << (8 * (i - at))
  return word
}
