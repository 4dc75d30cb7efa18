/**
 * A plain model of a profile, and its pprof encoding: for exports, the command line, fixtures and tests.
 *
 * 1. samples are written as they come, while strings, functions, locations and mappings are numbered in order of first
 *    use, equal ones once;
 * 2. the tables follow in the order in which Go's runtime writes them; int64 is exact.
 *
 * Must not: be used on the write path, where nothing is encoded again; or merge equal samples (who builds the model does).
 */
import { ProtobufWriter } from '../wire/protobuf.ts'

export interface ValueTypeModel {
  readonly type: string
  readonly unit: string
}

export interface MappingModel {
  readonly start?: bigint
  readonly limit?: bigint
  readonly offset?: bigint
  readonly filename?: string
  readonly buildId?: string
  readonly hasFunctions?: boolean
  readonly hasFilenames?: boolean
  readonly hasLineNumbers?: boolean
  readonly hasInlineFrames?: boolean
}

export interface LineModel {
  readonly name: string
  readonly systemName?: string
  readonly filename?: string
  readonly startLine?: bigint
  readonly line?: bigint
}

export interface LocationModel {
  readonly mapping?: MappingModel
  readonly address?: bigint
  readonly folded?: boolean
  /** Innermost (inlined) first. */
  readonly lines: readonly LineModel[]
}

/** A string label if `value` is there, else a numeric one. */
export interface SampleLabelModel {
  readonly key: string
  readonly value?: string
  readonly number?: bigint
  readonly unit?: string
}

export interface SampleModel {
  /** Leaf first. */
  readonly stack: readonly LocationModel[]
  readonly values: readonly bigint[]
  readonly labels?: readonly SampleLabelModel[]
}

export interface ProfileModel {
  readonly types: readonly ValueTypeModel[]
  readonly samples: readonly SampleModel[]
  readonly periodType?: ValueTypeModel
  readonly period?: bigint
  readonly timeNanos?: bigint
  readonly durationNanos?: bigint
  readonly defaultSampleType?: string
  readonly dropFrames?: string
  readonly keepFrames?: string
  readonly comments?: readonly string[]
}

export function encodePprof(profile: ProfileModel): Uint8Array {
  return new PprofEncoder().encode(profile)
}

class PprofEncoder {
  readonly #out = new ProtobufWriter(4096)
  readonly #message = new ProtobufWriter()
  readonly #nested = new ProtobufWriter()
  readonly #strings = new Map<string, number>([['', 0]])
  /** Encoded without their id, which is the number of first use: equal content, equal key. */
  readonly #functions = new Map<string, number>()
  readonly #mappings = new Map<string, number>()
  readonly #locations = new Map<string, number>()
  /** Ids of models that were seen, so that a shared object is looked at once. */
  readonly #locationIds = new Map<LocationModel, number>()
  readonly #functionModels: LineModel[] = []
  readonly #mappingModels: MappingModel[] = []
  readonly #locationModels: LocationModel[] = []

  encode(profile: ProfileModel): Uint8Array {
    for (const type of profile.types) this.#valueType(1, type)
    for (const sample of profile.samples) this.#sample(sample)
    // Locations name mappings and functions, so those tables are complete only after them.
    const locations = new ProtobufWriter(4096)
    for (let i = 0; i < this.#locationModels.length; i++) this.#location(locations, i)
    for (let i = 0; i < this.#mappingModels.length; i++) this.#mapping(i)
    this.#out.rawBytes(locations.copyBytes())
    for (let i = 0; i < this.#functionModels.length; i++) this.#function(i)
    this.#tail(profile)
    return this.#out.copyBytes()
  }

  #tail(profile: ProfileModel): void {
    const out = this.#out
    out.varintField(7, this.#string(profile.dropFrames))
    out.varintField(8, this.#string(profile.keepFrames))
    out.varintField(9, profile.timeNanos ?? 0n)
    out.varintField(10, profile.durationNanos ?? 0n)
    if (profile.periodType !== undefined) this.#valueType(11, profile.periodType)
    out.varintField(12, profile.period ?? 0n)
    if (profile.comments !== undefined && profile.comments.length > 0) {
      this.#message.clear()
      for (const comment of profile.comments) this.#message.varint(this.#string(comment))
      out.messageField(13, this.#message)
    }
    out.varintField(14, this.#string(profile.defaultSampleType))
    for (const text of this.#strings.keys()) out.stringField(6, text)
  }

  #valueType(field: number, type: ValueTypeModel): void {
    const message = this.#message
    message.clear()
    message.varintField(1, this.#string(type.type))
    message.varintField(2, this.#string(type.unit))
    this.#out.messageField(field, message)
  }

  #sample(sample: SampleModel): void {
    const message = this.#message
    const nested = this.#nested
    message.clear()
    nested.clear()
    for (const location of sample.stack) nested.varint(this.#locationId(location))
    if (nested.length > 0) message.messageField(1, nested)
    nested.clear()
    for (const value of sample.values) nested.varintBigInt(value)
    if (nested.length > 0) message.messageField(2, nested)
    for (const label of sample.labels ?? []) {
      nested.clear()
      nested.varintField(1, this.#string(label.key))
      nested.varintField(2, this.#string(label.value))
      nested.varintField(3, label.number ?? 0n)
      nested.varintField(4, this.#string(label.unit))
      message.messageField(3, nested)
    }
    this.#out.messageField(2, message)
  }

  #mapping(index: number): void {
    const mapping = this.#mappingModels[index]!
    const message = this.#message
    message.clear()
    message.varintField(1, index + 1)
    message.varintField(2, mapping.start ?? 0n)
    message.varintField(3, mapping.limit ?? 0n)
    message.varintField(4, mapping.offset ?? 0n)
    message.varintField(5, this.#string(mapping.filename))
    message.varintField(6, this.#string(mapping.buildId))
    message.varintField(7, mapping.hasFunctions === true ? 1 : 0)
    message.varintField(8, mapping.hasFilenames === true ? 1 : 0)
    message.varintField(9, mapping.hasLineNumbers === true ? 1 : 0)
    message.varintField(10, mapping.hasInlineFrames === true ? 1 : 0)
    this.#out.messageField(3, message)
  }

  #location(out: ProtobufWriter, index: number): void {
    const location = this.#locationModels[index]!
    const message = this.#message
    message.clear()
    message.varintField(1, index + 1)
    message.varintField(2, location.mapping === undefined ? 0 : this.#mappingId(location.mapping))
    message.varintField(3, location.address ?? 0n)
    for (const line of location.lines) {
      this.#nested.clear()
      this.#nested.varintField(1, this.#functionId(line))
      this.#nested.varintField(2, line.line ?? 0n)
      message.messageField(4, this.#nested)
    }
    message.varintField(5, location.folded === true ? 1 : 0)
    out.messageField(4, message)
  }

  #function(index: number): void {
    const fn = this.#functionModels[index]!
    const message = this.#message
    message.clear()
    message.varintField(1, index + 1)
    message.varintField(2, this.#string(fn.name))
    message.varintField(3, this.#string(fn.systemName))
    message.varintField(4, this.#string(fn.filename))
    message.varintField(5, fn.startLine ?? 0n)
    this.#out.messageField(5, message)
  }

  #string(text: string | undefined): number {
    if (text === undefined) return 0
    let index = this.#strings.get(text)
    if (index === undefined) {
      index = this.#strings.size
      this.#strings.set(text, index)
    }
    return index
  }

  #locationId(location: LocationModel): number {
    const known = this.#locationIds.get(location)
    if (known !== undefined) return known
    const mapping = location.mapping === undefined ? 0 : this.#mappingId(location.mapping)
    const lines = location.lines.map((line) => `${this.#functionId(line)}:${line.line ?? 0n}`)
    const key = `${mapping} ${location.address ?? 0n} ${location.folded === true} ${lines.join(' ')}`
    const id = numberOf(this.#locations, key, this.#locationModels, location)
    this.#locationIds.set(location, id)
    return id
  }

  #functionId(line: LineModel): number {
    const key = JSON.stringify([line.name, line.systemName ?? '', line.filename ?? '', String(line.startLine ?? 0n)])
    return numberOf(this.#functions, key, this.#functionModels, line)
  }

  #mappingId(mapping: MappingModel): number {
    const { start = 0n, limit = 0n, offset = 0n, filename = '', buildId = '' } = mapping
    const flags = [mapping.hasFunctions, mapping.hasFilenames, mapping.hasLineNumbers, mapping.hasInlineFrames]
    const key = JSON.stringify([
      String(start),
      String(limit),
      String(offset),
      filename,
      buildId,
      flags.map((f) => f === true),
    ])
    return numberOf(this.#mappings, key, this.#mappingModels, mapping)
  }
}

/** Id from 1 of a key; a new one is remembered with its model. */
function numberOf<T>(ids: Map<string, number>, key: string, models: T[], model: T): number {
  const known = ids.get(key)
  if (known !== undefined) return known
  models.push(model)
  ids.set(key, models.length)
  return models.length
}
