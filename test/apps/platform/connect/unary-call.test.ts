/** Calls without a deadline are answered as Connect's own handler answers the same calls with one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { create, toBinary } from '@bufbuild/protobuf'
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect'
import { Hono } from 'hono'
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { answerBytesOf, answerTextOf, mountService } from '#platform/connect/server.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { LabelNamesRequestSchema, LabelNamesResponseSchema } from '#platform/gen/types/v1/types_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { resolveTenants } from '#platform/http/tenant.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

type Answer = (name: string, call: HandlerContext) => unknown

function serve(answer: Answer, log = createSilentLog()): Hono {
  const app = new Hono()
  const compression = codecCompression(createCodec())
  const authenticate = (headers: Headers) => resolveTenants(headers, { multitenancy: true })
  mountService(
    app,
    QuerierService,
    { labelNames: async ({ matchers }, call) => answer(matchers[0] ?? '', call) as { names: string[] } },
    { bodyLimitBytes: 10_000, compression, log, authenticate, errorDetails: true },
  )
  return app
}

const NAMES = '/querier.v1.QuerierService/LabelNames'
const DEADLINE = { 'Connect-Timeout-Ms': '60000' }

async function ask(app: Hono, { path = NAMES, ...init }: RequestInit & { readonly path?: string }) {
  const response = await app.request(path, { method: 'POST', ...init })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const isGzip = response.headers.get('content-encoding') === 'gzip'
  const text = Buffer.from(isGzip ? gunzipSync(bytes) : bytes).toString('latin1')
  return { status: response.status, headers: Object.fromEntries(response.headers), text }
}

function bodyOf(name: string, isJson: boolean): Uint8Array<ArrayBuffer> {
  if (isJson) return new TextEncoder().encode(JSON.stringify({ matchers: [name], nobody: [{ knows: 'this' }] }))
  return new Uint8Array(toBinary(LabelNamesRequestSchema, create(LabelNamesRequestSchema, { matchers: [name] })))
}

const KINDS = Object.keys(HTTP_STATUS_BY_KIND) as ErrorKind[]

function answer(name: string, call: HandlerContext): unknown {
  if (KINDS.includes(name as ErrorKind)) throw new CinderError(name as ErrorKind, `it is ${name}`, { retryAfterMs: 1 })
  switch (name) {
    case 'crash':
      throw new Error('secret of the database')
    case 'foreign':
      throw new ConnectError('not here', Code.OutOfRange, { 'X-Why': 'because' })
    case 'no fields':
      return { names: [{}] }
    case 'headers':
      call.responseHeader.set('X-Told', 'yes')
      call.responseTrailer.set('X-Last', 'word')
      return {}
    case 'many':
      return { names: Array.from({ length: 500 }, (_, i) => `name_${i}`) }
    case 'bytes':
      answerBytesOf(call)?.give(
        toBinary(LabelNamesResponseSchema, create(LabelNamesResponseSchema, { names: ['raw'] })),
      )
      answerTextOf(call)?.(new TextEncoder().encode('{"names":["raw"]}'))
      return {}
    default:
      return { names: [name, call.url, call.requestMethod, call.service.typeName, call.method.name] }
  }
}

test('the same answers and errors as the handler of Connect gives, as messages and as JSON', async () => {
  const app = serve(answer)
  const names = ['', 'a', 'crash', 'foreign', 'no fields', 'headers', 'many', 'bytes', ...KINDS]
  for (const type of ['application/proto', 'application/json', 'application/json; charset=utf-8']) {
    const bodies = names.map((name) => bodyOf(name, type !== 'application/proto'))
    bodies.push(new Uint8Array(), Uint8Array.of(0xff), Uint8Array.of(0x0a, 5, 1), new TextEncoder().encode('{"names":'))
    for (const [i, body] of bodies.entries()) {
      for (const tenant of [{ 'X-Scope-OrgID': 'a' }, {}, { 'X-Scope-OrgID': 'a/b' }]) {
        for (const accepted of [{}, { 'Accept-Encoding': 'gzip' }]) {
          const headers = { 'Content-Type': type, ...tenant, ...accepted }
          const own = await ask(app, { headers, body })
          const theirs = await ask(app, { headers: { ...headers, ...DEADLINE }, body })
          assert.deepEqual(own, theirs, `${type}, ${names[i] ?? `body ${i}`}, ${JSON.stringify(tenant)}`)
        }
      }
    }
  }
})

test('a method without implementation is 501, and its path with a deadline too', async () => {
  const app = serve(answer)
  const path = '/querier.v1.QuerierService/LabelValues'
  const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': 'a' }
  const own = await ask(app, { path, headers, body: '{}' })
  assert.equal(own.status, 501)
  assert.deepEqual(own, await ask(app, { path, headers: { ...headers, ...DEADLINE }, body: '{}' }))
})

test('what is given as gzip goes out as it is, said to be gzip', async () => {
  const names = Array.from({ length: 400 }, (_, i) => `name_${i}`)
  const message = toBinary(LabelNamesResponseSchema, create(LabelNamesResponseSchema, { names }))
  const app = serve((_, call) => {
    const raw = answerBytesOf(call)!
    raw.give(raw.takesGzip ? createCodec().gzip(message) : message, raw.takesGzip)
    return {}
  })
  const headers = { 'Content-Type': 'application/proto', 'X-Scope-OrgID': 'a' }
  const packed = await ask(app, { headers: { ...headers, 'Accept-Encoding': 'gzip' }, body: bodyOf('', false) })
  assert.equal(packed.headers['content-encoding'], 'gzip')
  assert.equal(packed.headers['vary'], 'Accept-Encoding')
  const plain = await ask(app, { headers, body: bodyOf('', false) })
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.headers['content-length'], String(message.length))
  assert.equal(packed.text, plain.text)
  const failing = serve((_, call) => {
    answerBytesOf(call)!.give(message, true)
    throw new CinderError('unavailable', 'after all')
  })
  const failed = await ask(failing, { headers, body: bodyOf('', false) })
  assert.equal(failed.status, 503)
  assert.equal(failed.headers['content-encoding'], undefined)
  assert.match(failed.text, /after all/)
})

test('the signal of a call ends with its client, and with a failure', async () => {
  const signals: AbortSignal[] = []
  const called = Promise.withResolvers<void>()
  const app = serve((name, call) => {
    signals.push(call.signal, call.signal)
    called.resolve()
    if (name === 'fails') throw new CinderError('unavailable', 'no')
    if (name === 'ends') return {}
    const gone = Promise.withResolvers<never>()
    call.signal.addEventListener('abort', () => gone.reject(call.signal.reason))
    return gone.promise
  })
  const headers = { 'Content-Type': 'application/proto', 'X-Scope-OrgID': 'a' }
  const client = new AbortController()
  const left = app.request(NAMES, { method: 'POST', headers, body: bodyOf('', false), signal: client.signal })
  await called.promise
  assert.equal(signals[0]!.aborted, false)
  assert.equal(signals[1], signals[0])
  client.abort()
  assert.equal(signals[0]!.aborted, true)
  assert.ok((await left).status >= 400)
  const gone = await app.request(NAMES, { method: 'POST', headers, body: bodyOf('ends', false), signal: client.signal })
  assert.equal(gone.status, 200)
  assert.equal(signals[2]!.aborted, true)
  await ask(app, { headers, body: bodyOf('fails', false) })
  assert.equal(signals[4]!.aborted, true)
  await ask(app, { headers, body: bodyOf('ends', false) })
  assert.equal(signals[6]!.aborted, false)
})

test('a client that leaves is no failed request, with a deadline and without', async () => {
  for (const deadline of [{}, DEADLINE]) {
    const log = createSilentLog()
    const called = Promise.withResolvers<void>()
    const client = new AbortController()
    const app = serve((_, { signal }) => {
      const ended = Promise.withResolvers<never>()
      signal.addEventListener('abort', () => ended.reject(signal.reason))
      called.resolve()
      return ended.promise
    }, log)
    const headers = { 'Content-Type': 'application/proto', 'X-Scope-OrgID': 'a', ...deadline }
    const answered = app.request(NAMES, { method: 'POST', headers, body: bodyOf('', false), signal: client.signal })
    await called.promise
    client.abort()
    assert.equal((await answered).status, 499)
    assert.deepEqual(log.events, [])
  }
})
