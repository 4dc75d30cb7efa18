/**
 * Mappings, locations with their lines, and functions of a pprof, as columns. One method reads one message at
 * [start, end) and returns the position after it, which is `end` unless the message is broken.
 *
 * While messages are read, references between tables are ids (`WideIds`), because messages come in any order;
 * `resolve` turns them into rows. String references are indices; one that cannot be an index becomes `BAD_STRING`.
 */
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { FAULT_POSITION, type Cursor } from './cursor.ts'
import { IdTable, type WideIds } from './id-table.ts'

/** Never below a string count, so the range check refuses it: negative and huge indices. */
export const BAD_STRING = 0xffffffff

/** Field sets of the messages, as bits: see `Cursor.skip`. */
const FUNCTION_FIELDS = 0b111110
const MAPPING_FIELDS = 0b11111111110
const LOCATION_FIELDS = 0b111110
const LINE_FIELDS = 0b110

export class FunctionColumns {
  count = 0
  id = new Uint32Array(256)
  name = new Uint32Array(256)
  systemName = new Uint32Array(256)
  filename = new Uint32Array(256)
  startLine = allocateInt64Column(256)
  zeroIds = 0
  readonly rows = new IdTable()

  begin(): void {
    this.count = 0
    this.zeroIds = 0
  }

  read(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const raw = cursor.raw
    const row = this.count
    if (row === this.id.length) this.#grow()
    let id = 0
    let name = 0
    let systemName = 0
    let filename = 0
    let p = start
    this.startLine.lo[row] = 0
    this.startLine.hi[row] = 0
    while (p < end) {
      const tag = raw[p]!
      if (tag === 0x08) {
        p = cursor.varint(p + 1)
        id = wide.idOf(cursor.lo, cursor.hi)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        name = stringIndex(cursor)
      } else if (tag === 0x18) {
        p = cursor.varint(p + 1)
        systemName = stringIndex(cursor)
      } else if (tag === 0x20) {
        p = cursor.varint(p + 1)
        filename = stringIndex(cursor)
      } else if (tag === 0x28) {
        p = cursor.varint(p + 1)
        this.startLine.lo[row] = cursor.lo
        this.startLine.hi[row] = cursor.hi
      } else p = cursor.skip(p, end, FUNCTION_FIELDS)
    }
    this.id[row] = id
    this.name[row] = name
    this.systemName[row] = systemName
    this.filename[row] = filename
    if (id === 0) this.zeroIds++
    this.count = row + 1
    return p
  }

  #grow(): void {
    const capacity = this.id.length * 2
    this.id = grown(this.id, capacity)
    this.name = grown(this.name, capacity)
    this.systemName = grown(this.systemName, capacity)
    this.filename = grown(this.filename, capacity)
    this.startLine = grownInt64(this.startLine, capacity)
  }
}

export class MappingColumns {
  count = 0
  id = new Uint32Array(16)
  start = allocateInt64Column(16)
  limit = allocateInt64Column(16)
  offset = allocateInt64Column(16)
  filename = new Uint32Array(16)
  buildId = new Uint32Array(16)
  flags = new Uint8Array(16)
  readonly rows = new IdTable()

  begin(): void {
    this.count = 0
  }

  read(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const row = this.count
    if (row === this.id.length) this.#grow()
    this.#clearRow(row)
    let p = start
    while (p < end) {
      const tag = cursor.raw[p]!
      const field = tag >>> 3
      // Ten varint fields; anything else is unknown or has the wrong wire type.
      if ((tag & 7) !== 0 || field < 1 || field > 10) {
        p = cursor.skip(p, end, MAPPING_FIELDS)
        continue
      }
      p = cursor.varint(p + 1)
      if (field === 1) this.id[row] = wide.idOf(cursor.lo, cursor.hi)
      else if (field === 2) setLanes(this.start, row, cursor)
      else if (field === 3) setLanes(this.limit, row, cursor)
      else if (field === 4) setLanes(this.offset, row, cursor)
      else if (field === 5) this.filename[row] = stringIndex(cursor)
      else if (field === 6) this.buildId[row] = stringIndex(cursor)
      else this.#setFlag(row, field - 7, (cursor.lo | cursor.hi) !== 0)
    }
    this.count = row + 1
    return p
  }

  #setFlag(row: number, bit: number, on: boolean): void {
    if (on) this.flags[row]! |= 1 << bit
    else this.flags[row]! &= ~(1 << bit)
  }

  #clearRow(row: number): void {
    this.id[row] = 0
    this.filename[row] = 0
    this.buildId[row] = 0
    this.flags[row] = 0
    for (const column of [this.start, this.limit, this.offset]) {
      column.lo[row] = 0
      column.hi[row] = 0
    }
  }

  #grow(): void {
    const capacity = this.id.length * 2
    this.id = grown(this.id, capacity)
    this.filename = grown(this.filename, capacity)
    this.buildId = grown(this.buildId, capacity)
    this.start = grownInt64(this.start, capacity)
    this.limit = grownInt64(this.limit, capacity)
    this.offset = grownInt64(this.offset, capacity)
    const flags = new Uint8Array(capacity)
    flags.set(this.flags)
    this.flags = flags
  }
}

export class LocationColumns {
  count = 0
  lineCount = 0
  id = new Uint32Array(256)
  mapping = new Uint32Array(256)
  address = allocateInt64Column(256)
  folded = new Uint8Array(256)
  lineStart = new Uint32Array(257)
  lineFunction = new Uint32Array(256)
  lineNumber = allocateInt64Column(256)
  readonly rows = new IdTable()

  begin(): void {
    this.count = 0
    this.lineCount = 0
    this.lineStart[0] = 0
  }

  read(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const raw = cursor.raw
    const row = this.count
    if (row === this.id.length) this.#grow()
    let id = 0
    let mapping = 0
    let folded = 0
    let p = start
    this.address.lo[row] = 0
    this.address.hi[row] = 0
    while (p < end) {
      const tag = raw[p]!
      if (tag === 0x08) {
        p = cursor.varint(p + 1)
        id = wide.idOf(cursor.lo, cursor.hi)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        mapping = wide.idOf(cursor.lo, cursor.hi)
      } else if (tag === 0x18) {
        p = cursor.varint(p + 1)
        this.address.lo[row] = cursor.lo
        this.address.hi[row] = cursor.hi
      } else if (tag === 0x22) {
        p = cursor.length(p + 1, end)
        if (p !== FAULT_POSITION) p = this.#readLine(cursor, wide, p, p + cursor.lo)
      } else if (tag === 0x28) {
        p = cursor.varint(p + 1)
        folded = (cursor.lo | cursor.hi) === 0 ? 0 : 1
      } else p = cursor.skip(p, end, LOCATION_FIELDS)
    }
    this.id[row] = id
    this.mapping[row] = mapping
    this.folded[row] = folded
    this.count = row + 1
    this.lineStart[row + 1] = this.lineCount
    return p
  }

  #readLine(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const raw = cursor.raw
    const row = this.lineCount
    if (row === this.lineFunction.length) this.#growLines()
    let fn = 0
    let p = start
    this.lineNumber.lo[row] = 0
    this.lineNumber.hi[row] = 0
    while (p < end) {
      const tag = raw[p]!
      if (tag === 0x08) {
        p = cursor.varint(p + 1)
        fn = wide.idOf(cursor.lo, cursor.hi)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        this.lineNumber.lo[row] = cursor.lo
        this.lineNumber.hi[row] = cursor.hi
      } else p = cursor.skip(p, end, LINE_FIELDS)
    }
    this.lineFunction[row] = fn
    this.lineCount = row + 1
    return p === end ? p : cursor.fail(`truncated line at byte ${start}`)
  }

  #grow(): void {
    const capacity = this.id.length * 2
    this.id = grown(this.id, capacity)
    this.mapping = grown(this.mapping, capacity)
    this.lineStart = grown(this.lineStart, capacity + 1)
    this.address = grownInt64(this.address, capacity)
    const folded = new Uint8Array(capacity)
    folded.set(this.folded)
    this.folded = folded
  }

  #growLines(): void {
    const capacity = this.lineFunction.length * 2
    this.lineFunction = grown(this.lineFunction, capacity)
    this.lineNumber = grownInt64(this.lineNumber, capacity)
  }
}

/** The varint just read as a string index. */
export function stringIndex(cursor: Cursor): number {
  return cursor.hi === 0 ? cursor.lo : BAD_STRING
}

function setLanes(column: Int64Column, row: number, cursor: Cursor): void {
  column.lo[row] = cursor.lo
  column.hi[row] = cursor.hi
}

export function grown(array: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity)
  larger.set(array)
  return larger
}

export function grownInt64(column: Int64Column, capacity: number): Int64Column {
  return { lo: grown(column.lo, capacity), hi: grown(column.hi, capacity) }
}
