/**
 * Columns of one profile's tables, which stay from profile to profile. One look at the room that is left a row, not one a
 * column: a profile of an agent has tens of rows, and a request a hundred profiles.
 */
import { grown, grownInt64 } from '../../pprof/decode-tables.ts'
import { allocateInt64Column, type Int64Column } from '../../wire/int64.ts'

const ROWS_FIRST = 256

export class StringColumns {
  count = 0
  /** Of the request. */
  number = new Uint32Array(ROWS_FIRST)
  start = new Uint32Array(ROWS_FIRST)
  length = new Uint32Array(ROWS_FIRST)

  add(number: number, start: number, length: number): number {
    const row = this.count++
    if (row === this.number.length) this.#grow()
    this.number[row] = number
    this.start[row] = start
    this.length[row] = length
    return row
  }

  #grow(): void {
    const capacity = this.number.length * 2
    this.number = grown(this.number, capacity)
    this.start = grown(this.start, capacity)
    this.length = grown(this.length, capacity)
  }
}

export class FunctionRows {
  count = 0
  name = new Uint32Array(ROWS_FIRST)
  systemName = new Uint32Array(ROWS_FIRST)
  filename = new Uint32Array(ROWS_FIRST)
  startLine = allocateInt64Column(ROWS_FIRST)

  /** Its start line is the caller's to set. */
  add(name: number, systemName: number, filename: number): number {
    const row = this.count++
    if (row === this.name.length) this.#grow()
    this.name[row] = name
    this.systemName[row] = systemName
    this.filename[row] = filename
    return row
  }

  #grow(): void {
    const capacity = this.name.length * 2
    this.name = grown(this.name, capacity)
    this.systemName = grown(this.systemName, capacity)
    this.filename = grown(this.filename, capacity)
    this.startLine = grownInt64(this.startLine, capacity)
  }
}

export class MappingRows {
  count = 0
  /** Index in the dictionary times two, plus one where its locations have lines. */
  slot = new Uint32Array(ROWS_FIRST)
  flags = new Uint8Array(ROWS_FIRST)
  start = allocateInt64Column(ROWS_FIRST)
  limit = allocateInt64Column(ROWS_FIRST)
  offset = allocateInt64Column(ROWS_FIRST)
  filename = new Uint32Array(ROWS_FIRST)
  buildId = new Uint32Array(ROWS_FIRST)

  add(slot: number, flags: number): number {
    const row = this.count++
    if (row === this.slot.length) this.#grow()
    this.slot[row] = slot
    this.flags[row] = flags
    return row
  }

  /** `range`: start, limit and offset. */
  set(row: number, range: Int64Column, filename: number, buildId: number): void {
    this.start.lo[row] = range.lo[0]!
    this.start.hi[row] = range.hi[0]!
    this.limit.lo[row] = range.lo[1]!
    this.limit.hi[row] = range.hi[1]!
    this.offset.lo[row] = range.lo[2]!
    this.offset.hi[row] = range.hi[2]!
    this.filename[row] = filename
    this.buildId[row] = buildId
  }

  #grow(): void {
    const capacity = this.slot.length * 2
    const flags = new Uint8Array(capacity)
    flags.set(this.flags)
    this.flags = flags
    this.slot = grown(this.slot, capacity)
    this.start = grownInt64(this.start, capacity)
    this.limit = grownInt64(this.limit, capacity)
    this.offset = grownInt64(this.offset, capacity)
    this.filename = grown(this.filename, capacity)
    this.buildId = grown(this.buildId, capacity)
  }
}

export class LocationRows {
  count = 0
  lineCount = 0
  mapping = new Uint32Array(ROWS_FIRST)
  address = allocateInt64Column(ROWS_FIRST)
  /** Zeros: OTLP does not say. */
  folded = new Uint8Array(ROWS_FIRST)
  lineStart = new Uint32Array(ROWS_FIRST + 1)
  lineFunction = new Uint32Array(ROWS_FIRST)
  lineNumber = allocateInt64Column(ROWS_FIRST)

  begin(): void {
    this.count = 0
    this.lineCount = 0
    this.lineStart[0] = 0
  }

  /** Where its lines end is the caller's to set. */
  add(mapping: number, addressLo: number, addressHi: number): number {
    const row = this.count++
    if (row === this.mapping.length) this.#grow()
    this.mapping[row] = mapping
    this.address.lo[row] = addressLo
    this.address.hi[row] = addressHi
    return row
  }

  addLine(functionRow: number, lo: number, hi: number): void {
    const row = this.lineCount++
    if (row === this.lineFunction.length) this.#growLines()
    this.lineFunction[row] = functionRow
    this.lineNumber.lo[row] = lo
    this.lineNumber.hi[row] = hi
  }

  #grow(): void {
    const capacity = this.mapping.length * 2
    this.mapping = grown(this.mapping, capacity)
    this.address = grownInt64(this.address, capacity)
    this.folded = new Uint8Array(capacity)
    this.lineStart = grown(this.lineStart, capacity + 1)
  }

  #growLines(): void {
    const capacity = this.lineFunction.length * 2
    this.lineFunction = grown(this.lineFunction, capacity)
    this.lineNumber = grownInt64(this.lineNumber, capacity)
  }
}
