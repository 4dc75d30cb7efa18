/**
 * Samples of one OTLP profile as columns (core/pprof/profile.ts), and what they would take as pprof. Rows of the profile's
 * tables are numbered as their samples come: the stack first, then labels.
 *
 * Must not: drop a sample (zeros and negatives are the pipeline's to judge).
 */
import { GrowingInt64, GrowingUint32 } from '../../wire/growing.ts'
import { fieldBytes, messageBytes, varint64Bytes, varintBytes } from './pprof-size.ts'
import type { ProfileTables } from './profile-tables.ts'
import type { LabelNumbers, RequestTables } from './request-tables.ts'
import type { SampleReader } from './sample-reader.ts'

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER)

export class SampleColumns {
  sizeBytes = 0
  #factor = 1n
  #factorNumber = 1
  count = 0
  depthMax = 0
  labelsMax = 0
  readonly locationStart = new GrowingUint32()
  readonly location = new GrowingUint32()
  readonly value = new GrowingInt64()
  readonly labelStart = new GrowingUint32()
  readonly labelKey = new GrowingUint32()
  readonly labelString = new GrowingUint32()
  #labelZeros = new Uint32Array(16)

  /** Zeros, as many as labels: those of OTLP are texts. */
  get labelNumber(): Uint32Array {
    if (this.#labelZeros.length < this.labelKey.count) this.#labelZeros = new Uint32Array(this.labelKey.array.length)
    return this.#labelZeros
  }

  begin(factor: bigint): void {
    if (factor !== this.#factor) {
      this.#factor = factor
      this.#factorNumber = factor >= 0n && factor <= SAFE_MAX ? Number(factor) : Number.NaN
    }
    this.sizeBytes = 0
    this.clear()
  }

  /** What is counted stays counted. */
  clear(): void {
    this.count = 0
    this.depthMax = 0
    this.labelsMax = 0
    this.locationStart.count = this.location.count = 0
    this.labelStart.count = this.labelKey.count = this.labelString.count = 0
    this.value.lo.count = this.value.hi.count = 0
    this.locationStart.push(0)
    this.labelStart.push(0)
  }

  add(reader: SampleReader, request: RequestTables, tables: ProfileTables): void {
    const labelBytes = this.#sizeOfRest(reader, request, tables)
    this.sizeBytes += messageBytes(labelBytes)
    this.count++
    this.locationStart.push(this.location.count)
    this.labelStart.push(this.labelKey.count)
    const depth = this.location.count - this.locationStart.array[this.count - 1]!
    const labels = this.labelKey.count - this.labelStart.array[this.count - 1]!
    if (depth > this.depthMax) this.depthMax = depth
    if (labels > this.labelsMax) this.labelsMax = labels
  }

  /** Bytes of the message's body. In the order in which pprof would have it, which numbers the rows. */
  #sizeOfRest(reader: SampleReader, request: RequestTables, tables: ProfileTables): number {
    let bytes = messageBytes(this.#addStack(reader.stack, request, tables))
    bytes += messageBytes(this.#addValue(reader))
    if (reader.link !== 0) for (const label of request.link(reader.link)) bytes += this.#addLabel(label, tables)
    const { attributes } = reader
    for (let i = 0; i < attributes.length; i++) {
      const label = request.attribute(attributes[i]!)
      if (label !== undefined) bytes += this.#addLabel(label, tables)
    }
    return bytes
  }

  #addStack(stack: number, request: RequestTables, tables: ProfileTables): number {
    const start = request.stackStart(stack)
    const end = request.stackEnd(stack)
    const locations = request.stackLocations
    const { rows: used, base } = request.usedLocations
    this.location.reserve(end - start)
    const rows = this.location.array
    let at = this.location.count
    let bytes = 0
    for (let i = start; i < end; i++) {
      const index = locations[i]!
      // Past the end it is undefined, and no number.
      let row = used[index]! - base
      if (!(row >= 0)) row = tables.location(index)
      rows[at++] = row
      bytes += row < 127 ? 1 : varintBytes(row + 1)
    }
    this.location.count = at
    return bytes
  }

  #addValue({ valueCount, timestamps, sum: values, bigSum }: SampleReader): number {
    const sum = valueCount === 0 ? timestamps : values
    const product = sum * this.#factorNumber
    if (bigSum === undefined && product <= Number.MAX_SAFE_INTEGER) {
      this.value.push(product % 2 ** 32, Math.floor(product / 2 ** 32))
    } else this.value.pushBigInt(BigInt.asUintN(64, (bigSum ?? BigInt(sum)) * this.#factor))
    const row = this.value.count - 1
    return varint64Bytes(this.value.lo.array[row]!, this.value.hi.array[row]!)
  }

  #addLabel({ key, value }: LabelNumbers, tables: ProfileTables): number {
    const keyRow = tables.string(key)
    const valueRow = tables.string(value)
    this.labelKey.push(keyRow)
    this.labelString.push(valueRow)
    return messageBytes(fieldBytes(keyRow) + fieldBytes(valueRow))
  }
}
