/**
 * Samples of OTLP profiles as samples of a pprof, one after the other, by positions alone: no object and no text is made
 * for a sample, but for the attributes and links that are met for the first time.
 *
 * 1. One pass over the fields of the sample finds its stack, link, values, timestamps and attributes.
 * 2. The stack's locations are numbered by the tables of the profile; the value is the sum of the values times the
 *    factor of the profile, 64 bits wide; labels follow.
 *
 * Must not: change the order of samples, or drop one (zeros and negatives are the writer's to judge).
 */
import { invalidArgument } from '#core/errors.ts'
import { ProtobufReader, ProtobufWriter, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'
import { checkIndex } from '#core/ingest/otlp/attributes.ts'
import { hexOf } from '#core/ingest/otlp/hex.ts'
import { readIndex } from '#core/ingest/otlp/dictionary-columns.ts'
import type { PprofTables } from './pprof-tables.ts'
import { check, EntryRanges, type OtlpRequest } from '#core/ingest/otlp/request.ts'
import type { SampleLayout } from '#core/ingest/otlp/sample-layout.ts'

const FIXED64_BYTES = 8

export interface ServiceSamples {
  /** Undefined: that of the resource. */
  readonly service: string | undefined
  readonly samples: EntryRanges
}

interface LinkLabels {
  readonly spanId: string
  readonly traceId: string
}

export class SampleWriter {
  readonly #request: OtlpRequest
  readonly #layout: SampleLayout
  readonly #tables: PprofTables
  readonly #message = new ProtobufWriter(1024)
  readonly #locations = new ProtobufWriter(1024)
  readonly #label = new ProtobufWriter(32)
  readonly #sampleReader: ProtobufReader
  readonly #listReader: ProtobufReader
  readonly #stackReader: ProtobufReader
  readonly #links: (LinkLabels | undefined)[] = []
  #namesService: boolean | undefined
  #factor = 1n
  #factorNumber = 1

  // Of the sample that is being read.
  #stackIndex = 0
  #linkIndex = 0
  #valueCount = 0
  /** The sum while it is a safe integer; then the sum goes on in `#bigSum`. */
  #sum = 0
  #bigSum: bigint | undefined
  #timestamps = 0
  /** Where the lists of attribute indices lie; packed ones are one. */
  readonly #attributeRanges: number[] = []

  constructor(request: OtlpRequest, layout: SampleLayout, tables: PprofTables) {
    this.#request = request
    this.#layout = layout
    this.#tables = tables
    this.#sampleReader = new ProtobufReader(request.raw)
    this.#listReader = new ProtobufReader(request.raw)
    this.#stackReader = new ProtobufReader(request.raw)
  }

  begin(factor: bigint): void {
    this.#factor = factor
    this.#factorNumber = factor >= 0n && factor <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(factor) : Number.NaN
  }

  /** By the attribute of samples that names a service, in order of first use. One group is the usual case. */
  groupByService(samples: EntryRanges, key: string): readonly ServiceSamples[] {
    // Of nothing no attribute is looked at, so that none is wrong.
    if (samples.count === 0) return []
    this.#namesService ??= this.#hasAttribute(key)
    if (!this.#namesService) return [{ service: undefined, samples }]
    const groups = new Map<string | undefined, EntryRanges>()
    for (let i = 0; i < samples.count; i++) {
      const start = samples.start.array[i]!
      const end = samples.end.array[i]!
      this.#read(start, end)
      const service = this.#attributeValue(key)
      let group = groups.get(service)
      if (group === undefined) groups.set(service, (group = new EntryRanges()))
      group.push(start, end)
    }
    return Array.from(groups, ([service, grouped]) => ({ service, samples: grouped }))
  }

  #hasAttribute(key: string): boolean {
    const { attributes } = this.#request.dictionary
    for (let i = 0; i < attributes.count; i++) if (this.#tables.attribute(i).key === key) return true
    return false
  }

  /** Appends the sample that lies in [start, end) as field 2 of a pprof. */
  write(start: number, end: number, out: ProtobufWriter): void {
    this.#read(start, end)
    if (this.#valueCount === 0) {
      if (this.#timestamps === 0) {
        throw invalidArgument('sample value is required: a sample has neither values nor timestamps', 'otlp_no_value')
      }
      this.#sum = this.#timestamps
    }
    const message = this.#message
    message.clear()
    this.#writeStack(message)
    this.#writeValue(message)
    if (this.#linkIndex !== 0) this.#writeLink(message)
    if (this.#attributeRanges.length > 0) this.#writeAttributes(message)
    out.messageField(2, message)
  }

  #read(start: number, end: number): void {
    const { values, attributes, link } = this.#layout
    const reader = this.#sampleReader
    reader.begin(this.#request.raw, start, end)
    this.#stackIndex = 0
    this.#linkIndex = 0
    this.#valueCount = 0
    this.#sum = 0
    this.#bigSum = undefined
    this.#timestamps = 0
    this.#attributeRanges.length = 0
    while (reader.next()) {
      const { field, wireType, position } = reader
      if (field === 1 && wireType === WIRE_VARINT) this.#stackIndex = readIndex(reader)
      else if (field === values && wireType === WIRE_LENGTH) this.#addValues(reader)
      else if (field === values && wireType === WIRE_VARINT) {
        if (reader.varint()) this.#addValue(reader)
      } else if (field === link && wireType === WIRE_VARINT) this.#linkIndex = readIndex(reader)
      else if (field === attributes && wireType === WIRE_LENGTH) {
        const at = reader.payload()
        this.#attributeRanges.push(at, reader.position)
      } else if (field === attributes && wireType === WIRE_VARINT) {
        if (reader.varint()) this.#attributeRanges.push(position, reader.position)
      } else if (field === 5 && wireType === WIRE_LENGTH) {
        const at = reader.payload()
        this.#timestamps += (reader.position - at) / FIXED64_BYTES
      } else if (field === 5 && wireType === WIRE_FIXED64) {
        if (reader.fixed64()) this.#timestamps++
      } else reader.skip()
    }
    check(reader, 'a sample')
    if (!Number.isInteger(this.#timestamps)) throw invalidArgument('timestamps of a sample end early', 'malformed_body')
  }

  #addValues(reader: ProtobufReader): void {
    const list = this.#listReader
    const at = reader.payload()
    list.begin(reader.raw, at, reader.position)
    while (list.position < list.end && list.varint()) this.#addValue(list)
    check(list, 'a sample')
  }

  #addValue(reader: ProtobufReader): void {
    this.#valueCount++
    const { lo, hi } = reader
    if (this.#bigSum === undefined && hi < 0x20_0000) {
      const sum = this.#sum + hi * 2 ** 32 + lo
      if (sum <= Number.MAX_SAFE_INTEGER) {
        this.#sum = sum
        return
      }
    }
    this.#bigSum = (this.#bigSum ?? BigInt(this.#sum)) + reader.int64()
  }

  #writeStack(message: ProtobufWriter): void {
    const { raw, dictionary } = this.#request
    checkIndex(this.#stackIndex, dictionary.stacks.count, 'stack')
    const from = dictionary.stacks.start.array[this.#stackIndex]!
    const reader = this.#stackReader
    reader.begin(raw, from, dictionary.stacks.end.array[this.#stackIndex]!)
    const locations = this.#locations
    locations.clear()
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_LENGTH) {
        const list = this.#listReader
        const at = reader.payload()
        list.begin(raw, at, reader.position)
        while (list.position < list.end && list.fault === undefined)
          locations.varint(this.#tables.location(readIndex(list)))
        check(list, 'a stack')
      } else if (reader.field === 1 && reader.wireType === WIRE_VARINT) {
        locations.varint(this.#tables.location(readIndex(reader)))
      } else reader.skip()
    }
    check(reader, 'a stack')
    message.messageField(1, locations)
  }

  #writeValue(message: ProtobufWriter): void {
    const value = this.#label
    value.clear()
    const product = this.#sum * this.#factorNumber
    if (this.#bigSum === undefined && product <= Number.MAX_SAFE_INTEGER) value.varint(product)
    else value.varintBigInt((this.#bigSum ?? BigInt(this.#sum)) * this.#factor)
    message.messageField(2, value)
  }

  #writeLink(message: ProtobufWriter): void {
    const { spanId, traceId } = this.#linkAt(this.#linkIndex)
    if (spanId !== '') this.#writeLabel('span_id', spanId, message)
    if (traceId !== '') this.#writeLabel('trace_id', traceId, message)
  }

  /** Hexadecimal; empty where the bytes are no such id. */
  #linkAt(index: number): LinkLabels {
    const { raw, dictionary } = this.#request
    checkIndex(index, dictionary.links.count, 'link')
    const known = this.#links[index]
    if (known !== undefined) return known
    const reader = new ProtobufReader(raw, dictionary.links.start.array[index]!, dictionary.links.end.array[index]!)
    let traceId = ''
    let spanId = ''
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_LENGTH) traceId = idText(reader.bytes(), 16)
      else if (reader.field === 2 && reader.wireType === WIRE_LENGTH) spanId = idText(reader.bytes(), 8)
      else reader.skip()
    }
    check(reader, 'a link')
    const labels = { traceId, spanId }
    this.#links[index] = labels
    return labels
  }

  #writeAttributes(message: ProtobufWriter): void {
    this.#eachAttribute((key, value) => {
      // The service is a label of the series.
      if (key !== '' && key !== 'service.name' && value !== undefined) this.#writeLabel(key, value, message)
      return false
    })
  }

  #attributeValue(wanted: string): string | undefined {
    let found: string | undefined
    this.#eachAttribute((key, value) => {
      if (key !== wanted || !value) return false
      found = value
      return true
    })
    return found
  }

  /** Until `visit` says true. */
  #eachAttribute(visit: (key: string, value: string | undefined) => boolean): void {
    for (let i = 0; i < this.#attributeRanges.length; i += 2) {
      const list = this.#listReader
      list.begin(this.#request.raw, this.#attributeRanges[i]!, this.#attributeRanges[i + 1]!)
      while (list.position < list.end) {
        const index = readIndex(list)
        check(list, 'a sample')
        const { key, value } = this.#tables.attribute(index)
        if (visit(key, value)) return
      }
    }
  }

  #writeLabel(key: string, value: string, message: ProtobufWriter): void {
    const label = this.#label
    label.clear()
    label.varintField(1, this.#tables.text(key))
    label.varintField(2, this.#tables.text(value))
    message.messageField(3, label)
  }
}

function idText(bytes: Uint8Array, sizeBytes: number): string {
  return bytes.length === sizeBytes ? hexOf(bytes) : ''
}
