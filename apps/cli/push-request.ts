/**
 * A pprof file as a push request. Pure.
 *
 * 1. The profile is decoded once, to refuse what is none before it travels and to name it by its sample types.
 * 2. With a time given, the profile's own is replaced: its fields but `time_nanos` are copied, the new one is added.
 * 3. The request is one series with one sample (`push.v1.PushRequest`).
 */
import { CinderError } from '#core/errors.ts'
import { parseSampleTypeConfig, profileName } from '#core/ingest/profile-name.ts'
import { LABEL_NAME, LABEL_SERVICE_NAME, type LabelPair } from '#core/labels/labels.ts'
import type { Codec } from '#core/ports/codec.ts'
import { PROFILE_BYTES_MAX, ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { ProtobufReader, ProtobufWriter } from '#core/wire/protobuf.ts'

export const SERVICE_DEFAULT = 'cinder-push'

export interface PushOptions {
  readonly service: string | undefined
  readonly labels: readonly LabelPair[]
  /** `__name__`; guessed if undefined. */
  readonly name: string | undefined
  /** Undefined = the profile keeps its own time. */
  readonly timeNanos: bigint | undefined
}

export interface PreparedPush {
  readonly message: Uint8Array
  /** For people. */
  readonly name: string
  readonly sampleTypes: readonly string[]
  readonly labels: readonly LabelPair[]
  /** `type:unit`, both empty if the profile has none. */
  readonly periodType: string
  /** The profile as it travels. */
  readonly body: Uint8Array
  readonly sampleCount: number
  readonly timeNanos: bigint
}

/** No limits here: they are the server's to say. */
const NO_LIMITS = { maxProfileSizeBytes: 0, maxSamples: 0, maxSymbolBytes: 0 }
const TIME_NANOS_FIELD = 9

/** Fails with `invalid_argument` if the file is no profile. */
export function preparePush(file: Uint8Array, options: PushOptions, codec: Codec): PreparedPush {
  const isGzip = file[0] === 0x1f && file[1] === 0x8b
  const raw = isGzip ? codec.gunzip(file, PROFILE_BYTES_MAX) : file
  const result = new ProfileDecoder().decode(raw, NO_LIMITS)
  if (!result.ok) throw notAProfile(result.fault.message)
  const { profile } = result
  const types = profile.sampleTypes.map(({ type }) => stringAt(profile, type))
  if (types.length === 0) throw notAProfile('it has no sample type')
  const name = options.name ?? labelValue(options.labels, LABEL_NAME) ?? guessName(types)
  const body = options.timeNanos === undefined ? file : codec.gzip(withTime(raw, options.timeNanos))
  const labels = labelsOf(name, options)
  const { periodType } = profile
  return {
    message: encodePush(labels, body),
    labels,
    body,
    periodType: periodType === undefined ? ':' : typeText(profile, periodType),
    name,
    sampleTypes: profile.sampleTypes.map((type) => typeText(profile, type)),
    sampleCount: profile.sampleCount,
    timeNanos: options.timeNanos ?? profile.timeNanos,
  }
}

function typeText(profile: DecodedProfile, { type, unit }: { readonly type: number; readonly unit: number }): string {
  return `${stringAt(profile, type)}:${stringAt(profile, unit)}`
}

/** As for profiles that agents send to `/ingest` without a name. */
function guessName(types: readonly string[]): string {
  const parsed = parseSampleTypeConfig(new Uint8Array(0))
  return profileName(types, parsed.ok ? parsed.config : new Map())
}

function labelsOf(name: string, options: PushOptions): LabelPair[] {
  const service = options.service ?? labelValue(options.labels, LABEL_SERVICE_NAME) ?? SERVICE_DEFAULT
  const rest = options.labels.filter((label) => label.name !== LABEL_NAME && label.name !== LABEL_SERVICE_NAME)
  return [{ name: LABEL_NAME, value: name }, { name: LABEL_SERVICE_NAME, value: service }, ...rest]
}

function labelValue(labels: readonly LabelPair[], name: string): string | undefined {
  return labels.find((label) => label.name === name)?.value
}

/** The same message with another `time_nanos`. */
export function withTime(raw: Uint8Array, timeNanos: bigint): Uint8Array {
  const out = new ProtobufWriter(raw.length + 16)
  const reader = new ProtobufReader(raw)
  for (let start = 0; reader.next(); start = reader.position) {
    reader.skip()
    if (reader.field !== TIME_NANOS_FIELD) out.rawBytes(raw.subarray(start, reader.position))
  }
  if (reader.fault !== undefined) throw notAProfile(reader.fault)
  out.varintField(TIME_NANOS_FIELD, timeNanos)
  return out.copyBytes()
}

/** push.v1: PushRequest 1 series; RawProfileSeries 1 labels, 2 samples; RawSample 1 raw profile; LabelPair 1, 2. */
function encodePush(labels: readonly LabelPair[], profile: Uint8Array): Uint8Array {
  const series = new ProtobufWriter(profile.length + 256)
  for (const { name, value } of labels) {
    const pair = new ProtobufWriter()
    pair.stringField(1, name)
    pair.stringField(2, value)
    series.messageField(1, pair)
  }
  const sample = new ProtobufWriter(profile.length + 16)
  sample.bytesField(1, profile)
  series.messageField(2, sample)
  const request = new ProtobufWriter(profile.length + 512)
  request.messageField(1, series)
  return request.copyBytes()
}

function notAProfile(why: string): CinderError {
  return new CinderError('invalid_argument', `not a pprof: ${why}`, { reason: 'malformed_profile' })
}
