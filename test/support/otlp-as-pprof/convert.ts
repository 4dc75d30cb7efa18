/**
 * Profiles of an OTLP request as pprof, one per profile and service, with the labels of its series.
 *
 * 1. Service: the attribute `service.name` of a sample, else of the resource, else `unknown_service`, with the executable's
 *    name behind a colon if there is one. Samples of several services make as many profiles.
 * 2. Labels: attributes of the resource, then of the scope (the first of a key counts), `__otel__`, `__name__`.
 * 3. Type: counted CPU samples with a period become CPU time, `off_cpu` without a period is a type of its own; everything
 *    else is named for its period type, or where there is none for the sample type by the rule of pprof uploads.
 * 4. A sample's value is the sum of its values; without any it is the number of its timestamps; a sample with neither is
 *    refused, because nothing can be recovered from it.
 * 5. Attributes of a sample become labels of the sample; a link its span and trace.
 *
 * A profile that cannot be converted is refused alone, with its reason. Must not: allocate for a sample, or make more
 * than `bytesMax` of a small request that names one large dictionary again and again.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { LABEL_NAME, LABEL_SERVICE_NAME, type LabelPair } from '#core/labels/labels.ts'
import { SERVICE_NAME_FALLBACK } from '#core/pprof/service-name.ts'
import { MS_PER_SECOND, NANOS_PER_MS } from '#core/units.ts'
import { ProtobufReader, ProtobufWriter, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'
import { parseSampleTypeConfig, profileName } from '#core/ingest/profile-name.ts'
import { type Attribute, dictionaryText, readKeyValue } from '#core/ingest/otlp/attributes.ts'
import { hexOf } from '#core/ingest/otlp/hex.ts'
import {
  type ByteRange,
  check,
  EntryRanges,
  type OtlpRequest,
  type OtlpResource,
  type OtlpScope,
} from '#core/ingest/otlp/request.ts'
import { readIndex } from '#core/ingest/otlp/dictionary-columns.ts'
import { PprofTables } from './pprof-tables.ts'
import { detectSampleLayout, type SampleLayout } from '#core/ingest/otlp/sample-layout.ts'
import { SampleWriter } from './sample-writer.ts'

const ATTRIBUTE_SERVICE_NAME = 'service.name'
const ATTRIBUTE_EXECUTABLE = 'process.executable.name'
/** What a profile without a duration is taken to cover: the interval of the OpenTelemetry agents is 5 to 10 s. */
const DURATION_DEFAULT_NANOS = BigInt(10 * MS_PER_SECOND) * NANOS_PER_MS
const PROFILE_ID_BYTES = 16

export interface ConvertedProfile {
  readonly labels: readonly LabelPair[]
  /** Uncompressed pprof. */
  readonly bytes: Uint8Array
  /** The profile's own id as a UUID; empty if it has none. */
  readonly id: string
}

export interface OtlpConversion {
  readonly layout: SampleLayout['name']
  readonly profiles: readonly ConvertedProfile[]
  /** Of the request: how many profiles were refused, and why, each reason once. */
  readonly refusedCount: number
  readonly refusals: readonly string[]
}

export interface ConvertOptions {
  /** All pprofs together. */
  readonly bytesMax: number
  /** Undefined: told by the bytes. */
  readonly layout?: SampleLayout
}

/** Different reasons that are told; the rest is counted. */
const REFUSALS_MAX = 8

/** Fails with `invalid_argument` if the request as a whole cannot be taken. */
export function convertOtlp(request: OtlpRequest, options: ConvertOptions): OtlpConversion {
  const layout = options.layout ?? detectSampleLayout(request)
  const converter = new Converter(request, layout, options.bytesMax)
  const refusals = new Set<string>()
  let refusedCount = 0
  for (const resource of request.resources) {
    for (const scope of resource.scopes) {
      const labels = converter.labelsOf(resource, scope)
      for (const range of scope.profiles) {
        try {
          converter.convert(range, labels)
        } catch (error) {
          if (!(error instanceof CinderError) || error.reason === 'otlp_bytes_limit') throw error
          refusedCount++
          if (refusals.size < REFUSALS_MAX) refusals.add(error.message)
        }
      }
    }
  }
  return { layout: layout.name, profiles: converter.profiles, refusedCount, refusals: [...refusals] }
}

interface ScopeLabels {
  readonly service: string
  readonly attributes: readonly LabelPair[]
}

interface ValueType {
  readonly type: string
  readonly unit: string
}

/** A profile's own fields. */
interface ProfileHead {
  readonly type: ValueType
  readonly periodType: ValueType
  readonly period: bigint
  readonly timeNanos: bigint
  readonly durationNanos: bigint
  readonly id: string
  readonly samples: EntryRanges
}

/** What is stored of a profile's type. */
interface Meaning {
  readonly name: string
  readonly type: ValueType
  /** What a value is multiplied with. */
  readonly factor: bigint
}

class Converter {
  readonly profiles: ConvertedProfile[] = []
  readonly #request: OtlpRequest
  readonly #bytesMax: number
  readonly #tables: PprofTables
  readonly #samples: SampleWriter
  readonly #out = new ProtobufWriter(64 * 1024)
  readonly #message = new ProtobufWriter(16)
  #bytes = 0

  constructor(request: OtlpRequest, layout: SampleLayout, bytesMax: number) {
    this.#request = request
    this.#bytesMax = bytesMax
    this.#tables = new PprofTables(request)
    this.#samples = new SampleWriter(request, layout, this.#tables)
  }

  labelsOf(resource: OtlpResource, scope: OtlpScope): ScopeLabels {
    const table = { raw: this.#request.raw, strings: this.#request.dictionary.strings }
    const own = resource.attributes.map((range) => readKeyValue(table, range))
    const attributes = new Map<string, string>()
    for (const { key, value } of [...own, ...scope.attributes.map((range) => readKeyValue(table, range))]) {
      if (key !== '' && value !== undefined && !attributes.has(key)) attributes.set(key, value)
    }
    return {
      service: serviceOf(own),
      attributes: [...attributes].map(([name, value]) => ({ name, value })),
    }
  }

  convert(range: ByteRange, labels: ScopeLabels): void {
    const head = this.#readHead(range)
    const meaning = meaningOf(head)
    const made: ConvertedProfile[] = []
    for (const { service, samples } of this.#samples.groupByService(head.samples, ATTRIBUTE_SERVICE_NAME)) {
      const bytes = this.#write(head, meaning, samples)
      made.push({ labels: seriesLabels(labels, meaning.name, service), bytes, id: head.id })
    }
    this.profiles.push(...made)
  }

  #readHead(range: ByteRange): ProfileHead {
    const reader = new ProtobufReader(this.#request.raw, range.start, range.end)
    const head = { period: 0n, timeNanos: 0n, durationNanos: 0n, id: '' }
    let type: ValueType = { type: '', unit: '' }
    let periodType: ValueType = { type: '', unit: '' }
    const samples = new EntryRanges()
    while (reader.next()) {
      const { field, wireType } = reader
      if (field === 1 && wireType === WIRE_LENGTH) type = this.#readType(reader.message())
      else if (field === 2 && wireType === WIRE_LENGTH) {
        const start = reader.payload()
        samples.push(start, reader.position)
      } else if (field === 3 && wireType === WIRE_FIXED64) head.timeNanos = reader.fixed64() ? reader.int64() : 0n
      else if (field === 4 && wireType === WIRE_VARINT) head.durationNanos = reader.varint() ? reader.int64() : 0n
      else if (field === 5 && wireType === WIRE_LENGTH) periodType = this.#readType(reader.message())
      else if (field === 6 && wireType === WIRE_VARINT) head.period = reader.varint() ? reader.int64() : 0n
      else if (field === 7 && wireType === WIRE_LENGTH) head.id = uuidOf(reader.bytes())
      else reader.skip()
    }
    check(reader, 'a profile')
    return { ...head, type, periodType, samples, durationNanos: head.durationNanos || DURATION_DEFAULT_NANOS }
  }

  #readType(reader: ProtobufReader): ValueType {
    const table = { raw: this.#request.raw, strings: this.#request.dictionary.strings }
    const read = { type: '', unit: '' }
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_VARINT) read.type = dictionaryText(table, readIndex(reader))
      else if (reader.field === 2 && reader.wireType === WIRE_VARINT)
        read.unit = dictionaryText(table, readIndex(reader))
      else reader.skip()
    }
    check(reader, 'a type')
    return read
  }

  #write(head: ProfileHead, meaning: Meaning, samples: EntryRanges): Uint8Array {
    const tables = this.#tables
    const out = this.#out
    tables.begin()
    out.clear()
    this.#writeType(1, meaning.type)
    this.#samples.begin(meaning.factor)
    const { start, end, count } = samples
    for (let i = 0; i < count; i++) {
      this.#samples.write(start.array[i]!, end.array[i]!, out)
      if (this.#bytes + out.length + tables.sizeBytes > this.#bytesMax) throw this.#tooMuch()
    }
    if (head.periodType.type !== '') this.#writeType(11, head.periodType)
    out.varintField(9, head.timeNanos)
    out.varintField(10, head.durationNanos)
    out.varintField(12, head.period)
    tables.writeTo(out)
    this.#bytes += out.length
    if (this.#bytes > this.#bytesMax) throw this.#tooMuch()
    return out.copyBytes()
  }

  #writeType(field: number, { type, unit }: ValueType): void {
    const message = this.#message
    message.clear()
    message.varintField(1, this.#tables.text(type))
    message.varintField(2, this.#tables.text(unit))
    this.#out.messageField(field, message)
  }

  #tooMuch(): CinderError {
    return invalidArgument(
      `the profiles of the request take more than the allowed ${this.#bytesMax} bytes as pprof: send fewer in a request`,
      'otlp_bytes_limit',
    )
  }
}

function serviceOf(attributes: readonly Attribute[]): string {
  const valueOf = (wanted: string) => attributes.find(({ key, value }) => key === wanted && value)?.value
  const executable = valueOf(ATTRIBUTE_EXECUTABLE)
  const fallback = executable === undefined ? SERVICE_NAME_FALLBACK : `${SERVICE_NAME_FALLBACK}:${executable}`
  return valueOf(ATTRIBUTE_SERVICE_NAME) ?? fallback
}

const OWN_LABELS: ReadonlySet<string> = new Set([LABEL_NAME, LABEL_SERVICE_NAME, '__otel__', '__delta__'])

function seriesLabels(labels: ScopeLabels, name: string, service: string | undefined): LabelPair[] {
  return [
    { name: LABEL_NAME, value: name },
    { name: LABEL_SERVICE_NAME, value: service ?? labels.service },
    { name: '__otel__', value: 'true' },
    { name: '__delta__', value: 'false' },
    ...labels.attributes.filter((label) => !OWN_LABELS.has(label.name)),
  ]
}

const NO_CONFIG = parseSampleTypeConfig(new Uint8Array(0))

function meaningOf({ type, periodType, period }: ProfileHead): Meaning {
  const is = (of: ValueType, wanted: string) => `${of.type}:${of.unit}` === wanted
  if (is(type, 'samples:count') && is(periodType, 'cpu:nanoseconds') && period !== 0n) {
    return { name: 'process_cpu', type: periodType, factor: period }
  }
  if (is(type, 'off_cpu:nanoseconds') && periodType.type === '') return { name: 'off_cpu', type, factor: 1n }
  if (periodType.type !== '') return { name: periodType.type, type, factor: 1n }
  if (type.type === '') {
    throw invalidArgument('a profile has neither a sample type nor a period type', 'otlp_sample_type')
  }
  const config = NO_CONFIG.ok ? NO_CONFIG.config : new Map()
  return { name: profileName([type.type], config), type, factor: 1n }
}

function uuidOf(bytes: Uint8Array): string {
  if (bytes.length !== PROFILE_ID_BYTES || bytes.every((byte) => byte === 0)) return ''
  const hex = hexOf(bytes)
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => hex.slice(from, to))
    .join('-')
}
