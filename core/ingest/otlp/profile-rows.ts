/**
 * Columns of one profile's tables, which stay from profile to profile.
 *
 * While samples are read a row is the number that it has in the request, and nothing else; `gather` then makes the columns
 * of all rows, one loop a column: half of what it takes to write every column of a row when it comes, because a request
 * has a hundred profiles of tens of rows each.
 */
import { grown, grownInt64 } from '../../pprof/decode-tables.ts'
import { allocateInt64Column, type Int64Column } from '../../wire/int64.ts'
import type { FunctionColumns, LocationColumns } from './dictionary-columns.ts'
import type { RequestStrings } from './request-strings.ts'
import type { UsedRows } from './used-rows.ts'

const ROWS_FIRST = 256

/** Row 0 is the empty string. */
export class StringColumns {
  count = 0
  /** Of the request. */
  number = new Uint32Array(ROWS_FIRST)
  start = new Uint32Array(ROWS_FIRST)
  length = new Uint32Array(ROWS_FIRST)

  add(number: number): number {
    const row = this.count++
    if (row === this.number.length) this.number = grown(this.number, row * 2)
    this.number[row] = number
    return row
  }

  gather(strings: RequestStrings): void {
    const { count, number } = this
    if (this.start.length < number.length) {
      this.start = new Uint32Array(number.length)
      this.length = new Uint32Array(number.length)
    }
    const { start, length } = this
    const from = strings.start.array
    const to = strings.end.array
    for (let row = 1; row < count; row++) {
      const at = from[number[row]!]!
      start[row] = at
      length[row] = to[number[row]!]! - at
    }
  }
}

export class FunctionRows {
  count = 0
  /** Index in the dictionary. */
  index = new Uint32Array(ROWS_FIRST)
  name = new Uint32Array(ROWS_FIRST)
  systemName = new Uint32Array(ROWS_FIRST)
  filename = new Uint32Array(ROWS_FIRST)
  startLine = allocateInt64Column(ROWS_FIRST)

  add(index: number): number {
    const row = this.count++
    if (row === this.index.length) this.index = grown(this.index, row * 2)
    this.index[row] = index
    return row
  }

  /** All strings that they name have rows. */
  gather(functions: FunctionColumns, { rows, base }: UsedRows): void {
    const { count, index } = this
    if (this.name.length < index.length) this.#grow(index.length)
    const { name, systemName, filename } = this
    for (let row = 0; row < count; row++) {
      const from = index[row]!
      name[row] = rows[functions.name[from]!]! - base
      systemName[row] = rows[functions.systemName[from]!]! - base
      filename[row] = rows[functions.filename[from]!]! - base
    }
    gatherInt64(this.startLine, functions.startLine, index, count)
  }

  #grow(capacity: number): void {
    this.name = new Uint32Array(capacity)
    this.systemName = new Uint32Array(capacity)
    this.filename = new Uint32Array(capacity)
    this.startLine = allocateInt64Column(capacity)
  }
}

function gatherInt64(to: Int64Column, from: Int64Column, index: Uint32Array, count: number): void {
  const { lo, hi } = to
  for (let row = 0; row < count; row++) {
    lo[row] = from.lo[index[row]!]!
    hi[row] = from.hi[index[row]!]!
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
  /** Index in the dictionary. */
  index = new Uint32Array(ROWS_FIRST)
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
  }

  add(index: number, mapping: number, lineCount: number): number {
    const row = this.count++
    if (row === this.index.length) {
      this.index = grown(this.index, row * 2)
      this.mapping = grown(this.mapping, row * 2)
    }
    this.index[row] = index
    this.mapping[row] = mapping
    this.lineCount += lineCount
    return row
  }

  /** All functions of their lines have rows. */
  gather(locations: LocationColumns, { rows, base }: UsedRows): void {
    const { count, index } = this
    if (this.folded.length < index.length) this.#grow(index.length)
    if (this.lineFunction.length < this.lineCount) this.#growLines(this.lineCount * 2)
    gatherInt64(this.address, locations.address, index, count)
    const { lineStart, lineFunction, lineNumber } = this
    const from = locations.lineStart
    let to = 0
    for (let row = 0; row < count; row++) {
      const end = from[index[row]! + 1]!
      for (let line = from[index[row]!]!; line < end; line++, to++) {
        lineFunction[to] = rows[locations.lineFunction[line]!]! - base
        lineNumber.lo[to] = locations.lineNumber.lo[line]!
        lineNumber.hi[to] = locations.lineNumber.hi[line]!
      }
      lineStart[row + 1] = to
    }
  }

  #grow(capacity: number): void {
    this.address = allocateInt64Column(capacity)
    this.folded = new Uint8Array(capacity)
    this.lineStart = new Uint32Array(capacity + 1)
  }

  #growLines(capacity: number): void {
    this.lineFunction = new Uint32Array(capacity)
    this.lineNumber = allocateInt64Column(capacity)
  }
}
