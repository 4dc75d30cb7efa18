/**
 * An attribute of the dictionary as nearly all are, read by its bytes: a reference to the key, then one value that is a
 * text or a whole number, each once and in this order. A fifth of what the reader of all attributes takes for it.
 *
 * Must not: judge. Of anything else, or of what is wrong, it says that it is not plain, and others read it.
 */

const TAG_KEY = (1 << 3) | 0
const TAG_VALUE = (2 << 3) | 2
const TAG_TEXT = (1 << 3) | 2
const TAG_INTEGER = (3 << 3) | 0

export class PlainAttribute {
  /** Index of a string. */
  key = 0
  isText = false
  /** Of the text's bytes, which are not looked at. */
  textStart = 0
  textEnd = 0
  /** Of what is no text: below 2^28. */
  integer = 0

  /** False if what lies in raw[start, end) is not plain. */
  read(raw: Uint8Array, start: number, end: number): boolean {
    if (end - start < 4 || raw[start] !== TAG_KEY) return false
    let at = start + 1
    this.key = raw[at++]!
    if (this.key >= 0x80) {
      const high = raw[at++]!
      if (high >= 0x80) return false
      this.key = (this.key & 0x7f) | (high << 7)
    }
    // The value's message and the one field in it: either takes all that is left.
    if (raw[at] !== TAG_VALUE) return false
    at = bodyStart(raw, at + 1, end)
    if (at < 0 || at >= end) return false
    if (raw[at] === TAG_INTEGER) return this.#readInteger(raw, at + 1, end)
    if (raw[at] !== TAG_TEXT) return false
    this.textStart = bodyStart(raw, at + 1, end)
    this.textEnd = end
    this.isText = true
    return this.textStart >= 0
  }

  #readInteger(raw: Uint8Array, start: number, end: number): boolean {
    const last = end - 1
    if (start > last || last - start > 3) return false
    let value = 0
    for (let at = start, shift = 0; at < last; at++, shift += 7) {
      const byte = raw[at]!
      if (byte < 0x80) return false
      value |= (byte & 0x7f) << shift
    }
    if (raw[last]! >= 0x80) return false
    this.isText = false
    this.integer = value | (raw[last]! << (7 * (last - start)))
    return true
  }
}

/** Where what takes all until `end` begins, behind its length of one or two bytes; -1 if it does not. */
function bodyStart(raw: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1
  const low = raw[at]!
  if (low < 0x80) return at + 1 + low === end ? at + 1 : -1
  const high = at + 1 < end ? raw[at + 1]! : 0x80
  return high < 0x80 && at + 2 + ((low & 0x7f) | (high << 7)) === end ? at + 2 : -1
}
