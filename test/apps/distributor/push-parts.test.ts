/** Pushes of many parts: refused before anything is made of them, however they come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { create, toBinary } from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import { PARTS_MAX } from '#core/ingest/otlp/request.ts'
import { createCodec } from '#platform/codec.ts'
import { OTLP_EXPORT_PATH, OTLP_OBJECTS_MAX } from '#platform/connect/otlp-message.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { checkPushParts, PUSH_PARTS_MAX } from '../../../apps/distributor/push-parts.ts'

const isTooMuch = (error: unknown): boolean => error instanceof CinderError && error.reason === 'push_parts_limit'

/** So many empty fields with this tag, two bytes each. */
function emptyFields(field: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * 2)
  for (let i = 0; i < count; i++) bytes[i * 2] = (field << 3) | 2
  return bytes
}

function series(...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let rest = body.length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) length.push((rest % 0x80) | 0x80)
  return new Uint8Array(Buffer.concat([Uint8Array.of(0x0a, ...length, rest), body]))
}

test('series, labels, samples and fields that nobody knows count, wherever they stand', () => {
  const half = PUSH_PARTS_MAX / 2
  const cases: [string, (more: number) => Uint8Array][] = [
    ['series', (more) => emptyFields(1, PUSH_PARTS_MAX + more)],
    ['labels and samples', (more) => series(emptyFields(1, half), emptyFields(2, half - 1 + more))],
    ['unknown ones of a request', (more) => emptyFields(9, PUSH_PARTS_MAX + more)],
    ['unknown ones of a series', (more) => series(emptyFields(9, PUSH_PARTS_MAX - 1 + more))],
    ['unknown ones of a label', (more) => series(series(emptyFields(9, PUSH_PARTS_MAX - 2 + more)))],
    // A group, which this reader does not know and the decoder passes over.
    [
      'series behind a group',
      (more) => new Uint8Array(Buffer.concat([Uint8Array.of(0x7b, 0x7c), emptyFields(1, PUSH_PARTS_MAX - 1 + more)])),
    ],
  ]
  for (const [name, body] of cases) {
    checkPushParts(body(0), false)
    assert.throws(() => checkPushParts(body(1), false), isTooMuch, name)
  }
  const json = (count: number) => new TextEncoder().encode(`[${'{},'.repeat(count - 1)}]`)
  checkPushParts(json(PUSH_PARTS_MAX), true)
  assert.throws(() => checkPushParts(json(PUSH_PARTS_MAX + 1), true), isTooMuch)
})

test('what is in a profile is no part, and what is broken is left to who reads it', () => {
  const labels = Array.from({ length: 30 }, (_, i) => ({ name: `n${i}`, value: 'v' }))
  const samples = [{ rawProfile: emptyFields(1, PUSH_PARTS_MAX + 1), ID: 'x' }]
  const push = create(PushRequestSchema, { series: [{ labels, samples }] })
  checkPushParts(toBinary(PushRequestSchema, push), false)
  checkPushParts(Uint8Array.of(0x0a, 0x05, 0x0a), false)
  checkPushParts(Uint8Array.of(0xff), false)
})

function createApp() {
  return createDistributor(
    {
      writer: { write: async () => assert.fail('it never comes so far') },
      clock: { nowMs: () => 0 },
      log: { info() {}, warn() {}, error() {} },
      compression: codecCompression(createCodec()),
    },
    { multitenancy: false, bodyLimitBytes: 1e9 },
  )
}

function frame(bytes: Uint8Array, flags: number): Uint8Array {
  const framed = new Uint8Array(5 + bytes.length)
  framed[0] = flags
  new DataView(framed.buffer).setUint32(1, bytes.length)
  framed.set(bytes, 5)
  return framed
}

test('every way to push has the bound', async () => {
  const app = createApp()
  const body = emptyFields(1, PUSH_PARTS_MAX + 1)
  const send = async (bytes: Uint8Array, headers: Record<string, string>): Promise<string> => {
    const request = new Request('http://x/push.v1.PusherService/Push', {
      method: 'POST',
      headers,
      body: bytes as Uint8Array<ArrayBuffer>,
    })
    const answer = await app.fetch(request)
    return decodeURIComponent(await answer.text())
  }
  const json = new TextEncoder().encode(`{"series":[${'{},'.repeat(PUSH_PARTS_MAX)}{}]}`)
  const proto = { 'content-type': 'application/proto' }
  const answers = [
    await send(body, proto),
    await send(new Uint8Array(gzipSync(body)), { ...proto, 'content-encoding': 'gzip' }),
    await send(json, { 'content-type': 'application/json' }),
    await send(new Uint8Array(Buffer.concat([frame(new Uint8Array(gzipSync('')), 1), frame(body, 4)])), {
      'content-type': 'application/grpc-web+proto',
      'grpc-encoding': 'gzip',
    }),
    await send(frame(body, 0), { 'content-type': 'application/grpc-web+proto' }),
    await send(frame(new Uint8Array(gzipSync(body)), 1), {
      'content-type': 'application/grpc-web+proto',
      'grpc-encoding': 'gzip',
    }),
    await send(frame(new Uint8Array(gzipSync(json)), 1), {
      'content-type': 'application/grpc-web+json',
      'grpc-encoding': 'gzip',
    }),
  ]
  for (const answer of answers) assert.match(answer, /more than the allowed \d+ series, labels and samples/)
})

test('so has every way of OpenTelemetry', async () => {
  const app = createApp()
  const send = async (path: string, type: string, bytes: Uint8Array): Promise<string> => {
    const headers = { 'content-type': type }
    const body = bytes as Uint8Array<ArrayBuffer>
    const answer = await app.fetch(new Request(`http://x${path}`, { method: 'POST', headers, body }))
    return decodeURIComponent(await answer.text())
  }
  const json = new TextEncoder().encode(`{"resourceProfiles":[${'{},'.repeat(OTLP_OBJECTS_MAX)}{}]}`)
  assert.match(
    await send('/v1development/profiles', 'application/json', json),
    /objects and lists, 1000000 are allowed/,
  )
  const resources = emptyFields(1, PARTS_MAX + 1)
  const refused = /more than the allowed \d+ resources, scopes/
  assert.match(await send('/v1development/profiles', 'application/x-protobuf', resources), refused)
  assert.match(await send(OTLP_EXPORT_PATH, 'application/grpc-web+proto', frame(resources, 0)), refused)
})
