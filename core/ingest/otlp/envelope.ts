/**
 * The envelope of an OTLP request: which series its profiles belong to. Profiles stay bytes, which the writer decodes with
 * the dictionary that all of them share (decode.ts).
 *
 * 1. Service: the attribute `service.name` of a sample, else of the resource, else `unknown_service`, with the executable's
 *    name behind a colon if there is one. Samples of several services make as many profiles.
 * 2. Labels: attributes of the resource, then of the scope (the first of a key counts), `__otel__`, `__name__` (by the
 *    profile's types, profile-head.ts).
 * 3. The layout of samples is told by all samples of the request together (sample-layout.ts).
 *
 * A profile whose own fields are wrong is refused alone, with its reason. Must not: decode a sample, but where samples
 * may name a service.
 */
import { CinderError, invalidArgument } from '../../errors.ts'
import { LABEL_NAME, LABEL_SERVICE_NAME, type LabelPair } from '../../labels/labels.ts'
import { PROFILE_BYTES_MAX } from '../../pprof/decode.ts'
import { SERVICE_NAME_FALLBACK } from '../../pprof/service-name.ts'
import { isValidUtf8 } from '../../pprof/utf8.ts'
import { ProtobufReader, WIRE_LENGTH } from '../../wire/protobuf.ts'
import {
  type Attribute,
  checkIndex,
  dictionaryText,
  KnownTexts,
  readKeyValue,
  readTableAttribute,
  type StringTable,
} from './attributes.ts'
import { OTLP_BYTES_LIMIT, OtlpDecoder } from './decode.ts'
import { PlainAttribute } from './plain-attribute.ts'
import { meaningOf, readProfileHead, type TextOf } from './profile-head.ts'
import type { ByteRange, OtlpRequest, OtlpResource, OtlpScope } from './request.ts'
import { RequestTables } from './request-tables.ts'
import { detectSampleLayout, type SampleLayout } from './sample-layout.ts'
import { SampleReader } from './sample-reader.ts'

const ATTRIBUTE_SERVICE_NAME = 'service.name'
const ATTRIBUTE_EXECUTABLE = 'process.executable.name'
const FIELD_SAMPLE = 2
/** Of a profile that is looked at as a whole nothing is kept: 1 byte each way of a pprof is 4 here, and workers have 128 MB. */
const KEEP_NOTHING = { maxProfileSizeBytes: 1, maxSamples: 0, maxSymbolBytes: 0 }

export interface EnvelopedProfile {
  /** Of the profile in its request. */
  readonly position: number
  readonly labels: readonly LabelPair[]
  /** A profile's message, with the samples of one service. */
  readonly bytes: Uint8Array
  /** The profile's own id as a UUID; empty if it has none. */
  readonly id: string
}

export interface RefusedProfile {
  readonly position: number
  readonly error: CinderError
}

export interface OtlpEnvelope {
  readonly layout: SampleLayout
  /** Of all profiles; bytes of the request if it has one. */
  readonly dictionary: Uint8Array
  readonly profiles: readonly EnvelopedProfile[]
  readonly refused: readonly RefusedProfile[]
}

export interface OpenOptions {
  /**
   * All copies of profiles that are split by service, likewise what these are as pprof, and likewise the labels of all
   * profiles: those of a resource are told once, and each profile carries them on.
   */
  readonly bytesMax: number
  /** Undefined: told by the bytes. */
  readonly layout?: SampleLayout
}

/** Fails with `invalid_argument` if the request as a whole cannot be taken. */
export function openOtlp(request: OtlpRequest, options: OpenOptions): OtlpEnvelope {
  const layout = options.layout ?? detectSampleLayout(request)
  const opener = new Opener(request, layout, options.bytesMax)
  const refused: RefusedProfile[] = []
  let position = 0
  for (const resource of request.resources) {
    for (const scope of resource.scopes) {
      if (scope.profiles.length === 0) continue
      const labels = opener.labelsOf(resource, scope)
      for (const range of scope.profiles) {
        try {
          opener.open(position, range, labels)
        } catch (error) {
          if (!(error instanceof CinderError) || error.reason === OTLP_BYTES_LIMIT) throw error
          refused.push({ position, error })
        }
        position++
      }
    }
  }
  return { layout, dictionary: dictionaryOf(request), profiles: opener.profiles, refused }
}

function dictionaryOf({ raw, dictionaryRanges }: OtlpRequest): Uint8Array {
  const parts = dictionaryRanges.map(({ start, end }) => raw.subarray(start, end))
  return parts.length === 1 ? parts[0]! : join(parts)
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

interface ScopeLabels {
  readonly service: string
  readonly attributes: readonly LabelPair[]
  readonly sizeBytes: number
}

/** Of a label besides its texts, about. */
const LABEL_OVERHEAD_BYTES = 16

class Opener {
  readonly profiles: EnvelopedProfile[] = []
  readonly #request: OtlpRequest
  readonly #strings: StringTable
  readonly #textOf: TextOf
  readonly #reader: ProtobufReader
  readonly #samples: SampleReader
  readonly #plain = new PlainAttribute()
  /** By index of the attribute: the service that it names, '' = none. */
  readonly #services: (string | undefined)[] = []
  readonly #layout: SampleLayout
  readonly #bytesMax: number
  #bytes = 0
  /** As pprof. */
  #wholeBytes = 0
  #labelBytes = 0
  /** Or why it is not known. */
  #namesService: boolean | CinderError | undefined
  #ownOf: OtlpResource | undefined
  #own: readonly Attribute[] = []
  #whole: { readonly decoder: OtlpDecoder; readonly tables: RequestTables } | undefined

  constructor(request: OtlpRequest, layout: SampleLayout, bytesMax: number) {
    this.#request = request
    this.#layout = layout
    this.#bytesMax = bytesMax
    const { raw, dictionary } = request
    const scratch = { reader: new ProtobufReader(raw), known: new KnownTexts() }
    this.#strings = { raw, strings: dictionary.strings, texts: [], scratch }
    this.#textOf = (index) => dictionaryText(this.#strings, index)
    this.#reader = new ProtobufReader(raw)
    this.#samples = new SampleReader(layout)
  }

  labelsOf(resource: OtlpResource, scope: OtlpScope): ScopeLabels {
    if (this.#ownOf !== resource) this.#own = this.#readAll(resource.attributes)
    this.#ownOf = resource
    const own = this.#own
    const all = scope.attributes.length === 0 ? own : [...own, ...this.#readAll(scope.attributes)]
    const attributes = labelsOfAttributes(all)
    const service = serviceOf(own)
    let sizeBytes = service.length
    for (const { name, value } of attributes) sizeBytes += name.length + value.length + LABEL_OVERHEAD_BYTES
    this.#countLabels(sizeBytes)
    return { service, attributes, sizeBytes }
  }

  #readAll(ranges: readonly ByteRange[]): readonly Attribute[] {
    return ranges.map((range) => readKeyValue(this.#strings, range))
  }

  #countLabels(sizeBytes: number): void {
    this.#labelBytes += sizeBytes
    if (this.#bytesMax === 0 || this.#labelBytes <= this.#bytesMax) return
    throw invalidArgument(
      `the labels of all profiles of the request take more than the allowed ${this.#bytesMax} bytes: send fewer in a request`,
      OTLP_BYTES_LIMIT,
    )
  }

  open(position: number, range: ByteRange, labels: ScopeLabels): void {
    const { raw } = this.#request
    this.#reader.begin(raw, range.start, range.end)
    const head = readProfileHead(this.#reader, this.#textOf)
    const { name } = meaningOf(head)
    if (!head.hasSamples) return
    const add = (service: string, bytes: Uint8Array): void => {
      this.#countLabels(labels.sizeBytes + name.length + service.length)
      this.profiles.push({ position, labels: seriesLabels(labels, name, service), bytes, id: head.id })
    }
    if (!this.#mayNameService()) {
      add(labels.service, raw.subarray(range.start, range.end))
      return
    }
    for (const [service, bytes] of this.#splitByService(range)) add(service || labels.service, bytes)
  }

  /** All attributes are looked at once, also where one is wrong. */
  #mayNameService(): boolean {
    if (this.#namesService === undefined) {
      try {
        this.#namesService = this.#hasServiceAttribute()
      } catch (error) {
        if (!(error instanceof CinderError)) throw error
        this.#namesService = error
      }
    }
    if (this.#namesService instanceof CinderError) throw this.#namesService
    return this.#namesService
  }

  #hasServiceAttribute(): boolean {
    const { attributes } = this.#request.dictionary
    for (let i = 0; i < attributes.count; i++) if (this.#isServiceAttribute(i)) return true
    return false
  }

  #isServiceAttribute(index: number): boolean {
    const { raw, dictionary } = this.#request
    const { start, end } = dictionary.attributes
    const plain = this.#plain
    const isPlain =
      plain.read(raw, start.array[index]!, end.array[index]!) &&
      (!plain.isText || isValidUtf8(raw, plain.textStart, plain.textEnd))
    const key = isPlain ? dictionaryText(this.#strings, plain.key) : this.#attributeAt(index).key
    return key === ATTRIBUTE_SERVICE_NAME
  }

  #attributeAt(index: number): Attribute {
    const { attributes } = this.#request.dictionary
    checkIndex(index, attributes.count, 'attribute')
    const range = { start: attributes.start.array[index]!, end: attributes.end.array[index]! }
    return readTableAttribute(this.#strings, range)
  }

  /** In order of first use, '' = that of the resource. Each is the profile with the samples of its service alone. */
  #splitByService(range: ByteRange): Map<string, Uint8Array> {
    const { raw } = this.#request
    const others: Uint8Array[] = []
    const groups = new Map<string, Uint8Array[]>()
    const reader = new ProtobufReader(raw, range.start, range.end)
    for (let at = reader.position; reader.next(); at = reader.position) {
      if (reader.field !== FIELD_SAMPLE || reader.wireType !== WIRE_LENGTH) {
        reader.skip()
        others.push(raw.subarray(at, reader.position))
        continue
      }
      const start = reader.payload()
      this.#samples.read(raw, start, reader.position)
      const service = this.#serviceOfSample()
      const group = groups.get(service)
      if (group === undefined) groups.set(service, [raw.subarray(at, reader.position)])
      else group.push(raw.subarray(at, reader.position))
    }
    if (groups.size === 1) return new Map([[[...groups.keys()][0]!, raw.subarray(range.start, range.end)]])
    this.#checkWhole(raw.subarray(range.start, range.end))
    this.#bytes += range.end - range.start + (groups.size - 1) * others.reduce((sum, { length }) => sum + length, 0)
    if (this.#bytes > this.#bytesMax) {
      throw invalidArgument(
        `profiles with samples of many services take more than the allowed ${this.#bytesMax} bytes: send fewer in a request`,
        OTLP_BYTES_LIMIT,
      )
    }
    return new Map(Array.from(groups, ([service, group]) => [service, join([...others, ...group])]))
  }

  /** A profile is refused as a whole: once it is split, the writer sees its parts alone. */
  #checkWhole(bytes: Uint8Array): void {
    this.#whole ??= { decoder: new OtlpDecoder(), tables: new RequestTables(dictionaryOf(this.#request)) }
    const { decoder, tables } = this.#whole
    const sizeMax = (this.#bytesMax || PROFILE_BYTES_MAX) - this.#wholeBytes
    try {
      decoder.decode({ tables, bytes, layout: this.#layout, limits: KEEP_NOTHING, sizeMax })
    } finally {
      this.#wholeBytes += decoder.countedBytes
    }
  }

  #serviceOfSample(): string {
    for (const index of this.#samples.attributes) {
      const service = (this.#services[index] ??= this.#serviceNamedBy(index))
      if (service !== '') return service
    }
    return ''
  }

  #serviceNamedBy(index: number): string {
    const { key, value } = this.#attributeAt(index)
    return key === ATTRIBUTE_SERVICE_NAME ? (value ?? '') : ''
  }
}

function serviceOf(attributes: readonly Attribute[]): string {
  let executable: string | undefined
  for (const { key, value } of attributes) {
    if (key === ATTRIBUTE_SERVICE_NAME && value) return value
    if (key === ATTRIBUTE_EXECUTABLE && value) executable ??= value
  }
  return executable === undefined ? SERVICE_NAME_FALLBACK : `${SERVICE_NAME_FALLBACK}:${executable}`
}

const OWN_LABELS: ReadonlySet<string> = new Set([LABEL_NAME, LABEL_SERVICE_NAME, '__otel__', '__delta__'])

/** So many names are compared one by one; agents send about ten. */
const COMPARED_MAX = 24

/** The first of a name counts. */
function labelsOfAttributes(attributes: readonly Attribute[]): LabelPair[] {
  const labels: LabelPair[] = []
  const names = attributes.length > COMPARED_MAX ? new Set<string>() : undefined
  for (const { key, value } of attributes) {
    if (key === '' || value === undefined || OWN_LABELS.has(key)) continue
    if (names === undefined ? labels.some(({ name }) => name === key) : names.has(key)) continue
    names?.add(key)
    labels.push({ name: key, value })
  }
  return labels
}

const OTEL_LABEL: LabelPair = { name: '__otel__', value: 'true' }
const DELTA_LABEL: LabelPair = { name: '__delta__', value: 'false' }

function seriesLabels({ attributes }: ScopeLabels, name: string, service: string): LabelPair[] {
  return [
    { name: LABEL_NAME, value: name },
    { name: LABEL_SERVICE_NAME, value: service },
    OTEL_LABEL,
    DELTA_LABEL,
    ...attributes,
  ]
}
