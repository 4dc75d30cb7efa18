/** The listener on a real socket: stated and chunked bodies, bodies over the limit, stop with a call in flight. */
import assert from 'node:assert/strict'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { createQueryBackendClient, mountQueryBackend } from '#platform/connect/services.ts'
import { readBody } from '#platform/http/body.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp, serveHttp2 } from '#platform/http/serve.ts'

const LIMIT_BYTES = 100_000

function listen(app: Hono, port = 0) {
  return serveHttp({ name: 'test', app, host: '127.0.0.1', port, bodyLimitBytes: LIMIT_BYTES })
}

test('bodies with and without a stated length, and over the limit', async () => {
  const app = new Hono()
  app.post('/', async (context) => {
    const read = await readBody(context.req.raw, LIMIT_BYTES)
    return context.json(read.kind === 'bytes' ? { kind: read.kind, sizeBytes: read.bytes.length } : read)
  })
  const listener = listen(app)
  try {
    const post = async (body: BodyInit) => (await fetch(listener.url, { method: 'POST', body })).json()
    const chunked = (count: number) =>
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        start(controller) {
          for (let i = 0; i < count; i++) controller.enqueue(new Uint8Array(10_000))
          controller.close()
        },
      })
    assert.deepEqual(await post(new Uint8Array(LIMIT_BYTES)), { kind: 'bytes', sizeBytes: LIMIT_BYTES })
    assert.deepEqual(await post(chunked(10)), { kind: 'bytes', sizeBytes: LIMIT_BYTES })
    assert.deepEqual(await post(new Uint8Array(LIMIT_BYTES + 1)), { kind: 'too-large', sizeBytes: LIMIT_BYTES + 1 })
    assert.equal(((await post(chunked(11))) as { kind: string }).kind, 'too-large')
    // The runtime's own refusal has no words, and clients of Connect come again with the same body.
    const farOver = 20_000_000
    assert.deepEqual(await post(new Uint8Array(farOver)), { kind: 'too-large', sizeBytes: farOver })
    assert.equal(((await post(chunked(2_000))) as { kind: string }).kind, 'too-large')
  } finally {
    await listener.stop()
  }
})

test('an internal call over a socket: large answers arrive, a leaving caller ends the work', async () => {
  const app = new Hono()
  const tree = new Uint8Array(5_000_000).fill(7)
  const ended = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const backend = {
    stacktraces(request: { profileType: string }, signal: AbortSignal) {
      const stats = { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }
      if (request.profileType !== 'slow') return Promise.resolve({ tree, stats })
      signal.addEventListener('abort', () => ended.resolve())
      started.resolve()
      return new Promise<never>(() => {})
    },
  } as unknown as QueryBackend
  mountQueryBackend(app, backend, {
    bodyLimitBytes: LIMIT_BYTES,
    compression: codecCompression(createCodec()),
    log: { info() {}, warn() {}, error() {} },
  })
  const listener = listen(app)
  try {
    const client = createQueryBackendClient(listener.url)
    const request = { profileType: 'fast', matchers: [], startMs: 0, endMs: 1, objects: [] }
    const answer = await client.stacktraces(request)
    assert.equal(Buffer.compare(answer.tree, tree), 0)
    const leaving = new AbortController()
    const call = client.stacktraces({ ...request, profileType: 'slow' }, leaving.signal)
    await started.promise
    leaving.abort()
    await assert.rejects(call, (error: unknown) => error instanceof CinderError && error.kind === 'canceled')
    await ended.promise
  } finally {
    await listener.stop()
  }
})

test('stop answers what is in flight', async () => {
  const app = new Hono()
  const reached = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  app.get('/', async (context) => {
    reached.resolve()
    await release.promise
    return context.text('done')
  })
  const listener = listen(app)
  const answer = fetch(listener.url)
  await reached.promise
  const stopped = listener.stop()
  release.resolve()
  assert.equal(await (await answer).text(), 'done')
  await stopped
})

test('stop waits for no head of a request that stops half way, and still answers what is in flight', async () => {
  const app = new Hono()
  const reached = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  app.get('/', async (context) => {
    reached.resolve()
    await release.promise
    return context.text('done')
  })
  const listener = listen(app)
  const { hostname, port } = new URL(listener.url)
  const half = connectTcp(Number(port), hostname)
  const ended = new Promise<void>((resolve) => {
    half.once('close', () => resolve())
    half.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => {
    half.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Le', () => resolve())
  })
  const answer = fetch(listener.url)
  await reached.promise
  const stopped = listener.stop()
  release.resolve()
  assert.equal(await (await answer).text(), 'done')
  await stopped
  await ended
})

test('a port in use is one sentence', async () => {
  const listener = listen(new Hono())
  try {
    const port = Number(new URL(listener.url).port)
    assert.throws(
      () => listen(new Hono(), port),
      (error: unknown) => error instanceof CinderError && error.message.includes(`127.0.0.1:${port}`),
    )
  } finally {
    await listener.stop()
  }
})

/** The whole answer on a connection that the server closes. */
function talk(url: string, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  let got = ''
  socket.on('data', (bytes) => (got += bytes.toString('latin1')))
  socket.on('close', () => resolve(got))
  socket.on('error', reject)
  socket.write(request)
  return promise
}

test('a request of HTTP/1.0 without a host is served, a host that is none is 400, an error shows no source', async () => {
  const app = new Hono()
  app.get('/ready', (context) => context.text(`ready ${context.req.query('i')}`))
  const serve = (request: Request) =>
    request.url.endsWith('/lost') ? Promise.reject(new Error('lost')) : app.fetch(request)
  const settings = { name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: LIMIT_BYTES, serve }
  for (const listener of [serveHttp(settings), await serveHttp2(settings)]) {
    try {
      const old = await talk(listener.url, 'GET /ready?i=1 HTTP/1.0\r\nConnection: close\r\n\r\n')
      assert.match(old, /^HTTP\/1\.1 200 [\s\S]*ready 1$/)
      const wrong = await talk(listener.url, 'GET /ready HTTP/1.1\r\nHost: h:99999\r\nConnection: close\r\n\r\n')
      assert.match(wrong, /^HTTP\/1\.1 400 /)
      const lost = await talk(listener.url, 'GET /lost HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
      assert.match(lost, /^HTTP\/1\.1 500 /)
      assert.doesNotMatch(lost, /lost/)
    } finally {
      await listener.stop()
    }
  }
})
