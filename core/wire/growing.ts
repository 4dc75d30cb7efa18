/**
 * Typed arrays that grow by doubling: append without an allocation a row. `view` borrows, `copy` owns.
 * A growing array never shrinks; its owner is dropped after one flush or merge.
 */
import { CinderError } from '../errors.ts'
import type { Int64Column } from './int64.ts'

/** 2^31 - 8 bytes: the largest typed array that every runtime of ours allocates. */
const BYTES_MAX = 2 ** 31 - 8

function grownCapacity(capacity: number, needed: number, elementBytes: number): number {
  let next = Math.max(16, capacity * 2)
  while (next < needed) next *= 2
  if (next * elementBytes > BYTES_MAX)
    throw new CinderError('resource_exhausted', `column of ${needed} rows passes ${BYTES_MAX} bytes`, {
      reason: 'column_limit',
    })
  return next
}

export class GrowingUint32 {
  array: Uint32Array
  count = 0

  constructor(capacity = 16) {
    this.array = new Uint32Array(capacity)
  }

  push(value: number): void {
    if (this.count === this.array.length) this.reserve(1)
    this.array[this.count++] = value
  }

  /** Makes room for `extra` more rows; writes then go to `array` directly, and `count` is advanced by the caller. */
  reserve(extra: number): void {
    const needed = this.count + extra
    if (needed <= this.array.length) return
    const grown = new Uint32Array(grownCapacity(this.array.length, needed, 4))
    grown.set(this.array.subarray(0, this.count))
    this.array = grown
  }

  copy(): Uint32Array {
    return this.array.slice(0, this.count)
  }
}

export class GrowingUint8 {
  array: Uint8Array
  count = 0

  constructor(capacity = 16) {
    this.array = new Uint8Array(capacity)
  }

  push(value: number): void {
    if (this.count === this.array.length) this.reserve(1)
    this.array[this.count++] = value
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    if (end - start < 64) {
      const array = this.array
      let at = this.count
      for (let i = start; i < end; i++) array[at++] = bytes[i]!
    } else this.array.set(bytes.subarray(start, end), this.count)
    this.count += end - start
  }

  reserve(extra: number): void {
    const needed = this.count + extra
    if (needed <= this.array.length) return
    const grown = new Uint8Array(grownCapacity(this.array.length, needed, 1))
    grown.set(this.array.subarray(0, this.count))
    this.array = grown
  }

  copy(): Uint8Array {
    return this.array.slice(0, this.count)
  }
}

export class GrowingInt64 {
  readonly lo: GrowingUint32
  readonly hi: GrowingUint32

  constructor(capacity = 16) {
    this.lo = new GrowingUint32(capacity)
    this.hi = new GrowingUint32(capacity)
  }

  get count(): number {
    return this.lo.count
  }

  push(lo: number, hi: number): void {
    this.lo.push(lo)
    this.hi.push(hi)
  }

  pushBigInt(value: bigint): void {
    this.push(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
  }

  reserve(extra: number): void {
    this.lo.reserve(extra)
    this.hi.reserve(extra)
  }

  copy(): Int64Column {
    return { lo: this.lo.copy(), hi: this.hi.copy() }
  }
}
