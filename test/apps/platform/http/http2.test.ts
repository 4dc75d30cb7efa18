/** One port, three protocols: HTTP/1.1, HTTP/2 and gRPC, each by a client of its own over real sockets (H83). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type ClientHttp2Session } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { gunzipSync, gzipSync } from 'node:zlib'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import type { WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { PushRequestSchema, PushResponseSchema } from '#platform/gen/push/v1/push_pb.ts'
import { readBody } from '#platform/http/body.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { listenHttp2 } from '#platform/http/http2.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { createDistributor } from '../../../../apps/distributor/app.ts'
import { buildOtlp } from '../../../support/otlp.ts'
import { absentOpenssl, makeAuthority } from '../../../support/certificates.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

const PUSH = '/push.v1.PusherService/Push'
const EXPORT = '/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export'
const BODY_LIMIT_BYTES = 200_000

interface Scene {
  readonly url: string
  readonly received: WriteRequest[]
  stop(): Promise<void> | void
}

const stops: (() => Promise<unknown> | void)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

async function open(add: (app: Hono) => void = () => {}): Promise<Scene> {
  const received: WriteRequest[] = []
  const app = new Hono()
  add(app)
  const verdict = { status: 'stored', kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 1 }
  const distributor = createDistributor(
    {
      writer: {
        async write(request) {
          received.push(request)
          return { verdicts: request.series.flatMap(({ profiles }) => profiles.map(() => verdict)) }
        },
      },
      clock: { nowMs: () => 0 },
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: BODY_LIMIT_BYTES },
  )
  app.mount('/', (request) => distributor.fetch(request), { replaceRequest: false })
  const part = await serveHttp2({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: BODY_LIMIT_BYTES })
  let isStopped = false
  const stop = () => {
    if (isStopped) return undefined
    isStopped = true
    return part.stop()
  }
  stops.push(stop)
  return { url: part.url, received, stop }
}

function session(url: string, options = {}): ClientHttp2Session {
  const client = connect(url, options)
  client.on('error', () => {})
  stops.push(() => client.destroy())
  return client
}

interface Answered {
  readonly headers: Record<string, unknown>
  readonly trailers: Record<string, unknown>
  readonly body: Uint8Array
}

function send(client: ClientHttp2Session, headers: Record<string, string>, body?: Uint8Array): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>()
  const stream = client.request({ ':method': body === undefined ? 'GET' : 'POST', ...headers })
  let [answered, trailers]: Record<string, unknown>[] = [{}, {}]
  const chunks: Uint8Array[] = []
  stream.on('response', (got) => (answered = got as Record<string, unknown>))
  stream.on('trailers', (got) => (trailers = got as Record<string, unknown>))
  stream.on('data', (chunk: Uint8Array) => chunks.push(chunk))
  stream.on('error', reject)
  stream.on('end', () => resolve({ headers: answered, trailers, body: new Uint8Array(Buffer.concat(chunks)) }))
  stream.end(body)
  return promise
}

function framed(message: Uint8Array, flags = 0): Uint8Array {
  const bytes = new Uint8Array(5 + message.length)
  bytes[0] = flags
  new DataView(bytes.buffer).setUint32(1, message.length)
  bytes.set(message, 5)
  return bytes
}

const GRPC = { 'content-type': 'application/grpc', te: 'trailers', 'x-scope-orgid': 'team' }
const PUSHED = toBinary(
  PushRequestSchema,
  create(PushRequestSchema, {
    series: [{ labels: [{ name: 'service_name', value: 'shop' }], samples: [{ rawProfile: new Uint8Array(50_000) }] }],
  }),
)

test('a push by gRPC is stored and answered with trailers, plain or gzip (H83)', async () => {
  const { url, received } = await open()
  const client = session(url)
  const plain = await send(client, { ...GRPC, ':path': PUSH }, framed(PUSHED))
  assert.equal(plain.headers[':status'], 200)
  assert.equal(plain.headers['content-type'], 'application/grpc')
  assert.equal(plain.trailers['grpc-status'], '0')
  assert.deepEqual([...plain.body.subarray(0, 5)], [0, 0, 0, 0, 0])
  fromBinary(PushResponseSchema, plain.body.subarray(5))
  const zipped = await send(client, { ...GRPC, ':path': PUSH, 'grpc-encoding': 'gzip' }, framed(gzipSync(PUSHED), 1))
  assert.equal(zipped.trailers['grpc-status'], '0', String(zipped.trailers['grpc-message']))
  assert.equal(received.length, 2)
  assert.deepEqual(received[0], received[1])
  assert.deepEqual([received[0]!.tenant, received[0]!.series[0]!.profiles[0]!.bytes.length], ['team', 50_000])
})

test('an OTLP export by gRPC reaches the writer in either layout of its samples (H4)', async () => {
  const { url, received } = await open()
  const client = session(url)
  const profile = { type: ['wall', 'nanoseconds'], samples: [{ stack: ['main'], values: [77n] }] } as const
  const model = { resources: [{ attributes: { 'service.name': 'shop' }, scopes: [{ profiles: [profile] }] }] }
  for (const version of ['1.9', '1.10'] as const) {
    const answer = await send(client, { ...GRPC, ':path': EXPORT }, framed(buildOtlp(model, version)))
    assert.equal(answer.trailers['grpc-status'], '0', String(answer.trailers['grpc-message']))
  }
  assert.deepEqual(
    received.map(({ series }) => series[0]!.ingest!.format),
    ['otlp-1.9', 'otlp-1.10'],
  )
  assert.deepEqual(received[0]!.series[0]!.labels, received[1]!.series[0]!.labels)
  // The same path takes plain requests.
  const headers = { 'Content-Type': 'application/x-protobuf', 'X-Scope-OrgID': 'team' }
  const body = buildOtlp(model) as Uint8Array<ArrayBuffer>
  assert.equal((await fetch(`${url}${EXPORT}`, { method: 'POST', headers, body })).status, 200)
  assert.deepEqual(received[2], received[1])
})

test('what is refused has the status of gRPC and a message: tenant, path, size, bytes, compression (H77)', async () => {
  const { url, received } = await open()
  const client = session(url)
  const { 'x-scope-orgid': _, ...nobody } = GRPC
  const cases: [Record<string, string>, Uint8Array, string, RegExp][] = [
    [{ ...nobody, ':path': PUSH }, framed(PUSHED), '16', /no org id/],
    [{ ...nobody, ':path': EXPORT }, framed(buildOtlp({ resources: [{ scopes: [] }] })), '16', /no org id/],
    [{ ...GRPC, ':path': '/no.Such/Method' }, framed(PUSHED), '12', /page not found/],
    [{ ...GRPC, ':path': PUSH }, framed(new Uint8Array(BODY_LIMIT_BYTES + 1)), '3', /larger than the allowed/],
    [
      { ...GRPC, ':path': PUSH, 'grpc-encoding': 'gzip' },
      framed(gzipSync(new Uint8Array(500_000)), 1),
      '',
      /larger than/,
    ],
    [{ ...GRPC, ':path': PUSH }, framed(Uint8Array.of(0x0a, 9)), '', /./],
    [{ ...GRPC, ':path': PUSH, 'grpc-encoding': 'snappy' }, framed(PUSHED, 1), '12', /snappy/],
    [{ ...GRPC, ':path': EXPORT }, framed(Uint8Array.of(0x12, 0)), '3', /missing resource profiles/],
  ]
  for (const [headers, body, code, message] of cases) {
    const { headers: answered, trailers } = await send(client, headers, body)
    assert.equal(answered[':status'], 200)
    const status = trailers['grpc-status'] ?? answered['grpc-status']
    if (code === '') assert.notEqual(status, '0')
    else assert.equal(status, code, String(trailers['grpc-message']))
    assert.match(decodeURIComponent(String(trailers['grpc-message'] ?? answered['grpc-message'])), message)
  }
  assert.equal(received.length, 0)
})

test('all of the app is there by HTTP/1.1 and by HTTP/2 on one port, bodies of any length', async () => {
  const big = new Uint8Array(150_000).map((_, i) => i & 0xff)
  const { url } = await open((app) => {
    app.get('/big', () => new Response(big))
    app.get('/none', () => new Response(null, { status: 204 }))
    app.post(
      '/echo',
      async ({ req }) =>
        new Response(await req.raw.arrayBuffer(), { headers: { 'x-type': req.header('content-type') ?? '' } }),
    )
  })
  const client = session(url)
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(new Uint8Array(await (await fetch(`${url}/big`)).arrayBuffer()), big)
    assert.deepEqual((await send(client, { ':path': '/big' })).body, big)
    const posted = await send(client, { ':path': '/echo', 'content-type': 'a/b' }, big)
    assert.deepEqual([posted.headers['x-type'], posted.body], ['a/b', big])
    const echoed = await fetch(`${url}/echo`, { method: 'POST', body: big })
    assert.deepEqual(new Uint8Array(await echoed.arrayBuffer()), big)
  }
  assert.equal((await send(client, { ':path': '/none' })).headers[':status'], 204)
  const zipped = await fetch(`${url}/echo`, { method: 'POST', body: gzipSync(big) })
  assert.deepEqual(new Uint8Array(gunzipSync(await zipped.arrayBuffer())), big)
})

test('a first byte that comes alone is waited for; a connection that says nothing or garbage hurts nobody', async () => {
  const { url } = await open((app) => app.get('/x', () => new Response('here')))
  const port = Number(new URL(url).port)
  const talk = (parts: string[]): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = connectTcp(port, '127.0.0.1')
    socket.setNoDelay(true)
    let got = ''
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1')
      if (got.endsWith('here')) socket.destroy()
    })
    socket.on('close', () => resolve(got))
    socket.on('error', () => resolve(got))
    const next = (): void => {
      const part = parts.shift()
      if (part !== undefined) socket.write(part, next)
    }
    next()
    stops.push(() => void socket.destroy())
    return promise
  }
  assert.match(await talk(['G', 'ET /x HTTP/1.1\r\n', 'Host: h\r\n\r\n']), /^HTTP\/1\.1 200 [\s\S]*here$/)
  assert.match(
    await talk(['P', 'OST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n']),
    /^HTTP\/1\.1 404/,
  )
  const silent = connectTcp(port, '127.0.0.1')
  stops.push(() => void silent.destroy())
  void talk(['PRI * garbage'])
  assert.equal(await (await fetch(`${url}/x`)).text(), 'here')
})

test('a client that leaves aborts the request; one that waits is answered before the port closes', async () => {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const waiting = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let waiters = 0
  const { url, stop } = await open((app) => {
    app.get('/left', async ({ req }) => {
      req.raw.signal.addEventListener('abort', () => left.resolve())
      arrived.resolve()
      await released.promise
      return new Response('late')
    })
    app.get('/wait', async () => {
      waiting[waiters++]!.resolve()
      await released.promise
      return new Response('answered')
    })
  })
  const client = session(url)
  const stream = client.request({ ':path': '/left' })
  stream.on('error', () => {})
  await arrived.promise
  stream.close()
  await left.promise
  const answers = [
    fetch(`${url}/wait`).then((response) => response.text()),
    send(client, { ':path': '/wait' }),
  ] as const
  await Promise.all(waiting.map(({ promise }) => promise))
  const stopped = stop()
  released.resolve()
  assert.equal(await answers[0], 'answered')
  assert.equal(new TextDecoder().decode((await answers[1]).body), 'answered')
  await stopped
  await assert.rejects(fetch(`${url}/wait`))
})

test('with TLS the client chooses the protocol by ALPN (H83)', { skip: absentOpenssl() }, async () => {
  const authority = makeAuthority()
  const { certPath, keyPath } = authority.issue('server')
  const ca = readFileSync(authority.caPath, 'utf8')
  const app = new Hono()
  app.get('/x', () => new Response('here'))
  const tls = { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
  const part = await serveHttp2({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 1_000, tls })
  stops.push(() => part.stop())
  assert.match(part.url, /^https:/)
  assert.equal(await (await fetch(`${part.url}/x`, { tls: { ca } })).text(), 'here')
  const client = session(part.url, { ca })
  assert.equal(new TextDecoder().decode((await send(client, { ':path': '/x' })).body), 'here')
  const refused = await send(client, { ...GRPC, ':path': PUSH }, framed(PUSHED))
  assert.equal(refused.trailers['grpc-status'], '12')
})

test('with TLS bytes keep their order, however small the records that they begin with (H83)', {
  skip: absentOpenssl(),
}, async () => {
  const { certPath, keyPath } = makeAuthority().issue('server')
  const app = new Hono()
  app.post('/x', async ({ req }) => new Response(await req.raw.arrayBuffer()))
  const tls = { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
  const part = await serveHttp2({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 100_000, tls })
  stops.push(() => part.stop())
  const body = 'abcdefghijklmnopqrstuvwxyz'.repeat(1_000)
  const head = `POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  const talk = async () => {
    const socket = connectTls({ port: Number(new URL(part.url).port), host: '127.0.0.1', rejectUnauthorized: false })
    stops.push(() => void socket.destroy())
    let got = ''
    socket.on('data', (bytes) => (got += bytes.toString('latin1')))
    // One byte with the end of the handshake.
    socket.write('P')
    await once(socket, 'secureConnect')
    await turn()
    for (const text of [head.slice(1), ...body.match(/.{1,500}/g)!]) socket.write(text)
    await once(socket, 'close')
    return got.slice(got.indexOf('\r\n\r\n') + 4)
  }
  for (const got of await Promise.all(Array.from({ length: 40 }, talk))) assert.equal(got === body, true)
})

test('a body over the limit without a stated length is answered; its stream ends, and the port closes (H77)', async () => {
  const { url, received, stop } = await open((app) => app.post('/unread', (context) => context.text('no', 413)))
  const client = session(url)
  const big = framed(new Uint8Array(40 * BODY_LIMIT_BYTES))
  const { trailers } = await send(client, { ...GRPC, ':path': PUSH }, big)
  assert.equal(trailers['grpc-status'], '3')
  assert.match(decodeURIComponent(String(trailers['grpc-message'])), /larger than the allowed/)
  const closed = Promise.withResolvers<void>()
  const stream = client.request({ ':method': 'POST', ':path': '/unread' })
  stream.on('close', closed.resolve).on('error', () => {})
  stream.on('response', (headers) => assert.equal(headers[':status'], 413))
  stream.resume()
  stream.write(big)
  await closed.promise
  assert.equal((await send(client, { ...GRPC, ':path': PUSH }, framed(PUSHED))).trailers['grpc-status'], '0')
  assert.equal(received.length, 1)
  await stop()
})

test('a stream that its client resets is no whole body, whatever the reason (H83)', async () => {
  const started = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const reads = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  const { url } = await open((app) =>
    app.post('/read/:i', async ({ req }) => {
      const i = Number(req.param('i'))
      started[i]!.resolve()
      const read = await readBody(req.raw, BODY_LIMIT_BYTES)
      reads[i]!.resolve(read.kind)
      return new Response(null)
    }),
  )
  for (const [i, reason] of [0, 8].entries()) {
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
    stops.push(() => void socket.destroy())
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(http2Frame(FRAME_SETTINGS, { stream: 0 }))
    const headers = { ':method': 'POST', ':scheme': 'http', ':path': `/read/${i}`, ':authority': 'h' }
    socket.write(http2Frame(FRAME_HEADERS, { flags: END_HEADERS, payload: literalHeaders(headers) }))
    socket.write(http2Frame(FRAME_DATA, { payload: Buffer.alloc(500) }))
    await started[i]!.promise
    socket.write(http2Frame(FRAME_RST, { payload: Buffer.from([0, 0, 0, reason]) }))
    assert.equal(await reads[i]!.promise, 'broken')
  }
})

const FRAME_DATA = 0
const FRAME_HEADERS = 1
const FRAME_RST = 3
const FRAME_SETTINGS = 4
const END_HEADERS = 4

function http2Frame(type: number, { flags = 0, stream = 1, payload = Buffer.alloc(0) as Buffer }): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

/** HPACK without its table (RFC 7541, section 6.2.2). */
function literalHeaders(headers: Record<string, string>): Buffer {
  const field = (text: string) => [Buffer.from([text.length]), Buffer.from(text)]
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), ...field(name), ...field(value)]),
  )
}

test('what is no request is 400, what waits to be asked for its body is asked', async () => {
  const { url } = await open((app) =>
    app.post('/size', async ({ req }) => new Response(String((await req.text()).length))),
  )
  const client = session(url)
  assert.equal((await send(client, { ':method': 'OPTIONS', ':path': '*' })).headers[':status'], 400)
  const answered = Promise.withResolvers<string>()
  const stream = client.request({ ':method': 'POST', ':path': '/size', expect: '100-continue' })
  stream.on('continue', () => stream.end('12345'))
  stream.on('data', (chunk: Uint8Array) => answered.resolve(new TextDecoder().decode(chunk)))
  assert.equal(await answered.promise, '5')
})

test('an answer that ends early does not look whole; one that never began is 500', async () => {
  const app = new Hono()
  const cut = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(10)),
      pull: (controller) => controller.error(new Error('lost')),
    })
  app.get('/cut', () => new Response(cut()))
  const part = await serveHttp2({
    name: 'test',
    app,
    host: '127.0.0.1',
    port: 0,
    bodyLimitBytes: 0,
    serve: (request) => (request.url.endsWith('/none') ? Promise.reject(new Error('lost')) : app.fetch(request)),
  })
  stops.push(() => part.stop())
  const client = session(part.url)
  await assert.rejects(send(client, { ':path': '/cut' }), /INTERNAL_ERROR/)
  assert.equal((await send(client, { ':path': '/none' })).headers[':status'], 500)
})

test('a connection whose client takes nothing of an answer ends', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'http2-'))
  stops.push(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'socket')
  const listener = await listenHttp2(path, () => new Response(new Uint8Array(5_000_000)), 50)
  stops.push(() => listener.stop())
  const client = session('http://h', { createConnection: () => connectTcp(path) })
  const closed = once(client, 'close')
  client.request({ ':path': '/' }).on('error', () => {})
  await closed
  assert.equal(client.destroyed, true)
  await listener.stop()
})

/** One of the event loop. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setImmediate(resolve)
  return promise
}
