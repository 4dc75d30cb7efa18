/**
 * A decoded profile's string table with more strings at its end. The table has bytes and columns of its own, and begins with
 * what it had: an index into the old one means the same in the new one, and so do the runs of the message's tables.
 */
import type { DecodedProfile } from './profile.ts'

export type StringTable = Pick<DecodedProfile, 'raw' | 'stringCount' | 'stringStart' | 'stringLength'>

/** The first of `added` has index `table.stringCount`. */
export function withAddedStrings(table: StringTable, added: readonly Uint8Array[]): StringTable {
  const stringCount = table.stringCount + added.length
  const raw = new Uint8Array(added.reduce((sum, bytes) => sum + bytes.length, table.raw.length))
  const stringStart = new Uint32Array(stringCount)
  const stringLength = new Uint32Array(stringCount)
  raw.set(table.raw)
  stringStart.set(table.stringStart.subarray(0, table.stringCount))
  stringLength.set(table.stringLength.subarray(0, table.stringCount))
  let at = table.raw.length
  for (let i = 0; i < added.length; i++) {
    raw.set(added[i]!, at)
    stringStart[table.stringCount + i] = at
    stringLength[table.stringCount + i] = added[i]!.length
    at += added[i]!.length
  }
  return { raw, stringCount, stringStart, stringLength }
}

/** Borrows the bytes of string `index`. */
export function viewString(table: Omit<StringTable, 'stringCount'>, index: number): Uint8Array {
  const start = table.stringStart[index]!
  return table.raw.subarray(start, start + table.stringLength[index]!)
}
