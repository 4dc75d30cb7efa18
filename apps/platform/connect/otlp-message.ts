/**
 * Messages of OTLP around the profiles: a request in JSON as the protobuf that core reads (the layout of 1.10), and
 * answers in the encoding of their request.
 *
 * Ids come in two forms: hexadecimal, which OTLP's JSON mapping asks for, and base64, which protobuf's mapping gives and
 * some senders use. Their lengths tell them apart (16 bytes: 32 digits against 22 to 24 characters; 8 bytes: 16 against
 * 11 or 12), so hexadecimal ids are turned into base64 before the message is read. Names of fields that 1.9 had
 * otherwise (`sample`, `line`) are read too.
 */
import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf'
import type { GenService } from '@bufbuild/protobuf/codegenv2'
import { type Empty, EmptySchema } from '@bufbuild/protobuf/wkt'
import { base64Encode } from '@bufbuild/protobuf/wire'
import { type CinderError, invalidArgument } from '#core/errors.ts'
import { checkOtlpParts } from '#core/ingest/otlp/request.ts'
import { StatusSchema } from '../gen/google/rpc/status_pb.ts'
import { countJsonObjects } from './json-objects.ts'
import {
  ExportProfilesServiceRequestSchema,
  ExportProfilesServiceResponseSchema,
  ProfilesService,
} from '../gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts'
import { grpcCodeOf } from './errors.ts'

/**
 * The service with requests as they are: a message without known fields keeps them all as unknown ones, in order, and
 * `otlpFromGrpc` gives the bytes back. Read as the message of 1.10, the values of 1.9 would be lost.
 */
export const OtlpProfilesService = {
  ...ProfilesService,
  method: { export: { ...ProfilesService.method.export, input: EmptySchema } },
  methods: [{ ...ProfilesService.method.export, input: EmptySchema }],
} as GenService<{
  export: { methodKind: 'unary'; input: typeof EmptySchema; output: typeof ExportProfilesServiceResponseSchema }
}>

export const OTLP_EXPORT_PATH = `/${ProfilesService.typeName}/${ProfilesService.method.export.name}`

export function otlpFromGrpc(request: Empty): Uint8Array {
  return bytesAsSent(request) ?? toBinary(EmptySchema, request)
}

/** Of fields with numbers below 16, written as short as can be. */
const TAG_BYTES = 1

/**
 * The fields are views of the message that came. Where they lie there one after another they are it, without a copy: a
 * request is held until its profiles are stored, and a copy would be as long.
 */
function bytesAsSent({ $unknown: fields = [] }: Empty): Uint8Array | undefined {
  const first = fields[0]?.data
  if (first === undefined || first.byteOffset < TAG_BYTES) return undefined
  const start = first.byteOffset - TAG_BYTES
  const bytes = new Uint8Array(first.buffer, start)
  let at = 0
  for (const { no, wireType, data } of fields) {
    if (data.buffer !== first.buffer || data.byteOffset !== start + at + TAG_BYTES) return undefined
    if (bytes[at] !== ((no << 3) | wireType)) return undefined
    at += TAG_BYTES + data.length
  }
  return bytes.subarray(0, at)
}

export type OtlpEncoding = 'protobuf' | 'json'

const ID_DIGITS: Readonly<Record<string, number>> = {
  traceId: 32,
  trace_id: 32,
  spanId: 16,
  span_id: 16,
  profileId: 32,
  profile_id: 32,
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** A million: with their texts they are some 30 MB of JSON; agents send a hundredth. */
export const OTLP_OBJECTS_MAX = 1_000_000

/** Before a call of gRPC becomes a message: of the empty one that we ask for every part is an unknown field. */
export function checkOtlpMessage(bytes: Uint8Array, isJson: boolean): void {
  if (isJson) checkObjects(bytes)
  else checkOtlpParts(bytes)
}

function checkObjects(body: Uint8Array): void {
  const objects = countJsonObjects(body)
  if (objects <= OTLP_OBJECTS_MAX) return
  throw invalidArgument(
    `the JSON has ${objects} objects and lists, ${OTLP_OBJECTS_MAX} are allowed: send fewer profiles in a request`,
    'otlp_parts_limit',
  )
}

/** Fails with `invalid_argument` if the bytes are not such a request. */
export function otlpFromJson(body: Uint8Array): Uint8Array {
  checkObjects(body)
  let json: JsonValue
  try {
    json = JSON.parse(decoder.decode(body), reviveField) as JsonValue
  } catch (cause) {
    throw unreadable(cause)
  }
  try {
    const message = fromJson(ExportProfilesServiceRequestSchema, json, { ignoreUnknownFields: true })
    return toBinary(ExportProfilesServiceRequestSchema, message)
  } catch (cause) {
    throw unreadable(cause)
  }
}

function reviveField(name: string, value: JsonValue): JsonValue {
  const digits = ID_DIGITS[name]
  if (digits !== undefined && typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/i.test(value)) {
    return base64Encode(
      Uint8Array.from({ length: digits / 2 }, (_, i) => Number.parseInt(value.slice(i * 2, i * 2 + 2), 16)),
    )
  }
  if (isObject(value)) {
    renameField(value, 'sample', 'samples')
    renameField(value, 'line', 'lines')
  }
  return value
}

/** A location's `line` is a list; a line's own `line` is a number and keeps its name. */
function renameField(object: JsonObject, from: string, to: string): void {
  const value = object[from]
  if (!Array.isArray(value) || object[to] !== undefined) return
  object[to] = value
  delete object[from]
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause)
  return invalidArgument(`Failed to parse JSON request: ${message}`, 'malformed_body')
}

/** What is told of a request that was taken, at least in part. */
export interface OtlpAnswer {
  readonly rejectedProfiles: number
  /** Empty if nothing was rejected. */
  readonly errorMessage: string
}

/** An `ExportProfilesServiceResponse`; without rejections it is empty. */
export function encodeOtlpAnswer(answer: OtlpAnswer, encoding: OtlpEncoding): BodyInit {
  return encode(ExportProfilesServiceResponseSchema, messageOfAnswer(answer), encoding)
}

export function messageOfAnswer({ rejectedProfiles, errorMessage }: OtlpAnswer) {
  if (errorMessage === '') return {}
  return { partialSuccess: { rejectedProfiles: BigInt(rejectedProfiles), errorMessage } }
}

/** A `google.rpc.Status`. */
export function encodeOtlpError(error: CinderError, encoding: OtlpEncoding): BodyInit {
  return encode(StatusSchema, { code: grpcCodeOf(error.kind), message: error.message }, encoding)
}

function encode<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
  encoding: OtlpEncoding,
): BodyInit {
  const message = create(schema, init)
  if (encoding === 'json') return toJsonString(schema, message)
  return toBinary(schema, message) as Uint8Array<ArrayBuffer>
}
