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
const DURATION_DEFAULT_LO = Number(DURATION_DEFAULT_NANOS & 0xffffffffn)
const DURATION_DEFAULT_HI = Number(DURATION_DEFAULT_NANOS >> 32n)
const PROFILE_ID_BYTES = 16
const NO_BYTES = new Uint8Array(0)

export interface ValueType {
  readonly type: string
  readonly unit: string
}

const NO_TYPE: ValueType = { type: '', unit: '' }

/** Numbers of 64 bits stay in lanes until somebody asks: the edge needs none of them. */
export class ProfileHead {
  type = NO_TYPE
  periodType = NO_TYPE
  periodLo = 0
  periodHi = 0
  timeLo = 0
  timeHi = 0
  durationLo = 0
  durationHi = 0
  /** Bytes of its id, and where they lie. */
  raw: Uint8Array = NO_BYTES
  idAt = 0
  hasSamples = false

  /** A UUID; empty if there is none. Of no use to who decodes, so it is made when it is asked for. */
  get id(): string {
    return this.raw === NO_BYTES ? '' : uuidOf(this.raw.subarray(this.idAt, this.idAt + PROFILE_ID_BYTES))
  }

  get period(): bigint {
    return int64Of(this.periodLo, this.periodHi)
  }

  get timeNanos(): bigint {
    return int64Of(this.timeLo, this.timeHi)
  }

  get durationNanos(): bigint {
    return int64Of(this.durationLo, this.durationHi)
  }
}

/** What is stored of a profile's type. */
export interface Meaning {
  readonly name: string
  readonly type: ValueType
  /** Values are multiplied with the period. */
  readonly timesPeriod: boolean
}

/** A string of the dictionary by its index. */
export type TextOf = (index: number) => string

/** The profile that is all of the reader's. Where its samples lie is added to `samples`. */
export function readProfileHead(reader: ProtobufReader, textOf: TextOf, samples?: EntryRanges): ProfileHead {
  const head = new ProfileHead()
  while (reader.next()) {
    const { field, wireType } = reader
    if (field === 2 && wireType === WIRE_LENGTH) {
      const at = reader.payload()
      head.hasSamples = true
      samples?.push(at, reader.position)
    } else if (field === 1 && wireType === WIRE_LENGTH) head.type = readType(reader, textOf)
    else if (field === 3 && wireType === WIRE_FIXED64) {
      const isRead = reader.fixed64()
      head.timeLo = isRead ? reader.lo : 0
      head.timeHi = isRead ? reader.hi : 0
    } else if (field === 4 && wireType === WIRE_VARINT) {
      const isRead = reader.varint()
      head.durationLo = isRead ? reader.lo : 0
      head.durationHi = isRead ? reader.hi : 0
    } else if (field === 5 && wireType === WIRE_LENGTH) head.periodType = readType(reader, textOf)
    else if (field === 6 && wireType === WIRE_VARINT) {
      const isRead = reader.varint()
      head.periodLo = isRead ? reader.lo : 0
      head.periodHi = isRead ? reader.hi : 0
    } else if (field === 7 && wireType === WIRE_LENGTH) {
      head.idAt = reader.payload()
      head.raw = reader.position - head.idAt === PROFILE_ID_BYTES ? reader.raw : NO_BYTES
    } else reader.skip()
  }
  check(reader, 'a profile')
  if ((head.durationLo | head.durationHi) === 0) {
    head.durationLo = DURATION_DEFAULT_LO
    head.durationHi = DURATION_DEFAULT_HI
  }
  return head
}

function readType(reader: ProtobufReader, textOf: TextOf): ValueType {
  const outer = reader.enter()
  if (reader.fault !== undefined) return NO_TYPE
  let type = ''
  let unit = ''
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === WIRE_VARINT) type = textOf(readIndex(reader))
    else if (reader.field === 2 && reader.wireType === WIRE_VARINT) unit = textOf(readIndex(reader))
    else reader.skip()
  }
  check(reader, 'a type')
  reader.leave(outer)
  return { type, unit }
}

const wideValue = new BigInt64Array(1)
const wideLanes = new Uint32Array(wideValue.buffer)

function int64Of(lo: number, hi: number): bigint {
  wideLanes[0] = lo
  wideLanes[1] = hi
  return wideValue[0]!
}

const NO_CONFIG = parseSampleTypeConfig(new Uint8Array(0))

/** Fails with `invalid_argument` if nothing says what the profile is. */
export function meaningOf({ type, periodType, periodLo, periodHi }: ProfileHead): Meaning {
  if (isType(type, 'samples', 'count') && isType(periodType, 'cpu', 'nanoseconds') && (periodLo | periodHi) !== 0) {
    return { name: 'process_cpu', type: periodType, timesPeriod: true }
  }
  if (isType(type, 'off_cpu', 'nanoseconds') && periodType.type === '')
    return { name: 'off_cpu', type, timesPeriod: false }
  if (periodType.type !== '') return { name: periodType.type, type, timesPeriod: false }
  if (type.type === '') {
    throw invalidArgument('a profile has neither a sample type nor a period type', 'otlp_sample_type')
  }
  const config = NO_CONFIG.ok ? NO_CONFIG.config : new Map()
  return { name: profileName([type.type], config), type, timesPeriod: false }
}

function isType(of: ValueType, type: string, unit: string): boolean {
  return of.type === type && of.unit === unit
}

function uuidOf(bytes: Uint8Array): string {
  if (bytes.every((byte) => byte === 0)) return ''
  const hex = hexOf(bytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
