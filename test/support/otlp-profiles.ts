/**
 * Profiles of an OTLP request as plain values, by the decoder and by the model that makes a pprof of each
 * (otlp-as-pprof/convert.ts), so that a test can hold one against the other.
 */
import assert from 'node:assert/strict'
import { CinderError } from '#core/errors.ts'
import { OtlpDecoder } from '#core/ingest/otlp/decode.ts'
import { openOtlp } from '#core/ingest/otlp/envelope.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { RequestTables } from '#core/ingest/otlp/request-tables.ts'
import type { SampleLayout } from '#core/ingest/otlp/sample-layout.ts'
import type { LabelPair } from '#core/labels/labels.ts'
import { type DecodeLimits, ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import type { Int64Column } from '#core/wire/int64.ts'
import { convertOtlp } from './otlp-as-pprof/convert.ts'

export const NO_LIMITS: DecodeLimits = { maxProfileSizeBytes: 0, maxSamples: 0, maxSymbolBytes: 0 }
const BYTES_MAX = 1024 * 1024 * 1024

export interface ReadProfile {
  readonly labels: readonly LabelPair[]
  readonly id: string
  readonly sizeBytes: number
  /** Every column, row by row, or the fault. */
  readonly read: unknown
}

export interface ReadRequest {
  readonly profiles: readonly ReadProfile[]
  readonly refusedCount: number
  readonly refusals: readonly string[]
}

/** By the product's decoder. */
export function decodeOtlp(bytes: Uint8Array, limits = NO_LIMITS, layout?: SampleLayout): ReadRequest {
  const envelope = openOtlp(readOtlpRequest(bytes), { bytesMax: BYTES_MAX, ...(layout && { layout }) })
  const tables = new RequestTables(envelope.dictionary)
  const decoder = new OtlpDecoder()
  const profiles: (ReadProfile & { position: number })[] = []
  const refused = envelope.refused.map(({ position, error }) => ({ position, message: error.message }))
  for (const { position, labels, bytes: profile, id } of envelope.profiles) {
    try {
      const result = decoder.decode({ tables, bytes: profile, layout: envelope.layout, limits, sizeMax: BYTES_MAX })
      const { sizeBytes } = result
      profiles.push({ position, labels, id, sizeBytes, read: result.ok ? columnsOf(result.profile) : result.fault })
    } catch (error) {
      if (!(error instanceof CinderError)) throw error
      refused.push({ position, message: error.message })
    }
  }
  refused.sort((a, b) => a.position - b.position)
  return {
    profiles: profiles.map(({ labels, id, sizeBytes, read }) => ({ labels, id, sizeBytes, read })),
    refusedCount: new Set(refused.map(({ position }) => position)).size,
    refusals: [...new Set(refused.map(({ message }) => message))].slice(0, 8),
  }
}

/** By the model: converted to pprof, which is decoded. */
export function convertAndDecode(bytes: Uint8Array, limits = NO_LIMITS): ReadRequest {
  const { profiles, refusedCount, refusals } = convertOtlp(readOtlpRequest(bytes), { bytesMax: BYTES_MAX })
  const decoder = new ProfileDecoder()
  return {
    profiles: profiles.map(({ labels, bytes: pprof, id }) => {
      const result = decoder.decode(pprof, limits)
      const read = result.ok ? columnsOf(result.profile) : result.fault
      return { labels, id, sizeBytes: pprof.length, read }
    }),
    refusedCount,
    refusals,
  }
}

/** What is in the columns, without what lies behind their ends or where strings lie. */
export function columnsOf(profile: DecodedProfile) {
  const cut = (column: Uint32Array | Uint8Array, count: number): number[] => [...column.subarray(0, count)]
  const wide = ({ lo, hi }: Int64Column, count: number) => [cut(lo, count), cut(hi, count)]
  const { functionCount, mappingCount, locationCount, sampleCount } = profile
  const lineCount = profile.locationLineStart[locationCount]!
  const placeCount = profile.sampleLocationStart[sampleCount]!
  const labelCount = profile.sampleLabelStart[sampleCount]!
  return {
    strings: Array.from({ length: profile.stringCount }, (_, i) => stringAt(profile, i)),
    types: [profile.sampleTypes, profile.periodType],
    scalars: [profile.period, profile.timeNanos, profile.durationNanos, profile.defaultSampleType],
    others: [profile.dropFrames, profile.keepFrames, profile.comments, profile.zeroFunctionIds],
    functions: [profile.functionName, profile.functionSystemName, profile.functionFilename].map((column) =>
      cut(column, functionCount),
    ),
    startLines: wide(profile.functionStartLine, functionCount),
    mappings: [profile.mappingFilename, profile.mappingBuildId, profile.mappingFlags].map((column) =>
      cut(column, mappingCount),
    ),
    ranges: [profile.mappingStart, profile.mappingLimit, profile.mappingOffset].map((column) =>
      wide(column, mappingCount),
    ),
    locations: [cut(profile.locationMapping, locationCount), cut(profile.locationFolded, locationCount)],
    addresses: wide(profile.locationAddress, locationCount),
    lineStarts: cut(profile.locationLineStart, locationCount + 1),
    lines: [cut(profile.lineFunction, lineCount), ...wide(profile.lineNumber, lineCount)],
    sampleStarts: cut(profile.sampleLocationStart, sampleCount + 1),
    places: cut(profile.sampleLocation, placeCount),
    values: wide(profile.sampleValue, sampleCount),
    mismatches: profile.valueCountMismatches,
    labelStarts: cut(profile.sampleLabelStart, sampleCount + 1),
    labels: [profile.labelKey, profile.labelString, profile.labelUnit].map((column) => cut(column, labelCount)),
    labelNumbers: wide(profile.labelNumber, labelCount),
    most: [profile.sampleLabelsMax, profile.sampleDepthMax],
  }
}

/** The tables, the first profile and its layout of a request of one. */
export function openFirst(bytes: Uint8Array) {
  const envelope = openOtlp(readOtlpRequest(bytes), { bytesMax: BYTES_MAX })
  const [first] = envelope.profiles
  assert.ok(first !== undefined, 'a profile')
  return { tables: new RequestTables(envelope.dictionary), bytes: first.bytes, layout: envelope.layout }
}
