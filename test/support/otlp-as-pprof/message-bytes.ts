/**
 * Many small protobuf messages one after the other, without a writer for each: the caller reserves room for a message,
 * writes fields by `varint` and `copy`, and closes it, which puts its length before it.
 *
 * Must not: check anything. A caller reserves what it writes (five bytes a number of 32 bits, one a tag below 16).
 */

/** One byte of length is kept free: most messages of tables are shorter than 128 bytes. */
const LENGTH_BYTES = 1

export class MessageBytes {
  bytes = new Uint8Array(4096)
  length = 0
  #bodyAt = 0

  clear(): void {
    this.length = 0
  }

  /** Begins a message of at most `bodyBytesMax` as field `field` (below 16) of what these bytes are. */
  open(field: number, bodyBytesMax: number): void {
    const needed = this.length + bodyBytesMax + 8
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes[this.length] = field * 8 + 2
    this.#bodyAt = this.length + 1 + LENGTH_BYTES
    this.length = this.#bodyAt
  }

  /** A number below 2^32 as field `field`; zero is not written. */
  number(field: number, value: number): void {
    if (value === 0) return
    this.bytes[this.length++] = field * 8
    this.#varint(value)
  }

  /** The varint that lies in raw[start, end) as field `field`; nothing if there is none. */
  copyNumber(field: number, raw: Uint8Array, start: number, end: number): void {
    if (start === end) return
    const { bytes } = this
    let at = this.length
    bytes[at++] = field * 8
    for (let i = start; i < end; i++) bytes[at++] = raw[i]!
    this.length = at
  }

  /** A message of two fields within the open one, shorter than 128 bytes: 1 a number, 2 a varint to copy. */
  pair(field: number, first: number, raw: Uint8Array, range: { start: number; end: number }): void {
    const tagAt = this.length
    this.bytes[tagAt] = field * 8 + 2
    this.length = tagAt + 2
    this.number(1, first)
    this.copyNumber(2, raw, range.start, range.end)
    this.bytes[tagAt + 1] = this.length - tagAt - 2
  }

  /** The bytes raw[start, end) as the whole body. */
  copyBody(raw: Uint8Array, start: number, end: number): void {
    const { bytes } = this
    let at = this.length
    if (end - start < 64) for (let i = start; i < end; i++) bytes[at++] = raw[i]!
    else bytes.set(raw.subarray(start, end), at)
    this.length += end - start
  }

  /** Ends the message. */
  close(): void {
    const body = this.length - this.#bodyAt
    if (body < 0x80) {
      this.bytes[this.#bodyAt - 1] = body
      return
    }
    let lengthBytes = 1
    for (let rest = body >>> 7; rest > 0; rest >>>= 7) lengthBytes++
    const shift = lengthBytes - LENGTH_BYTES
    this.bytes.copyWithin(this.#bodyAt + shift, this.#bodyAt, this.length)
    const end = this.length + shift
    this.length = this.#bodyAt - LENGTH_BYTES
    this.#varint(body)
    this.length = end
  }

  #varint(value: number): void {
    const { bytes } = this
    let at = this.length
    let rest = value
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[at++] = rest
    this.length = at
  }
}
