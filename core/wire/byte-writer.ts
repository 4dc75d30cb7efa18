/**
 * Appends little-endian numbers, varints, strings and columns to a buffer that grows by doubling.
 * `copy` owns its bytes; `view` borrows until the next write.
 */
import { assert } from '../assert.ts'
import type { Int64Column } from './int64.ts'
import { GrowingUint8 } from './growing.ts'
import {
  VARINT32_BYTES_MAX,
  VARINT64_BYTES_MAX,
  deltas32,
  deltas64,
  encodeVarints32,
  encodeVarints64,
  writeVarint32,
  writeVarint64,
} from './varint.ts'

const ENCODER = new TextEncoder()

export class ByteWriter {
  readonly #buffer: GrowingUint8

  constructor(capacityBytes = 256) {
    this.#buffer = new GrowingUint8(capacityBytes)
  }

  get length(): number {
    return this.#buffer.count
  }

  u8(value: number): void {
    this.#buffer.push(value)
  }

  u16(value: number): void {
    this.u8(value & 0xff)
    this.u8(value >>> 8)
  }

  u32(value: number): void {
    this.u16(value & 0xffff)
    this.u16(value >>> 16)
  }

  varint(value: number): void {
    assert(value === value >>> 0, `varint takes a uint32, not ${value}`)
    this.#buffer.reserve(VARINT32_BYTES_MAX)
    this.#buffer.count = writeVarint32(this.#buffer.array, this.#buffer.count, value)
  }

  varint64(lo: number, hi: number): void {
    this.#buffer.reserve(VARINT64_BYTES_MAX)
    this.#buffer.count = writeVarint64(this.#buffer.array, this.#buffer.count, lo, hi)
  }

  /** A non-negative integer up to 2^53 - 1. */
  safeInteger(value: number): void {
    assert(Number.isSafeInteger(value), `expected a safe integer, not ${value}`)
    assert(value >= 0, `expected a non-negative integer, not ${value}`)
    this.varint64(value >>> 0, Math.floor(value / 4294967296))
  }

  /** An integer in (-2^52, 2^52), as milliseconds are. */
  signedInteger(value: number): void {
    assert(Number.isInteger(value), `expected an integer, not ${value}`)
    assert(Math.abs(value) < 2 ** 52, `expected |value| < 2^52, not ${value}`)
    this.safeInteger(value < 0 ? -2 * value - 1 : 2 * value)
  }

  bigint64(value: bigint): void {
    this.varint64(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
  }

  bytes(bytes: Uint8Array): void {
    this.#buffer.append(bytes, 0, bytes.length)
  }

  /** Length in bytes, then UTF-8. */
  string(text: string): void {
    const bytes = ENCODER.encode(text)
    this.varint(bytes.length)
    this.bytes(bytes)
  }

  column32(column: Uint32Array, count: number): void {
    this.#buffer.reserve(count * VARINT32_BYTES_MAX)
    const target = { out: this.#buffer.array, at: this.#buffer.count }
    this.#buffer.count = encodeVarints32(column, 0, count, target)
  }

  /** Zigzag differences to the row before. */
  deltaColumn32(column: Uint32Array, count: number): void {
    this.column32(deltas32(column, count), count)
  }

  column64(column: Int64Column, count: number): void {
    this.#buffer.reserve(count * VARINT64_BYTES_MAX)
    const target = { out: this.#buffer.array, at: this.#buffer.count }
    this.#buffer.count = encodeVarints64(column, 0, count, target)
  }

  deltaColumn64(column: Int64Column, count: number): void {
    this.column64(deltas64(column, count), count)
  }

  view(): Uint8Array {
    return this.#buffer.array.subarray(0, this.#buffer.count)
  }

  copy(): Uint8Array {
    return this.#buffer.copy()
  }
}
