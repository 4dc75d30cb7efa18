/**
 * One OTLP profile to columns (core/pprof/profile.ts), with the dictionary that it shares with the others of its request.
 *
 * 1. Its own fields say what is measured, in what unit, and what a value is multiplied with (profile-head.ts).
 * 2. Sample by sample: the locations of its stack, in rows of the profile's own tables (profile-tables.ts); a value, the
 *    sum of its values, or without any the number of its timestamps; span, trace and attributes as labels.
 * 3. The tables are finished, and limits are held against what all this would take as pprof: size, samples, symbols.
 *
 * The columns are those that decoding that pprof would give, row by row, and so are the faults; test/support/otlp-as-pprof
 * makes that pprof. A profile that refers to what is not there is refused with `invalid_argument`.
 * The returned profile borrows columns of the decoder and bytes of the request: it is valid until the next `decode`.
 * Must not: allocate for a sample, or hold more columns than the limits allow, however small the request.
 */
import { invalidArgument } from '../../errors.ts'
import { type DecodeLimits, PROFILE_BYTES_MAX } from '../../pprof/decode.ts'
import type { DecodedProfile, ProfileFault } from '../../pprof/profile.ts'
import { checkStrings, shortenStrings } from '../../pprof/string-table.ts'
import { MIB } from '../../units.ts'
import { ProtobufReader } from '../../wire/protobuf.ts'
import { Words, writeContent } from './content-words.ts'
import { field64Bytes, fieldBytes, messageBytes } from './pprof-size.ts'
import { meaningOf, type ProfileHead, readProfileHead } from './profile-head.ts'
import { ProfileTables } from './profile-tables.ts'
import { EntryRanges } from './request.ts'
import type { RequestTables } from './request-tables.ts'
import type { SampleLayout } from './sample-layout.ts'
import { SampleColumns } from './sample-columns.ts'
import { SampleReader } from './sample-reader.ts'

/** Columns grown by a giant are dropped before the next profile, or one push would hold its memory for ever. */
const POOLED_BYTES_MAX = 16 * MIB

export interface OtlpProfileInput {
  readonly tables: RequestTables
  /** The profile's message. */
  readonly bytes: Uint8Array
  readonly layout: SampleLayout
  readonly limits: DecodeLimits
  /** As pprof, whatever the limits say: what the request may still become. Past it nothing is counted any more. */
  readonly sizeMax: number
}

export type OtlpDecodeResult = {
  /** As pprof, uncompressed. */
  readonly sizeBytes: number
} & ({ readonly ok: true; readonly profile: DecodedProfile } | { readonly ok: false; readonly fault: ProfileFault })

export class OtlpDecoder {
  #tables = new ProfileTables()
  #samples = new SampleColumns()
  readonly #headReader = new ProtobufReader(new Uint8Array(0))
  #reader: SampleReader | undefined
  #layout: SampleLayout | undefined
  #profile: DecodedProfile | undefined
  /** Where the samples lie. */
  #ranges = new EntryRanges()
  #words = new Words()
  #largestBytes = 0

  /** What the last profile was as pprof, as far as it was read: also of one that could not be understood. */
  get countedBytes(): number {
    return this.#tables.sizeBytes + this.#samples.sizeBytes
  }

  /** Fails with `invalid_argument` for a profile that cannot be understood. */
  decode(input: OtlpProfileInput): OtlpDecodeResult {
    const { tables: request, bytes, limits } = input
    if (this.#largestBytes > POOLED_BYTES_MAX) this.#dropColumns()
    this.#tables.sizeBytes = this.#samples.sizeBytes = 0
    if (input.sizeMax <= 0) throw tooMuch()
    this.#ranges.clear()
    this.#headReader.begin(bytes, 0, bytes.length)
    const head = readProfileHead(this.#headReader, request.textOf, this.#ranges)
    const meaning = meaningOf(head)
    this.#tables.begin(request)
    const sampleType = this.#typeRows(meaning.type)
    this.#readSamples(input, meaning.timesPeriod ? head.period : 1n)
    const periodType = head.periodType.type === '' ? undefined : this.#typeRows(head.periodType)
    this.#tables.finish()
    const sizeBytes = this.#tables.sizeBytes + this.#samples.sizeBytes + scalarBytes(head)
    if (sizeBytes > input.sizeMax) throw tooMuch()
    this.#largestBytes = Math.max(this.#largestBytes, sizeBytes)
    const limit = sizeLimitOf(limits)
    if (sizeBytes > limit) return { ok: false, sizeBytes, fault: sizeFault(sizeBytes, limit) }
    const { count } = this.#ranges
    if (limits.maxSamples > 0 && count > limits.maxSamples)
      return { ok: false, sizeBytes, fault: samplesFault(count, limits.maxSamples) }
    const profile = viewProfile(request, { head, sampleType, periodType, tables: this.#tables, samples: this.#samples })
    this.#profile = profile
    const fault = this.#tables.hasBadString ? checkStrings(profile, 0) : undefined
    if (fault !== undefined) return { ok: false, sizeBytes, fault: { reason: 'malformed_profile', message: fault } }
    if (limits.maxSymbolBytes > 0) shortenStrings(profile, limits.maxSymbolBytes)
    return { ok: true, sizeBytes, profile }
  }

  /** What the profile says that was decoded last: equal bytes are equal profiles, whatever the dictionary of their request. */
  content({ strings }: RequestTables): Uint8Array {
    writeContent(this.#profile!, { numbers: this.#tables.strings, strings }, this.#words)
    return this.#words.bytes()
  }

  #dropColumns(): void {
    this.#tables = new ProfileTables()
    this.#samples = new SampleColumns()
    this.#words = new Words()
    this.#ranges = new EntryRanges()
    this.#largestBytes = 0
  }

  #typeRows({ type, unit }: { readonly type: string; readonly unit: string }) {
    const rows = { type: this.#tables.text(type), unit: this.#tables.text(unit) }
    this.#tables.sizeBytes += messageBytes(fieldBytes(rows.type) + fieldBytes(rows.unit))
    return rows
  }

  #readSamples({ tables: request, bytes, layout, limits, sizeMax }: OtlpProfileInput, factor: bigint): void {
    if (this.#reader === undefined || this.#layout !== layout) this.#reader = new SampleReader(layout)
    this.#layout = layout
    const reader = this.#reader
    const samples = this.#samples
    const { start, end, count } = this.#ranges
    // What is over a limit is counted for the message, and not kept.
    const keptMax = Math.min(sizeMax, sizeLimitOf(limits))
    samples.begin(factor)
    for (let i = 0; i < count; i++) {
      reader.read(bytes, start.array[i]!, end.array[i]!)
      if (reader.valueCount === 0 && reader.timestamps === 0) {
        throw invalidArgument('sample value is required: a sample has neither values nor timestamps', 'otlp_no_value')
      }
      samples.add(reader, request, this.#tables)
      const sizeBytes = samples.sizeBytes + this.#tables.sizeBytes
      if (sizeBytes > sizeMax) throw tooMuch()
      if (sizeBytes > keptMax) samples.clear()
    }
  }
}

interface TypeRows {
  readonly type: number
  readonly unit: number
}

interface Decoded {
  readonly head: ProfileHead
  readonly sampleType: TypeRows
  readonly periodType: TypeRows | undefined
  readonly tables: ProfileTables
  readonly samples: SampleColumns
}

function viewProfile(
  request: RequestTables,
  { head, sampleType, periodType, tables, samples }: Decoded,
): DecodedProfile {
  const { strings, functions, mappings, locations } = tables
  const zeros = samples.labelNumber
  return {
    raw: request.strings.raw,
    tableRuns: NONE,
    stringCount: strings.count,
    stringStart: strings.start,
    stringLength: strings.length,
    sampleTypes: [sampleType],
    periodType,
    period: head.period,
    timeNanos: head.timeNanos,
    durationNanos: head.durationNanos,
    defaultSampleType: 0,
    dropFrames: 0,
    keepFrames: 0,
    comments: NONE,
    functionCount: functions.count,
    functionName: functions.name,
    functionSystemName: functions.systemName,
    functionFilename: functions.filename,
    functionStartLine: functions.startLine,
    mappingCount: mappings.count,
    mappingStart: mappings.start,
    mappingLimit: mappings.limit,
    mappingOffset: mappings.offset,
    mappingFilename: mappings.filename,
    mappingBuildId: mappings.buildId,
    mappingFlags: mappings.flags,
    locationCount: locations.count,
    locationMapping: locations.mapping,
    locationAddress: locations.address,
    locationFolded: locations.folded,
    locationLineStart: locations.lineStart,
    lineFunction: locations.lineFunction,
    lineNumber: locations.lineNumber,
    zeroFunctionIds: 0,
    sampleCount: samples.count,
    sampleLocationStart: samples.locationStart.array,
    sampleLocation: samples.location.array,
    sampleValue: { lo: samples.value.lo.array, hi: samples.value.hi.array },
    valueCountMismatches: 0,
    sampleLabelStart: samples.labelStart.array,
    labelKey: samples.labelKey.array,
    labelString: samples.labelString.array,
    labelNumber: { lo: zeros, hi: zeros },
    labelUnit: zeros,
    sampleLabelsMax: samples.labelsMax,
    sampleDepthMax: samples.depthMax,
  }
}

const NONE: readonly number[] = []

function scalarBytes(head: ProfileHead): number {
  const { timeLo, timeHi, durationLo, durationHi, periodLo, periodHi } = head
  return field64Bytes(timeLo, timeHi) + field64Bytes(durationLo, durationHi) + field64Bytes(periodLo, periodHi)
}

function sizeLimitOf({ maxProfileSizeBytes }: DecodeLimits): number {
  return Math.min(maxProfileSizeBytes || PROFILE_BYTES_MAX, PROFILE_BYTES_MAX)
}

function sizeFault(actual: number, allowed: number): ProfileFault {
  const message = `uncompressed profile exceeds the size limit (maxProfileSizeBytes, actual: ${actual}, limit: ${allowed})`
  return { reason: 'profile_size_limit', message }
}

function samplesFault(actual: number, allowed: number): ProfileFault {
  const message = `the profile exceeds the samples count limit (maxSamples, actual: ${actual}, limit: ${allowed})`
  return { reason: 'samples_limit', message }
}

/** Reason of what is refused because the request would become too much. */
export const OTLP_BYTES_LIMIT = 'otlp_bytes_limit'

function tooMuch() {
  return invalidArgument(
    'the profiles of the request take more bytes as pprof than a request may have: send fewer in a request',
    OTLP_BYTES_LIMIT,
  )
}
