/**
 * Sorts byte strings that lie in one arena, without a view or a call a comparison: multikey quicksort (Bentley and
 * Sedgewick, 1997). Names of one program share long prefixes, which a comparing sort reads again in each of its log n
 * comparisons, and this reads once.
 *
 * 1. A range of rows is split by the byte at `depth` into less, equal and greater; the end of a string is less than any byte.
 * 2. Those that are equal go on at the next byte, the others at the same one. Short ranges are inserted.
 * What is open waits on a stack of its own: names are as long as somebody likes.
 */

export interface ByteStrings {
  readonly bytes: Uint8Array
  /** String i is bytes[start[i], start[i + 1]). */
  readonly start: Uint32Array
}

/** Below it splitting costs more than comparing. */
const INSERTION_MAX = 8

/** Rows of strings in byte order, in place; equal strings come in any order. */
export function sortByBytes(strings: ByteStrings, rows: Uint32Array): void {
  const open = [0, rows.length, 0]
  while (open.length > 0) {
    let depth = open.pop()!
    let end = open.pop()!
    let begin = open.pop()!
    while (end - begin > INSERTION_MAX) {
      const pivot = medianOf(strings, rows, { begin, end, depth })
      let less = begin
      let greater = end
      for (let at = begin; at < greater; ) {
        const byte = byteAt(strings, rows[at]!, depth)
        if (byte < pivot) swap(rows, at++, less++)
        else if (byte > pivot) swap(rows, at, --greater)
        else at++
      }
      if (less - begin > 1) open.push(begin, less, depth)
      if (end - greater > 1) open.push(greater, end, depth)
      begin = less
      end = greater
      // Strings that end here are equal.
      if (pivot < 0) break
      depth++
    }
    if (end - begin <= INSERTION_MAX) insert(strings, rows, { begin, end, depth })
  }
}

/** Below 0, 0 or above 0, from the byte at `depth` on; those before it are equal. */
export function compareBytes({ bytes, start }: ByteStrings, a: number, b: number, depth = 0): number {
  const aStart = start[a]!
  const bStart = start[b]!
  const aLength = start[a + 1]! - aStart
  const bLength = start[b + 1]! - bStart
  const shared = Math.min(aLength, bLength)
  for (let i = depth; i < shared; i++) {
    const difference = bytes[aStart + i]! - bytes[bStart + i]!
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

interface Span {
  readonly begin: number
  readonly end: number
  readonly depth: number
}

/** -1 past the end. */
function byteAt({ bytes, start }: ByteStrings, row: number, depth: number): number {
  const at = start[row]! + depth
  return at < start[row + 1]! ? bytes[at]! : -1
}

function medianOf(strings: ByteStrings, rows: Uint32Array, { begin, end, depth }: Span): number {
  const a = byteAt(strings, rows[begin]!, depth)
  const b = byteAt(strings, rows[(begin + end) >>> 1]!, depth)
  const c = byteAt(strings, rows[end - 1]!, depth)
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
}

function insert(strings: ByteStrings, rows: Uint32Array, { begin, end, depth }: Span): void {
  for (let i = begin + 1; i < end; i++) {
    const row = rows[i]!
    let at = i
    while (at > begin && compareBytes(strings, rows[at - 1]!, row, depth) > 0) {
      rows[at] = rows[at - 1]!
      at--
    }
    rows[at] = row
  }
}

function swap(rows: Uint32Array, a: number, b: number): void {
  const row = rows[a]!
  rows[a] = rows[b]!
  rows[b] = row
}
