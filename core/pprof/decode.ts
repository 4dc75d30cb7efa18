/**
 * pprof bytes to columns (`DecodedProfile`), in one pass over the message and one over its references:
 *
 * 1. read top-level fields in any order; samples, locations, functions and mappings append to pooled columns, strings
 *    are remembered as byte ranges;
 * 2. check the string table: string 0 is empty, every index is in range, every string is UTF-8; cut long strings;
 * 3. turn ids into rows.
 *
 * What cannot be read is a `ProfileFault`, never a throw and never a silent zero. Rules about what a readable profile
 * must be like are in validate.ts.
 *
 * The returned profile borrows the decoder's columns and the given bytes: it is valid until the next `decode`.
 */
import type { TenantLimits } from '../limits/limits.ts'
import { MIB } from '../units.ts'
import { allocateInt64Column, getBigInt } from '../wire/int64.ts'
import { Cursor } from './cursor.ts'
import { SampleColumns } from './decode-samples.ts'
import { BAD_STRING, FunctionColumns, grown, LocationColumns, MappingColumns, stringIndex } from './decode-tables.ts'
import { WideIds } from './id-table.ts'
import type { DecodedProfile, ProfileFault } from './profile.ts'
import { checkStrings, shortenStrings } from './string-table.ts'

/** The body limit: a larger profile is refused whatever the tenant's limit says, so columns have a bound. */
export const PROFILE_BYTES_MAX = 256 * MIB

/** Real profiles have 1 to 8 sample types; each one is an object here and a column in a block. */
export const SAMPLE_TYPES_MAX = 256

/** Comments are metadata for people; the rest are checked and forgotten. */
const COMMENTS_MAX = 1_024

/** Columns grown by a giant are dropped before the next profile, or one push would hold its memory for ever. */
const POOLED_BYTES_MAX = 16 * MIB

export type DecodeLimits = Pick<TenantLimits, 'maxProfileSizeBytes' | 'maxSamples' | 'maxSymbolBytes'>

export interface DecodeRepairs {
  /** Old .NET agents leave every function id 0 and number locations as functions: take the ids from there. */
  readonly functionIdsFromLocations?: boolean
}

export type DecodeResult =
  | { readonly ok: true; readonly profile: DecodedProfile }
  | { readonly ok: false; readonly fault: ProfileFault }

interface ValueType {
  type: number
  unit: number
}

/** Top-level scalars, as bits and by number: drop and keep frames, time, duration, period, default sample type. */
const SCALAR_FIELDS = 0b101011110000000
const DROP_FRAMES = 7
const KEEP_FRAMES = 8
const TIME_NANOS = 9
const DURATION_NANOS = 10
const PERIOD = 12
const DEFAULT_SAMPLE_TYPE = 14

/** Mappings, locations, functions, strings. */
const TABLE_FIELDS = 0b1111000
/** Encoders that write table by table have one or two; those that write what a sample needs before it have hundreds. */
const TABLE_RUNS_MAX = 4
const PROFILE_FIELDS = 0b111111111111110
const VALUE_TYPE_FIELDS = 0b110

export class ProfileDecoder {
  readonly #cursor = new Cursor()
  #wide = new WideIds()
  #samples = new SampleColumns()
  #functions = new FunctionColumns()
  #mappings = new MappingColumns()
  #locations = new LocationColumns()
  #stringCount = 0
  #stringStart = new Uint32Array(1024)
  #stringLength = new Uint32Array(1024)
  #sampleTypes: ValueType[] = []
  #periodType: ValueType | undefined
  #comments: number[] = []
  #commentMax = 0
  /** By field number. */
  readonly #scalars = allocateInt64Column(15)
  #samplesMax = 0
  #samplesSeen = 0
  #largestBytes = 0
  /** Starts and ends. */
  #tableRuns: number[] = []

  decode(raw: Uint8Array, limits: DecodeLimits, repairs: DecodeRepairs = {}): DecodeResult {
    const sizeMax = Math.min(limits.maxProfileSizeBytes || PROFILE_BYTES_MAX, PROFILE_BYTES_MAX)
    if (raw.length > sizeMax) return sizeFault(raw.length, sizeMax)
    if (raw.length === 0) return malformed('the profile has no bytes')
    this.#begin(raw, limits)
    const end = this.#readProfile(raw)
    if (end !== raw.length) return notPprof(this.#cursor.fault ?? `truncated message at byte ${raw.length}`)
    if (this.#samplesMax > 0 && this.#samplesSeen > this.#samplesMax)
      return samplesFault(this.#samplesSeen, this.#samplesMax)
    if (repairs.functionIdsFromLocations === true) {
      this.#repairFunctionIds()
      this.#tableRuns = []
    }
    this.#resolveIds()
    const profile = this.#view(raw)
    const stringFault = checkStrings(profile, this.#commentMax)
    if (stringFault !== undefined) return malformed(stringFault)
    const isCut = limits.maxSymbolBytes > 0 && shortenStrings(profile, limits.maxSymbolBytes)
    return { ok: true, profile: isCut ? { ...profile, tableRuns: [] } : profile }
  }

  #begin(raw: Uint8Array, limits: DecodeLimits): void {
    if (this.#largestBytes > POOLED_BYTES_MAX) this.#dropColumns()
    this.#largestBytes = Math.max(this.#largestBytes, raw.length)
    this.#cursor.begin(raw)
    this.#wide.clear()
    this.#samples.begin()
    this.#functions.begin()
    this.#mappings.begin()
    this.#locations.begin()
    this.#stringCount = 0
    this.#sampleTypes = []
    this.#periodType = undefined
    this.#comments = []
    this.#commentMax = 0
    this.#scalars.lo.fill(0)
    this.#scalars.hi.fill(0)
    this.#samplesMax = limits.maxSamples
    this.#samplesSeen = 0
  }

  #dropColumns(): void {
    this.#wide = new WideIds()
    this.#samples = new SampleColumns()
    this.#functions = new FunctionColumns()
    this.#mappings = new MappingColumns()
    this.#locations = new LocationColumns()
    this.#stringStart = new Uint32Array(1024)
    this.#stringLength = new Uint32Array(1024)
    this.#largestBytes = 0
  }

  #readProfile(raw: Uint8Array): number {
    const cursor = this.#cursor
    const end = raw.length
    let p = 0
    const runs: number[] = []
    let runStart = 0
    let runEnd = -1
    while (p < end) {
      const tag = raw[p]!
      const fieldStart = p
      if ((tag & 0x87) !== 2) {
        p = this.#readScalar(p, end)
        continue
      }
      let length = raw[p + 1]!
      p += 2
      if (length > 0x7f) {
        p = cursor.length(p - 1, end)
        length = cursor.lo
      }
      // Not `>`: a length past the last byte is undefined.
      if (!(length <= end - p)) return cursor.fail(`field at byte ${p} passes the end of the profile`)
      const next = p + length
      if (tag === 0x32) this.#addString(p, length)
      else if (this.#readMessage(tag >>> 3, p, next) !== next) return cursor.fail(`truncated message at byte ${p}`)
      p = next
      if ((TABLE_FIELDS & (1 << (tag >>> 3))) === 0) continue
      if (fieldStart !== runEnd) {
        if (runEnd > 0 && runs.length <= 2 * TABLE_RUNS_MAX) runs.push(runStart, runEnd)
        runStart = fieldStart
      }
      runEnd = next
    }
    if (runEnd > 0) runs.push(runStart, runEnd)
    this.#tableRuns = runs.length > 2 * TABLE_RUNS_MAX ? [] : runs
    return p
  }

  /** Returns `end`, or something else if the message at [start, end) is broken. */
  #readMessage(field: number, start: number, end: number): number {
    const cursor = this.#cursor
    switch (field) {
      case 1:
        if (this.#sampleTypes.length === SAMPLE_TYPES_MAX)
          return cursor.fail(`more than ${SAMPLE_TYPES_MAX} sample types`)
        this.#sampleTypes.push({ type: 0, unit: 0 })
        return this.#readValueType(this.#sampleTypes.at(-1)!, start, end)
      case 2:
        // Past the limit samples are only counted: the message names the real number.
        if (this.#samplesMax > 0 && ++this.#samplesSeen > this.#samplesMax) return end
        return this.#samples.read(cursor, this.#wide, start, end)
      case 3:
        return this.#mappings.read(cursor, this.#wide, start, end)
      case 4:
        return this.#locations.read(cursor, this.#wide, start, end)
      case 5:
        return this.#functions.read(cursor, this.#wide, start, end)
      case 11:
        this.#periodType = { type: 0, unit: 0 }
        return this.#readValueType(this.#periodType, start, end)
      case 13:
        return this.#readComments(start, end)
      case 0:
        return cursor.fail(`field number out of range at byte ${start}`)
      default:
        // 7 to 10, 12 and 14 are scalars; 15 is unknown.
        return field < 15 ? cursor.fail(`wire type 2 of field ${field} before byte ${start}`) : end
    }
  }

  #readScalar(start: number, end: number): number {
    const cursor = this.#cursor
    const tag = cursor.raw[start]!
    if (tag === 0x68) {
      const p = cursor.varint(start + 1)
      this.#addComment(stringIndex(cursor))
      return p
    }
    const isScalar = (tag & 0x87) === 0 && ((SCALAR_FIELDS >>> (tag >>> 3)) & 1) === 1
    if (!isScalar) return cursor.skip(start, end, PROFILE_FIELDS)
    const p = cursor.varint(start + 1)
    this.#scalars.lo[tag >>> 3] = cursor.lo
    this.#scalars.hi[tag >>> 3] = cursor.hi
    return p
  }

  #readValueType(into: ValueType, start: number, end: number): number {
    const cursor = this.#cursor
    let p = start
    while (p < end) {
      const tag = cursor.raw[p]!
      if (tag === 0x08) {
        p = cursor.varint(p + 1)
        into.type = stringIndex(cursor)
      } else if (tag === 0x10) {
        p = cursor.varint(p + 1)
        into.unit = stringIndex(cursor)
      } else p = cursor.skip(p, end, VALUE_TYPE_FIELDS)
    }
    return p
  }

  #readComments(start: number, end: number): number {
    let p = start
    while (p < end) {
      p = this.#cursor.varint(p)
      this.#addComment(stringIndex(this.#cursor))
    }
    return p
  }

  #addComment(index: number): void {
    if (index > this.#commentMax) this.#commentMax = index
    if (this.#comments.length < COMMENTS_MAX) this.#comments.push(index)
  }

  #addString(start: number, length: number): void {
    const index = this.#stringCount++
    if (index === this.#stringStart.length) {
      this.#stringStart = grown(this.#stringStart, index * 2)
      this.#stringLength = grown(this.#stringLength, index * 2)
    }
    this.#stringStart[index] = start
    this.#stringLength[index] = length
  }

  #repairFunctionIds(): void {
    const functions = this.#functions
    const locations = this.#locations
    if (functions.zeroIds !== functions.count || functions.count !== locations.count) return
    functions.zeroIds = 0
    for (let i = 0; i < functions.count; i++) {
      functions.id[i] = locations.id[i]!
      if (functions.id[i] === 0) functions.zeroIds++
    }
  }

  #resolveIds(): void {
    const functions = this.#functions
    const mappings = this.#mappings
    const locations = this.#locations
    const samples = this.#samples
    const wideCount = this.#wide.count
    functions.rows.build(functions.id, functions.count, wideCount)
    functions.rows.resolve(locations.lineFunction, locations.lineCount)
    mappings.rows.build(mappings.id, mappings.count, wideCount)
    mappings.rows.resolve(locations.mapping, locations.count)
    locations.rows.build(locations.id, locations.count, wideCount)
    locations.rows.resolve(samples.location, samples.locationCount)
  }

  #view(raw: Uint8Array): DecodedProfile {
    return {
      raw,
      tableRuns: this.#tableRuns,
      stringCount: this.#stringCount,
      stringStart: this.#stringStart,
      stringLength: this.#stringLength,
      sampleTypes: this.#sampleTypes,
      periodType: this.#periodType,
      period: getBigInt(this.#scalars, PERIOD),
      timeNanos: getBigInt(this.#scalars, TIME_NANOS),
      durationNanos: getBigInt(this.#scalars, DURATION_NANOS),
      defaultSampleType: this.#stringScalar(DEFAULT_SAMPLE_TYPE),
      dropFrames: this.#stringScalar(DROP_FRAMES),
      keepFrames: this.#stringScalar(KEEP_FRAMES),
      comments: this.#comments,
      ...viewFunctions(this.#functions),
      ...viewMappings(this.#mappings),
      ...viewLocations(this.#locations),
      zeroFunctionIds: this.#functions.zeroIds,
      ...viewSamples(this.#samples, this.#sampleTypes.length),
    }
  }

  #stringScalar(field: number): number {
    return this.#scalars.hi[field] === 0 ? this.#scalars.lo[field]! : BAD_STRING
  }
}

function viewFunctions(functions: FunctionColumns) {
  return {
    functionCount: functions.count,
    functionName: functions.name,
    functionSystemName: functions.systemName,
    functionFilename: functions.filename,
    functionStartLine: functions.startLine,
  }
}

function viewMappings(mappings: MappingColumns) {
  return {
    mappingCount: mappings.count,
    mappingStart: mappings.start,
    mappingLimit: mappings.limit,
    mappingOffset: mappings.offset,
    mappingFilename: mappings.filename,
    mappingBuildId: mappings.buildId,
    mappingFlags: mappings.flags,
  }
}

function viewLocations(locations: LocationColumns) {
  return {
    locationCount: locations.count,
    locationMapping: locations.mapping,
    locationAddress: locations.address,
    locationFolded: locations.folded,
    locationLineStart: locations.lineStart,
    lineFunction: locations.lineFunction,
    lineNumber: locations.lineNumber,
  }
}

function viewSamples(samples: SampleColumns, typeCount: number) {
  let valueCountMismatches = 0
  for (let i = 0; i < samples.count; i++) {
    if (samples.valueStart[i + 1]! - samples.valueStart[i]! !== typeCount) valueCountMismatches++
  }
  return {
    sampleCount: samples.count,
    sampleLocationStart: samples.locationStart,
    sampleLocation: samples.location,
    sampleValue: samples.value,
    valueCountMismatches,
    sampleLabelStart: samples.labelStart,
    labelKey: samples.labelKey,
    labelString: samples.labelString,
    labelNumber: samples.labelNumber,
    labelUnit: samples.labelUnit,
    sampleLabelsMax: samples.labelsMax,
    sampleDepthMax: samples.depthMax,
  }
}

function malformed(message: string): DecodeResult {
  return { ok: false, fault: { reason: 'malformed_profile', message } }
}

/** An agent's operator may have never heard of wire types. */
function notPprof(why: string): DecodeResult {
  return malformed(`the bytes are no pprof profile: ${why}`)
}

function sizeFault(actual: number, allowed: number): DecodeResult {
  const message = `uncompressed profile exceeds the size limit (maxProfileSizeBytes, actual: ${actual}, limit: ${allowed})`
  return { ok: false, fault: { reason: 'profile_size_limit', message } }
}

function samplesFault(actual: number, allowed: number): DecodeResult {
  const message = `the profile exceeds the samples count limit (maxSamples, actual: ${actual}, limit: ${allowed})`
  return { ok: false, fault: { reason: 'samples_limit', message } }
}
