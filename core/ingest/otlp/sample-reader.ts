/**
 * One sample of an OTLP profile at a time, by positions alone: its stack, link, values, timestamps and attributes.
 *
 * Must not: allocate for a sample, or judge an index.
 */
import { invalidArgument } from '../../errors.ts'
import { ProtobufReader, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import { readIndex } from './dictionary-columns.ts'
import { check } from './request.ts'
import type { SampleLayout } from './sample-layout.ts'

const FIXED64_BYTES = 8

export class SampleReader {
  readonly #layout: SampleLayout
  readonly #reader: ProtobufReader
  stack = 0
  link = 0
  valueCount = 0
  timestamps = 0
  /** The sum of the values while it is a safe integer; then it goes on in `bigSum`. */
  sum = 0
  bigSum: bigint | undefined
  /** Indices of attributes in their order. */
  readonly attributes: number[] = []

  constructor(layout: SampleLayout) {
    this.#layout = layout
    this.#reader = new ProtobufReader(new Uint8Array(0))
  }

  /** The sample at raw[start, end). */
  read(raw: Uint8Array, start: number, end: number): void {
    const { values, attributes, link } = this.#layout
    const reader = this.#reader
    reader.begin(raw, start, end)
    this.#clear()
    while (reader.next()) {
      const { field, wireType } = reader
      if (field === 1 && wireType === WIRE_VARINT) this.stack = readIndex(reader)
      else if (field === values && wireType === WIRE_LENGTH) this.#readValues(reader)
      else if (field === values && wireType === WIRE_VARINT) {
        if (reader.varint()) this.#addValue(reader)
      } else if (field === link && wireType === WIRE_VARINT) this.link = readIndex(reader)
      else if (field === attributes && wireType === WIRE_LENGTH) this.#readAttributes(reader)
      else if (field === attributes && wireType === WIRE_VARINT) this.attributes.push(readIndex(reader))
      else if (field === 5 && wireType === WIRE_LENGTH) {
        const at = reader.payload()
        this.timestamps += (reader.position - at) / FIXED64_BYTES
      } else if (field === 5 && wireType === WIRE_FIXED64) {
        if (reader.fixed64()) this.timestamps++
      } else reader.skip()
    }
    check(reader, 'a sample')
    if (!Number.isInteger(this.timestamps)) throw invalidArgument('timestamps of a sample end early', 'malformed_body')
  }

  #clear(): void {
    this.stack = 0
    this.link = 0
    this.valueCount = 0
    this.timestamps = 0
    this.sum = 0
    this.bigSum = undefined
    this.attributes.length = 0
  }

  #readValues(reader: ProtobufReader): void {
    const outer = reader.enter()
    const { raw, end } = reader
    let at = reader.position
    let sum = 0
    // Most are ones, as many as there are times.
    while (at < end && raw[at]! < 0x80) sum += raw[at++]!
    if (this.bigSum !== undefined || this.sum + sum > Number.MAX_SAFE_INTEGER) at = reader.position
    else {
      this.sum += sum
      this.valueCount += at - reader.position
    }
    reader.position = at
    while (reader.position < reader.end && reader.varint()) this.#addValue(reader)
    check(reader, 'a sample')
    reader.leave(outer)
  }

  #readAttributes(reader: ProtobufReader): void {
    const outer = reader.enter()
    const { attributes } = this
    while (reader.position < reader.end && reader.fault === undefined) attributes.push(readIndex(reader))
    check(reader, 'a sample')
    reader.leave(outer)
  }

  #addValue(reader: ProtobufReader): void {
    this.valueCount++
    const { lo, hi } = reader
    if (this.bigSum === undefined && hi < 0x20_0000) {
      const sum = this.sum + hi * 2 ** 32 + lo
      if (sum <= Number.MAX_SAFE_INTEGER) {
        this.sum = sum
        return
      }
    }
    this.bigSum = (this.bigSum ?? BigInt(this.sum)) + reader.int64()
  }
}
