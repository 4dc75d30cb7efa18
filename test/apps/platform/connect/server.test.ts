/** How Connect calls are answered: the statuses that agents and Grafana rely on, one by one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { answerTextOf, mountService, tenantsOf } from '#platform/connect/server.ts'
import { PusherService, PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { LabelNamesResponseSchema } from '#platform/gen/types/v1/types_pb.ts'
import { codecCompression, webCompression } from '#platform/http/body-compression.ts'
import { notFoundResponse } from '#platform/http/errors.ts'
import { resolveTenants } from '#platform/http/tenant.ts'

const PUSH = '/push.v1.PusherService/Push'
const NAMES = '/querier.v1.QuerierService/LabelNames'
const MERGE = '/querier.v1.QuerierService/SelectMergeStacktraces'
const BODY_LIMIT_BYTES = 10_000

interface Seen {
  pushed: number
  tenants: readonly string[]
  events: string[]
  profile?: Uint8Array | undefined
}

function setUp(compression = codecCompression(createCodec()), freesBodies = false) {
  const app = new Hono()
  const seen: Seen = { pushed: 0, tenants: [], events: [] }
  const options = {
    bodyLimitBytes: BODY_LIMIT_BYTES,
    compression,
    freesBodies,
    log: { info() {}, warn() {}, error: (event: string) => void seen.events.push(event) },
    authenticate: (headers: Headers) => resolveTenants(headers, { multitenancy: true }),
  }
  mountService(
    app,
    PusherService,
    {
      async push(request, context) {
        seen.tenants = tenantsOf(context)
        seen.pushed += request.series.length
        const name = request.series[0]?.labels[0]?.name
        seen.profile = request.series[0]?.samples[0]?.rawProfile
        if (name === 'crash') throw new Error('secret of the database')
        if (name === 'busy') throw new CinderError('resource_exhausted', 'limit 1, got 2', { retryAfterMs: 1_500 })
        if (name === 'hang') return new Promise<never>(() => {})
        return {}
      },
    },
    options,
  )
  mountService(
    app,
    QuerierService,
    { labelNames: async () => ({ names: Array.from({ length: 300 }, (_, i) => `name_${i}`) }) },
    options,
  )
  app.notFound(() => notFoundResponse())
  const send = (path: string, init: { method?: string; headers?: Record<string, string>; body?: BodyInit } = {}) =>
    app.request(path, {
      method: init.method ?? 'POST',
      headers: { 'X-Scope-OrgID': 'a', ...init.headers },
      ...(init.body === undefined ? {} : { body: init.body }),
    })
  return { app, seen, send }
}

const JSON_TYPE = { 'Content-Type': 'application/json' }
const PROTO_TYPE = { 'Content-Type': 'application/proto' }

async function code(response: Response): Promise<string> {
  assert.equal(response.headers.get('content-type'), 'application/json')
  return ((await response.json()) as { code: string }).code
}

function pushBody(name: string): Uint8Array<ArrayBuffer> {
  const message = create(PushRequestSchema, { series: [{ labels: [{ name, value: 'x' }] }] })
  return toBinary(PushRequestSchema, message) as Uint8Array<ArrayBuffer>
}

test('every method but POST is 405 with Allow', async () => {
  const { send } = setUp()
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const response = await send(PUSH, { method, headers: JSON_TYPE })
    assert.equal(response.status, 405, method)
    assert.equal(response.headers.get('allow'), 'POST')
    assert.equal(await response.text(), '')
  }
})

test('unknown content types are 415 with Accept-Post and no body', async () => {
  const { send } = setUp()
  for (const type of ['text/plain', 'application/octet-stream', 'application/x-protobuf', 'application/grpc', '']) {
    const response = await send(PUSH, { headers: { 'Content-Type': type }, body: new TextEncoder().encode('{}') })
    assert.equal(response.status, 415, type)
    assert.match(response.headers.get('accept-post') ?? '', /application\/json/)
    assert.equal(await response.text(), '')
  }
})

test('bodies that are no message are 400 invalid_argument, not 500', async () => {
  const { send, seen } = setUp()
  const cases: [Record<string, string>, BodyInit][] = [
    [PROTO_TYPE, new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    [PROTO_TYPE, new Uint8Array([0xff, 0xff, 0xff])],
    [JSON_TYPE, ''],
    [JSON_TYPE, '{"series": ['],
    [JSON_TYPE, '[]'],
    [JSON_TYPE, '{"series":"x"}'],
  ]
  for (const [headers, body] of cases) {
    const response = await send(PUSH, { headers, body })
    assert.equal(response.status, 400, String(body))
    assert.equal(await code(response), 'invalid_argument')
  }
  assert.equal(seen.pushed, 0)
})

test('what is no message is 400 without a tenant too; a large body is not looked at then', async () => {
  const { send, seen } = setUp()
  const nobody = { ...JSON_TYPE, 'X-Scope-OrgID': '' }
  assert.equal(await code(await send(PUSH, { headers: nobody, body: '{' })), 'invalid_argument')
  assert.equal(await code(await send(PUSH, { headers: nobody, body: '{}' })), 'unauthenticated')
  const large = new Uint8Array(2 * 1024 * 1024).fill(0xff)
  const refused = await send(PUSH, { headers: { ...PROTO_TYPE, 'X-Scope-OrgID': 'a/b' }, body: large })
  assert.equal(await code(refused), 'unauthenticated')
  const bomb = { ...PROTO_TYPE, 'X-Scope-OrgID': '', 'Content-Encoding': 'gzip' }
  assert.equal(await code(await send(PUSH, { headers: bomb, body: gzipSync(large) })), 'unauthenticated')
  assert.equal((await send(PUSH, { headers: { 'Content-Type': 'text/plain', 'X-Scope-OrgID': '' } })).status, 415)
  assert.equal((await send(PUSH, { method: 'GET', headers: nobody })).status, 405)
  assert.equal(seen.pushed, 0)
})

test('unknown fields and enum names are ignored', async () => {
  const { send } = setUp()
  assert.equal((await send(PUSH, { headers: JSON_TYPE, body: '{"nope":1}' })).status, 200)
  const response = await send(MERGE, { headers: JSON_TYPE, body: '{"format":"NOPE","profile_typeID":"t"}' })
  assert.equal(response.status, 501)
})

test('a method without implementation is 501 after the tenant was checked', async () => {
  const { send } = setUp()
  assert.equal(await code(await send(MERGE, { headers: JSON_TYPE, body: '{}' })), 'unimplemented')
  const anonymous = await send(MERGE, { headers: { ...JSON_TYPE, 'X-Scope-OrgID': '' }, body: '{}' })
  assert.equal(anonymous.status, 401)
  assert.equal(await code(anonymous), 'unauthenticated')
})

test('protocol version, timeout and encoding headers', async () => {
  const { send } = setUp()
  const cases: [Record<string, string>, number, string][] = [
    [{ 'Connect-Protocol-Version': '2' }, 400, 'invalid_argument'],
    [{ 'Connect-Timeout-Ms': 'abc' }, 400, 'invalid_argument'],
    [{ 'Content-Encoding': 'zstd' }, 501, 'unimplemented'],
    [{ 'Content-Encoding': 'gzip' }, 400, 'invalid_argument'],
  ]
  for (const [headers, status, expected] of cases) {
    const response = await send(PUSH, { headers: { ...JSON_TYPE, ...headers }, body: '{}' })
    assert.equal(response.status, status, JSON.stringify(headers))
    assert.equal(await code(response), expected)
  }
  const named = await send(PUSH, { headers: { ...JSON_TYPE, 'Content-Encoding': 'br' }, body: '{}' })
  assert.match(((await named.json()) as { message: string }).message, /"br".*gzip/)
  const plain = { ...JSON_TYPE, 'Connect-Protocol-Version': '1', 'Content-Encoding': 'identity' }
  assert.equal((await send(PUSH, { headers: plain, body: '{}' })).status, 200)
})

test('a body over the limit is 400, stated, counted or inflated', async () => {
  for (const compression of [codecCompression(createCodec()), webCompression]) {
    const { send } = setUp(compression)
    const big = new Uint8Array(BODY_LIMIT_BYTES + 1)
    const bodies: [Record<string, string>, BodyInit][] = [
      [{ 'Content-Length': String(big.length) }, big],
      [{}, big],
      [{ 'Content-Encoding': 'gzip' }, new Uint8Array(gzipSync(big))],
    ]
    for (const [headers, body] of bodies) {
      const response = await send(PUSH, { headers: { ...PROTO_TYPE, ...headers }, body })
      assert.equal(response.status, 400, JSON.stringify(headers))
      const error = (await response.json()) as { code: string; message: string }
      assert.equal(error.code, 'invalid_argument')
      assert.match(error.message, /allowed 10000 bytes/)
    }
  }
})

test('gzip requests are read by both ways of inflating', async () => {
  for (const compression of [codecCompression(createCodec()), webCompression]) {
    const { send, seen } = setUp(compression)
    const body = new Uint8Array(gzipSync(pushBody('a')))
    const response = await send(PUSH, { headers: { ...PROTO_TYPE, 'Content-Encoding': 'gzip' }, body })
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/proto')
    assert.equal(seen.pushed, 1)
    assert.deepEqual(seen.tenants, ['a'])
  }
})

test('answers are gzip where the client takes it', async () => {
  for (const compression of [codecCompression(createCodec()), webCompression]) {
    const { send } = setUp(compression)
    const cases: [Record<string, string>, boolean][] = [
      [{}, false],
      [{ 'Accept-Encoding': 'gzip, deflate' }, true],
      [{ 'Accept-Encoding': 'br;q=1, gzip;q=0.5' }, true],
      [{ 'Accept-Encoding': 'gzip;q=0' }, false],
      [{ 'Accept-Encoding': 'identity' }, false],
    ]
    for (const [headers, isGzip] of cases) {
      const body = new Uint8Array(0)
      const response = await send(NAMES, { headers: { ...PROTO_TYPE, ...headers }, body })
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-encoding'), isGzip ? 'gzip' : null, JSON.stringify(headers))
      const bytes = new Uint8Array(await response.arrayBuffer())
      const message = fromBinary(LabelNamesResponseSchema, isGzip ? new Uint8Array(gunzipSync(bytes)) : bytes)
      assert.equal(message.names.length, 300)
    }
    const answered = await send(NAMES, {
      headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' },
      body: new Uint8Array(gzipSync('{}')),
    })
    assert.equal(answered.headers.get('content-encoding'), 'gzip')
  }
})

test('the memory of a body is given back with its answer, where that is asked for', async () => {
  const message = create(PushRequestSchema, { series: [{ samples: [{ rawProfile: new Uint8Array(100) }] }] })
  for (const [freesBodies, kept] of [
    [false, 100],
    [true, 0],
  ] as const) {
    const { send, seen } = setUp(webCompression, freesBodies)
    const body = toBinary(PushRequestSchema, message) as Uint8Array<ArrayBuffer>
    assert.equal((await send(PUSH, { headers: PROTO_TYPE, body })).status, 200)
    assert.equal(seen.profile?.length, kept)
    const headers = { ...PROTO_TYPE, 'Content-Encoding': 'gzip' }
    assert.equal((await send(PUSH, { headers, body: gzipSync(body) })).status, 200)
    assert.equal(seen.profile?.length, kept)
  }
})

test('an answer may be given as JSON text, where JSON goes out and the call succeeds', async () => {
  const app = new Hono()
  const compression = codecCompression(createCodec())
  const log = { info() {}, warn() {}, error() {} }
  const text = JSON.stringify({ names: Array.from({ length: 300 }, (_, i) => `written_${i}`) })
  mountService(
    app,
    QuerierService,
    {
      async labelNames({ start }, call) {
        answerTextOf(call)?.(new TextEncoder().encode(text))
        if (start === 1n) throw new CinderError('not_found', 'none')
        return { names: ['message'] }
      },
    },
    { bodyLimitBytes: BODY_LIMIT_BYTES, compression, log },
  )
  const ask = (headers: Record<string, string>, body: BodyInit) => app.request(NAMES, { method: 'POST', headers, body })
  const plain = await ask(JSON_TYPE, '{}')
  assert.deepEqual([plain.headers.get('content-type'), await plain.text()], ['application/json', text])
  const zipped = await ask({ ...JSON_TYPE, 'Accept-Encoding': 'gzip' }, '{}')
  assert.equal(gunzipSync(await zipped.arrayBuffer()).toString(), text)
  assert.equal(await code(await ask(JSON_TYPE, '{"start":"1"}')), 'not_found')
  const proto = await ask(PROTO_TYPE, new Uint8Array(0))
  const message = fromBinary(LabelNamesResponseSchema, new Uint8Array(await proto.arrayBuffer()))
  assert.deepEqual(message.names, ['message'])
  const web = await ask({ 'Content-Type': 'application/grpc-web+json' }, Uint8Array.of(0, 0, 0, 0, 2, 0x7b, 0x7d))
  assert.match(await web.text(), /{"names":\["message"\]}/)
})

test('errors: kind, Retry-After, hidden text', async () => {
  const { send, seen } = setUp()
  const busy = await send(PUSH, { headers: PROTO_TYPE, body: pushBody('busy') })
  assert.equal(busy.status, 429)
  assert.equal(busy.headers.get('retry-after'), '2')
  assert.deepEqual(await busy.json(), { code: 'resource_exhausted', message: 'limit 1, got 2' })
  const crash = await send(PUSH, { headers: PROTO_TYPE, body: pushBody('crash') })
  assert.equal(crash.status, 500)
  assert.deepEqual(await crash.json(), { code: 'internal', message: 'internal error' })
  assert.deepEqual(seen.events, ['request failed'])
})

test('the deadline of the client ends a call that does not answer', async () => {
  const { send } = setUp()
  const response = await send(PUSH, { headers: { ...PROTO_TYPE, 'Connect-Timeout-Ms': '20' }, body: pushBody('hang') })
  assert.equal(response.status, 504)
  assert.equal(await code(response), 'deadline_exceeded')
})

test('gRPC-Web is served: message frame, then trailers frame', async () => {
  const { send, seen } = setUp()
  const message = pushBody('a')
  const frame = new Uint8Array(5 + message.length)
  new DataView(frame.buffer).setUint32(1, message.length)
  frame.set(message, 5)
  const response = await send(PUSH, { headers: { 'Content-Type': 'application/grpc-web+proto' }, body: frame })
  assert.equal(response.status, 200)
  const bytes = new Uint8Array(await response.arrayBuffer())
  assert.deepEqual([...bytes.subarray(0, 5)], [0, 0, 0, 0, 0])
  assert.equal(bytes[5], 0x80)
  assert.match(new TextDecoder().decode(bytes.subarray(10)), /grpc-status: 0/)
  assert.equal(seen.pushed, 1)
})

test('bytes that are no message are INTERNAL over gRPC-Web, as gRPC libraries say, and reach nobody', async () => {
  const { send, seen } = setUp()
  const frame = Uint8Array.of(0, 0, 0, 0, 2, 0xff, 0xff)
  const response = await send(PUSH, { headers: { 'Content-Type': 'application/grpc-web+proto' }, body: frame })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const said = response.headers.get('grpc-status') ?? new TextDecoder().decode(bytes)
  assert.match(said, /^13$|grpc-status: 13/)
  assert.equal(seen.pushed, 0)
})

test('unknown methods and paths are 404 text', async () => {
  const { send } = setUp()
  for (const path of ['/push.v1.PusherService/Nope', '/nope']) {
    const response = await send(path, { headers: JSON_TYPE, body: '{}' })
    assert.equal(response.status, 404)
    assert.equal(await response.text(), '404 page not found\n')
  }
})
