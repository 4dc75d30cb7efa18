/**
 * A profile's own fields, and what they mean: counted CPU samples with a period become CPU time, `off_cpu` without a
 * period is a type of its own; everything else is named for its period type, or where there is none for the sample type
 * by the rule of pprof uploads.
 *
 * Must not: look into a sample.
 */
import { invalidArgument } from '../../errors.ts'
import { MS_PER_SECOND, NANOS_PER_MS } from '../../units.ts'
import { type ProtobufReader, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import { parseSampleTypeConfig, profileName } from '../profile-name.ts'
import { readIndex } from './dictionary-columns.ts'
import { hexOf } from './hex.ts'
import { check, type EntryRanges } from './request.ts'

/** What a profile without a duration is taken to cover: the interval of the OpenTelemetry agents is 5 to 10 s. */
const DURATION_DEFAULT_NANOS = BigInt(10 * MS_PER_SECOND) * NANOS_PER_MS
const PROFILE_ID_BYTES = 16

export interface ValueType {
  readonly type: string
  readonly unit: string
}

export interface ProfileHead {
  readonly type: ValueType
  readonly periodType: ValueType
  readonly period: bigint
  readonly timeNanos: bigint
  readonly durationNanos: bigint
  /** A UUID; empty if there is none. */
  readonly id: string
  readonly hasSamples: boolean
}

/** What is stored of a profile's type. */
export interface Meaning {
  readonly name: string
  readonly type: ValueType
  /** What a value is multiplied with. */
  readonly factor: bigint
}

/** A string of the dictionary by its index. */
export type TextOf = (index: number) => string

const NO_TYPE: ValueType = { type: '', unit: '' }

/** The profile that is all of the reader's. Where its samples lie is added to `samples`. */
export function readProfileHead(reader: ProtobufReader, textOf: TextOf, samples?: EntryRanges): ProfileHead {
  const times = { period: 0n, timeNanos: 0n, durationNanos: 0n }
  const head = { type: NO_TYPE, periodType: NO_TYPE, ...times, id: '', hasSamples: false }
  while (reader.next()) {
    const { field, wireType } = reader
    if (field === 1 && wireType === WIRE_LENGTH) head.type = readType(reader.message(), textOf)
    else if (field === 2 && wireType === WIRE_LENGTH) {
      const at = reader.payload()
      head.hasSamples = true
      samples?.push(at, reader.position)
    } else if (field === 3 && wireType === WIRE_FIXED64) head.timeNanos = reader.fixed64() ? reader.int64() : 0n
    else if (field === 4 && wireType === WIRE_VARINT) head.durationNanos = reader.varint() ? reader.int64() : 0n
    else if (field === 5 && wireType === WIRE_LENGTH) head.periodType = readType(reader.message(), textOf)
    else if (field === 6 && wireType === WIRE_VARINT) head.period = reader.varint() ? reader.int64() : 0n
    else if (field === 7 && wireType === WIRE_LENGTH) head.id = uuidOf(reader.bytes())
    else reader.skip()
  }
  check(reader, 'a profile')
  head.durationNanos ||= DURATION_DEFAULT_NANOS
  return head
}

function readType(reader: ProtobufReader, textOf: TextOf): ValueType {
  const read = { type: '', unit: '' }
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === WIRE_VARINT) read.type = textOf(readIndex(reader))
    else if (reader.field === 2 && reader.wireType === WIRE_VARINT) read.unit = textOf(readIndex(reader))
    else reader.skip()
  }
  check(reader, 'a type')
  return read
}

const NO_CONFIG = parseSampleTypeConfig(new Uint8Array(0))

/** Fails with `invalid_argument` if nothing says what the profile is. */
export function meaningOf({ type, periodType, period }: ProfileHead): Meaning {
  const is = (of: ValueType, name: string, unit: string) => of.type === name && of.unit === unit
  if (is(type, 'samples', 'count') && is(periodType, 'cpu', 'nanoseconds') && period !== 0n) {
    return { name: 'process_cpu', type: periodType, factor: period }
  }
  if (is(type, 'off_cpu', 'nanoseconds') && periodType.type === '') return { name: 'off_cpu', type, factor: 1n }
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
