/**
 * Samples of a pprof as columns: location ids, values and labels of sample i lie in ranges that follow those of sample
 * i - 1. This is the hot loop of ingest: varints are read inline, room is made once per sample (a sample of n bytes
 * holds fewer than n of anything), nothing is allocated or thrown per sample.
 */
import { allocateInt64Column } from '../wire/int64.ts'
import { FAULT_POSITION, type Cursor } from './cursor.ts'
import { grown, grownInt64, stringIndex } from './decode-tables.ts'
import type { WideIds } from './id-table.ts'

const SAMPLE_FIELDS = 0b1110
const LABEL_FIELDS = 0b11110

export class SampleColumns {
  count = 0
  locationCount = 0
  valueCount = 0
  labelCount = 0
  labelsMax = 0
  depthMax = 0
  locationStart = new Uint32Array(1025)
  location = new Uint32Array(16384)
  /** Values of sample i: [valueStart[i], valueStart[i + 1]). */
  valueStart = new Uint32Array(1025)
  value = allocateInt64Column(4096)
  labelStart = new Uint32Array(1025)
  labelKey = new Uint32Array(256)
  labelString = new Uint32Array(256)
  labelNumber = allocateInt64Column(256)
  labelUnit = new Uint32Array(256)

  begin(): void {
    this.count = 0
    this.locationCount = 0
    this.valueCount = 0
    this.labelCount = 0
    this.labelsMax = 0
    this.depthMax = 0
    this.locationStart[0] = 0
    this.valueStart[0] = 0
    this.labelStart[0] = 0
  }

  /** Reads the sample at [start, end); returns the position after it, `end` unless it is broken. */
  read(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const raw = cursor.raw
    const row = this.count
    this.#reserve(row, end - start)
    let p = start
    while (p < end) {
      const tag = raw[p]!
      if (tag === 0x0a || tag === 0x12) {
        let length = raw[p + 1]!
        p += 2
        if (length > 0x7f) {
          p = cursor.length(p - 1, end)
          length = cursor.lo
        }
        if (length > end - p) p = cursor.fail(`packed field at byte ${p} passes the end of its sample`)
        else if (tag === 0x0a) p = this.#readLocations(cursor, wide, p, p + length)
        else p = this.#readValues(cursor, p, p + length)
      } else if (tag === 0x08) {
        p = cursor.varint(p + 1)
        this.location[this.locationCount++] = wide.idOf(cursor.lo, cursor.hi)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        this.value.lo[this.valueCount] = cursor.lo
        this.value.hi[this.valueCount++] = cursor.hi
      } else if (tag === 0x1a) {
        p = cursor.length(p + 1, end)
        if (p !== FAULT_POSITION) p = this.#readLabel(cursor, p, p + cursor.lo)
      } else p = cursor.skip(p, end, SAMPLE_FIELDS)
    }
    this.#finishRow(row)
    return p
  }

  #readLocations(cursor: Cursor, wide: WideIds, start: number, end: number): number {
    const raw = cursor.raw
    const location = this.location
    let count = this.locationCount
    let p = start
    while (p < end) {
      let id = raw[p++]!
      if (id > 0x7f) {
        const second = raw[p++]!
        if (second < 0x80) id = (id & 0x7f) | (second << 7)
        else {
          const third = raw[p++]!
          if (third < 0x80) id = (id & 0x7f) | ((second & 0x7f) << 7) | (third << 14)
          else {
            p = cursor.varint(p - 3)
            id = wide.idOf(cursor.lo, cursor.hi)
          }
        }
      }
      location[count++] = id
    }
    this.locationCount = count
    return p === end ? p : cursor.fail(`truncated location id before byte ${end}`)
  }

  #readValues(cursor: Cursor, start: number, end: number): number {
    const raw = cursor.raw
    const { lo, hi } = this.value
    let count = this.valueCount
    let p = start
    while (p < end) {
      const value = raw[p]!
      if (value < 0x80) {
        p++
        lo[count] = value
        hi[count++] = 0
      } else {
        p = cursor.varint(p)
        lo[count] = cursor.lo
        hi[count++] = cursor.hi
      }
    }
    this.valueCount = count
    return p === end ? p : cursor.fail(`truncated value before byte ${end}`)
  }

  #readLabel(cursor: Cursor, start: number, end: number): number {
    const raw = cursor.raw
    const row = this.labelCount
    if (row === this.labelKey.length) this.#growLabels()
    let key = 0
    let text = 0
    let unit = 0
    let p = start
    this.labelNumber.lo[row] = 0
    this.labelNumber.hi[row] = 0
    while (p < end) {
      const tag = raw[p]!
      if (tag === 0x08) {
        p = cursor.varint(p + 1)
        key = stringIndex(cursor)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        text = stringIndex(cursor)
      } else if (tag === 0x18) {
        p = cursor.varint(p + 1)
        this.labelNumber.lo[row] = cursor.lo
        this.labelNumber.hi[row] = cursor.hi
      } else if (tag === 0x20) {
        p = cursor.varint(p + 1)
        unit = stringIndex(cursor)
      } else p = cursor.skip(p, end, LABEL_FIELDS)
    }
    this.labelKey[row] = key
    this.labelString[row] = text
    this.labelUnit[row] = unit
    this.labelCount = row + 1
    return p === end ? p : cursor.fail(`truncated label at byte ${start}`)
  }

  #finishRow(row: number): void {
    this.count = row + 1
    this.locationStart[row + 1] = this.locationCount
    this.valueStart[row + 1] = this.valueCount
    this.labelStart[row + 1] = this.labelCount
    const depth = this.locationCount - this.locationStart[row]!
    if (depth > this.depthMax) this.depthMax = depth
    const labels = this.labelCount - this.labelStart[row]!
    if (labels > this.labelsMax) this.labelsMax = labels
  }

  #reserve(row: number, sizeBytes: number): void {
    if (row + 1 === this.locationStart.length) {
      this.locationStart = grown(this.locationStart, row * 2 + 1)
      this.valueStart = grown(this.valueStart, row * 2 + 1)
      this.labelStart = grown(this.labelStart, row * 2 + 1)
    }
    const locations = this.locationCount + sizeBytes
    if (locations > this.location.length) this.location = grown(this.location, powerOfTwo(locations))
    const values = this.valueCount + sizeBytes
    if (values > this.value.lo.length) this.value = grownInt64(this.value, powerOfTwo(values))
  }

  #growLabels(): void {
    const capacity = this.labelKey.length * 2
    this.labelKey = grown(this.labelKey, capacity)
    this.labelString = grown(this.labelString, capacity)
    this.labelUnit = grown(this.labelUnit, capacity)
    this.labelNumber = grownInt64(this.labelNumber, capacity)
  }
}

/** Smallest power of two that is not below `needed`. */
function powerOfTwo(needed: number): number {
  return 2 ** Math.ceil(Math.log2(needed))
}
