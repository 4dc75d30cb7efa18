/** OTLP over HTTP as exporters see it: statuses, encodings, and what reaches the writer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { fromBinary, toJson } from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ProfileVerdict, WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { StatusSchema } from '#platform/gen/google/rpc/status_pb.ts'
import {
  ExportProfilesServiceRequestSchema,
  ExportProfilesServiceResponseSchema,
} from '#platform/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { OtlpRequests } from '../../../apps/segment-writer/otlp-intake.ts'
import { columnsOf } from '../../support/otlp-profiles.ts'
import { buildOtlp, type OtlpModel, type OtlpProfile } from '../../support/otlp.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { STORED } from '../../support/verdicts.ts'

const PATH = '/v1development/profiles'
const PROFILE: OtlpProfile = {
  type: ['samples', 'count'],
  periodType: ['cpu', 'nanoseconds'],
  period: 10n,
  samples: [{ stack: ['leaf', 'main'], values: [3n] }],
}

function model(profiles: OtlpProfile[]): OtlpModel {
  return { resources: [{ attributes: { 'service.name': 'shop' }, scopes: [{ profiles }] }] }
}

const rejected = (kind: string, message: string, retryAfterMs = 0, reason = ''): ProfileVerdict => ({
  ...STORED,
  status: 'rejected',
  kind,
  reason,
  message,
  retryAfterMs,
})
/** The writer's, of a sample with neither values nor timestamps. */
const VALUELESS = rejected('invalid_argument', 'sample value is required: none', 0, 'otlp_no_value')

function setUp(verdicts: (request: WriteRequest) => ProfileVerdict[] = ({ series }) => series.map(() => STORED)) {
  const received: WriteRequest[] = []
  const app = createDistributor(
    {
      writer: {
        async write(request) {
          received.push(request)
          return { verdicts: verdicts(request) }
        },
      },
      clock: { nowMs: () => 0 },
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: 100_000 },
  )
  const send = (body: Uint8Array | string, headers: Record<string, string> = {}) =>
    app.request(PATH, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-protobuf', 'X-Scope-OrgID': 'team', ...headers },
      body: body as Uint8Array<ArrayBuffer> | string,
    })
  return { app, send, received }
}

/** With what profiles say instead of their bytes, which come in other orders of fields from JSON. */
function seriesOf({ series }: WriteRequest) {
  const requests = new OtlpRequests(() => undefined)
  return series.map(({ labels, profiles: [profile], ingest }) => {
    const { bytes, clientId } = profile!
    const result = requests.decode({
      request: 1,
      bytes,
      ingest: ingest!,
      limits: DEFAULT_LIMITS,
      requestBytesMax: 1_000_000,
    })
    assert.ok(result.ok)
    return { labels, clientId, format: ingest!.format, columns: columnsOf(result.profile) }
  })
}

async function statusOf(response: Response) {
  return fromBinary(StatusSchema, new Uint8Array(await response.arrayBuffer()))
}

async function partialOf(response: Response) {
  const message = fromBinary(ExportProfilesServiceResponseSchema, new Uint8Array(await response.arrayBuffer()))
  return message.partialSuccess
}

test('all profiles of a request reach the writer in one call (H5)', async () => {
  const { send, received } = setUp()
  const response = await send(buildOtlp(model(Array.from({ length: 500 }, () => PROFILE))))
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'application/x-protobuf')
  assert.equal((await response.arrayBuffer()).byteLength, 0)
  assert.equal(received.length, 1)
  assert.equal(received[0]!.tenant, 'team')
  assert.equal(received[0]!.series.length, 500)
  const labels = Object.fromEntries(received[0]!.series[0]!.labels.map(({ name, value }) => [name, value]))
  assert.deepEqual([labels.service_name, labels.__name__], ['shop', 'process_cpu'])
  const dictionaries = new Set(received[0]!.series.map(({ ingest }) => ingest!.dictionary))
  assert.equal(dictionaries.size, 1)
})

test('protobuf of both media types, gzip, and JSON with ids in base64 or hexadecimal are one request', async () => {
  const traceId = Uint8Array.from({ length: 16 }, (_, i) => i + 1)
  const spanId = Uint8Array.from({ length: 8 }, (_, i) => i + 1)
  const sample = { stack: ['leaf'], values: [3n], link: { traceId, spanId } }
  const bytes = buildOtlp(model([{ ...PROFILE, id: traceId, samples: [sample] }]))
  const json = toJson(ExportProfilesServiceRequestSchema, fromBinary(ExportProfilesServiceRequestSchema, bytes))
  const base64 = JSON.stringify(json)
  const hex = base64
    .replaceAll(Buffer.from(traceId).toString('base64'), Buffer.from(traceId).toString('hex'))
    .replaceAll(Buffer.from(spanId).toString('base64'), Buffer.from(spanId).toString('hex'))
  assert.notEqual(hex, base64)
  const { send, received } = setUp()
  const requests: [Uint8Array | string, Record<string, string>][] = [
    [bytes, {}],
    [bytes, { 'Content-Type': 'application/protobuf' }],
    [gzipSync(bytes), { 'Content-Encoding': 'gzip' }],
    [base64, { 'Content-Type': 'application/json' }],
    [hex, { 'Content-Type': 'application/json; charset=utf-8' }],
    [hex.replace('"samples"', '"sample"').replaceAll('"lines"', '"line"'), { 'Content-Type': 'application/json' }],
  ]
  for (const [body, headers] of requests) {
    const response = await send(body, headers)
    assert.equal(response.status, 200, await response.clone().text())
    const isJson = headers['Content-Type']?.startsWith('application/json')
    assert.equal(response.headers.get('content-type'), isJson ? 'application/json' : 'application/x-protobuf')
  }
  assert.equal(received.length, requests.length)
  for (const request of received) assert.deepEqual(seriesOf(request), seriesOf(received[0]!))
  assert.equal(received[0]!.series[0]!.profiles[0]!.clientId, '01020304-0506-0708-090a-0b0c0d0e0f10')
})

test('some refused profiles are a partial success, whoever refused them', async () => {
  const { send, received } = setUp(() => [STORED, rejected('invalid_argument', 'too old'), VALUELESS, VALUELESS])
  const typeless: OtlpProfile = { samples: PROFILE.samples }
  const response = await send(buildOtlp(model([PROFILE, typeless, PROFILE, PROFILE, PROFILE])))
  assert.equal(response.status, 200)
  assert.equal(received[0]!.series.length, 4)
  const partial = await partialOf(response)
  assert.equal(partial?.rejectedProfiles, 4n)
  const [envelope, sample, last] = partial.errorMessage.split('\n')
  assert.match(envelope!, /neither a sample type nor a period type/)
  assert.equal(sample, VALUELESS.message)
  assert.equal(last, 'too old')
})

test('what a retry mends fails the request, with the time to wait; nothing but refusals is 400', async () => {
  const rate = setUp(({ series }) =>
    series.map((_, i) => (i === 1 ? rejected('resource_exhausted', 'rate', 2_500) : STORED)),
  )
  const body = buildOtlp(model([PROFILE, PROFILE]))
  const limited = await rate.send(body)
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '3'])
  assert.deepEqual(await statusOf(limited).then(({ code, message }) => [code, message]), [8, 'rate'])
  // The refusal holds for the tenant until then.
  assert.equal((await rate.send(body)).status, 429)
  assert.equal(rate.received.length, 1)

  const refused = await setUp(({ series }) => series.map(() => rejected('invalid_argument', 'too old'))).send(body)
  assert.deepEqual([refused.status, (await statusOf(refused)).code], [400, 3])
  const valueless = await setUp(() => [VALUELESS, VALUELESS]).send(body)
  assert.equal(valueless.status, 400)
  assert.equal((await statusOf(valueless)).message, 'failed to convert OTLP profiles: sample value is required: none')
  const silent = setUp()
  assert.equal((await silent.send(buildOtlp(model([{ samples: PROFILE.samples }])))).status, 400)
  assert.equal(silent.received.length, 0)
})

test('a request without profiles is fine; what is no request is 400, never 500', async () => {
  const { send } = setUp()
  assert.equal((await send(buildOtlp({ resources: [{ scopes: [] }] }))).status, 200)
  const bodies: [Uint8Array | string, Record<string, string>, RegExp][] = [
    [new Uint8Array(0), {}, /missing profile metadata dictionary/],
    [Uint8Array.of(1, 2, 3), {}, /no protobuf/],
    [Uint8Array.of(1, 2, 3), { 'Content-Encoding': 'gzip' }, /not valid gzip/],
  ]
  for (const [body, headers, message] of bodies) {
    const response = await send(body, headers)
    assert.equal(response.status, 400)
    assert.match((await statusOf(response)).message, message)
  }
  for (const body of ['{', '[]', '{"resourceProfiles": 3}', '{"dictionary":{"linkTable":[{"traceId":"%"}]}}']) {
    const response = await send(body, { 'Content-Type': 'application/json' })
    assert.equal(response.status, 400, body)
    assert.equal(((await response.json()) as { code: number }).code, 3)
  }
})

test('method, type, encoding, tenant and size are checked in this order', async () => {
  const { app, send } = setUp()
  const get = await app.request(PATH)
  assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST'])
  for (const type of ['text/plain', 'application/grpc', '']) {
    const response = await send('x', { 'Content-Type': type, 'X-Scope-OrgID': '' })
    assert.deepEqual([response.status, await response.text()], [415, `Unsupported Content-Type: ${type}\n`])
  }
  assert.equal((await send('x', { 'Content-Encoding': 'br' })).status, 415)
  const shouted = { 'Content-Encoding': 'GZIP' }
  assert.equal((await send(gzipSync(buildOtlp(model([PROFILE]))), shouted)).status, 200)
  const nobody = await send(buildOtlp(model([PROFILE])), { 'X-Scope-OrgID': '' })
  assert.deepEqual([nobody.status, await nobody.json()], [401, { code: 'unauthenticated', message: 'no org id' }])
  assert.equal((await send(new Uint8Array(100_001))).status, 413)
  assert.equal((await send(gzipSync(new Uint8Array(200_000)), { 'Content-Encoding': 'gzip' })).status, 413)
})

test('a writer that takes nothing is a 503 with a time to retry', async () => {
  const { send } = setUp(() => {
    throw new CinderError('unavailable', 'full', { retryAfterMs: 1_000 })
  })
  const response = await send(buildOtlp(model([PROFILE])))
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1'])
})
