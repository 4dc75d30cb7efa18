/** Decoders of what wraps a profile: the wire format, a push, a form, and the calls between our services. */
import { create, toBinary } from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import { ProtobufReader, WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { encodeWriteRequest } from '#platform/connect/write-message.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { parseMultipart } from '#platform/http/multipart.ts'
import { createDistributor } from '../../apps/distributor/app.ts'
import { buildPprof } from '../support/profiles.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const PROFILE = buildPprof({ samples: [{ stack: ['work', 'main'], values: [3] }] })
const LABELS = [
  { name: 'service_name', value: 'shop' },
  { name: 'größe', value: '' },
]
const PUSH_BYTES = toBinary(
  PushRequestSchema,
  create(PushRequestSchema, {
    series: [
      { labels: LABELS, samples: [{ rawProfile: PROFILE, ID: 'a' }, { rawProfile: new Uint8Array(20_000) }] },
      { labels: [], samples: [] },
    ],
  }),
)

const DEPTH_MAX = 8

/** Every message field could be a message: read as deep as it goes, as a generic reader would. */
function walk(reader: ProtobufReader, depth: number, budget: { fields: number }): void {
  while (reader.next()) {
    if (++budget.fields > 200_000) throw new Error('more fields than bytes')
    const before = reader.position
    if (reader.wireType === WIRE_VARINT) reader.varint()
    else if (reader.wireType === WIRE_FIXED64) reader.fixed64()
    else if (reader.wireType === WIRE_FIXED32) reader.fixed32()
    else if (reader.wireType !== WIRE_LENGTH) reader.skip()
    else if (depth < DEPTH_MAX) walk(reader.message(), depth + 1, budget)
    else reader.bytes()
    if (reader.fault === undefined && reader.position <= before) throw new Error('a field of no bytes')
  }
  if (reader.position > reader.end) throw new Error('read past the end')
}

const protobuf: FuzzTarget = {
  name: 'protobuf',
  seeds: [PUSH_BYTES, PROFILE],
  read(input) {
    const reader = new ProtobufReader(input)
    walk(reader, 0, { fields: 0 })
    return reader.fault?.replaceAll(/\d+/g, '#')
  },
  isRefusal: () => false,
  memory: { baseBytes: 0, multiple: 0 },
}

const FORM_TYPE = 'multipart/form-data; boundary=bound'
const FORM = new TextEncoder().encode(
  [
    '--bound\r\nContent-Disposition: form-data; name="profile"; filename="p"\r\n\r\nprofile\r\n',
    '--bound\r\ncontent-disposition: form-data; name=sample_type_config\r\n\r\n{}\r\n--bound--\r\n',
  ].join(''),
)

const multipart: FuzzTarget = {
  name: 'multipart',
  seeds: [FORM, new TextEncoder().encode('--bound\nContent-Disposition: form-data; name="a\\"b"\n\nx\n--bound--')],
  words: ['--bound', '--bound--', '\r\n', '\n', '\r\n\r\n', 'name="', 'Content-Disposition:', '-', ';'],
  read(input) {
    const form = parseMultipart(FORM_TYPE, input)
    if (form.kind === 'malformed') return form.message.replaceAll(/\d+/g, '#')
    for (const { bytes } of form.parts) {
      if (bytes.buffer !== input.buffer) throw new Error('a part that is not a view')
    }
    return `${form.parts.length} parts`
  },
  isRefusal: () => false,
  // The delimiter, as bytes.
  memory: { baseBytes: 256, multiple: 0 },
}

/** Accepts everything; what it was given must make a message again. */
const writer: SegmentWriter = {
  async write(request) {
    encodeWriteRequest(request)
    const stored = { kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 1, status: 'stored' }
    return { verdicts: request.series.flatMap(({ profiles }) => profiles.map(() => stored)) }
  },
}
const distributor = createDistributor(
  { writer, clock: { nowMs: () => 0 }, log: createSilentLog(), compression: codecCompression(createCodec()) },
  { multitenancy: false, bodyLimitBytes: 1 << 20 },
)

/** 200, or a fault of the client: never 5xx, which agents retry for ever. */
async function outcomeOf(path: string, contentType: string, input: Uint8Array): Promise<string> {
  const headers = { 'Content-Type': contentType }
  const body = input as Uint8Array<ArrayBuffer>
  const response = await distributor.request(path, { method: 'POST', headers, body })
  const text = await response.text()
  if (response.status !== 200 && (response.status < 400 || response.status > 499)) {
    throw new Error(`answered ${response.status}: ${text}`)
  }
  if (response.status === 200) return '200'
  const { message } = JSON.parse(text) as { message: string }
  // What follows a quote, a bracket or a number repeats the input.
  return `${response.status} ${message.replace(/["'[(\d].*$/s, '')}`
}

/** A body, its copy on the way through the standard's Request, and what the writer is sent. */
const REQUEST_MEMORY = { baseBytes: 16 * 1024, multiple: 4 }

const push: FuzzTarget = {
  name: 'push',
  seeds: [PUSH_BYTES, toBinary(PushRequestSchema, create(PushRequestSchema, { series: [{ samples: [{}] }] }))],
  read: (input) => outcomeOf('/push.v1.PusherService/Push', 'application/proto', input),
  isRefusal: () => false,
  memory: REQUEST_MEMORY,
}

const pushJson: FuzzTarget = {
  name: 'push-json',
  seeds: [
    new TextEncoder().encode(
      '{"series":[{"labels":[{"name":"a","value":"b"}],"samples":[{"rawProfile":"CgQIARAC","ID":"x"}]}]}',
    ),
  ],
  words: ['"series":', '[', ']', '{', '}', '"rawProfile":', '"ID":', 'null', '1e999', '"\\ud800"', '==', '{"a":{"a":'],
  read: (input) => outcomeOf('/push.v1.PusherService/Push', 'application/json', input),
  isRefusal: (error) => error instanceof CinderError,
  memory: REQUEST_MEMORY,
}

fuzz([protobuf, multipart, push, pushJson])
