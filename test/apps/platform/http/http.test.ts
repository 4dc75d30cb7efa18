/** Tenants, bodies, capabilities, errors and readiness of plain HTTP handlers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { freeBytes, readBody, readBodyInPlace } from '#platform/http/body.ts'
import {
  codecCompression,
  type InflateBody,
  inflaterOf,
  supportedEncodings,
  webCompression,
} from '#platform/http/body-compression.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { clientCapabilities } from '#platform/http/capabilities.ts'
import { errorResponse, retryAfterSeconds, statusResponse, toCinderError } from '#platform/http/errors.ts'
import { mountReady } from '#platform/http/ready.ts'
import { resolveTenant, resolveTenants } from '#platform/http/tenant.ts'

const ON = { multitenancy: true }

function scope(id: string | undefined): Headers {
  return new Headers(id === undefined ? {} : { 'X-Scope-OrgID': id })
}

test('tenants: off means anonymous whatever the header says', () => {
  assert.deepEqual(resolveTenants(scope('a/b'), { multitenancy: false }), ['anonymous'])
  assert.equal(resolveTenant(scope(undefined), { multitenancy: false }), 'anonymous')
})

test('tenants: reads take several, sorted and unique', () => {
  assert.deepEqual(resolveTenants(scope('b|a|b'), ON), ['a', 'b'])
  assert.deepEqual(resolveTenants(scope("0aZ!-_.*'()"), ON), ["0aZ!-_.*'()"])
  assert.equal(resolveTenant(scope('x'.repeat(150)), ON).length, 150)
  assert.equal(resolveTenant(scope('a|a'), ON), 'a')
})

test('tenants: what is refused, and how it is said (H76)', () => {
  const cases: [string | undefined, RegExp][] = [
    [undefined, /^no org id$/],
    ['', /^no org id$/],
    ['a|', /^no org id$/],
    ['a/b', /^tenant ID 'a\/b' contains unsupported character '\/'$/],
    ['a b', /unsupported character ' '/],
    ['..', /^tenant ID is '\.' or '\.\.'$/],
    ['a|.', /^tenant ID is '\.' or '\.\.'$/],
    ['x'.repeat(151), /^tenant ID is too long: max 150 characters/],
    [Array.from({ length: 65 }, (_, i) => `t${i}`).join('|'), /at most 64/],
  ]
  for (const [id, message] of cases) {
    assert.throws(
      () => resolveTenants(scope(id), ON),
      (error: unknown) =>
        error instanceof CinderError && error.kind === 'unauthenticated' && message.test(error.message),
      String(id),
    )
  }
  assert.throws(() => resolveTenant(scope('a|b'), ON), /^CinderError: multiple org IDs present$/)
})

function streamOf(
  chunks: Uint8Array<ArrayBuffer>[],
  pulled: { count: number },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      pull(controller) {
        const chunk = chunks[pulled.count]
        if (chunk === undefined) return controller.close()
        pulled.count++
        controller.enqueue(chunk)
      },
    },
    { highWaterMark: 0 },
  )
}

test('bodies: chunks are joined, reading stops at the bound', async () => {
  const chunks = [new Uint8Array([1, 2]), new Uint8Array([3]), new Uint8Array(100), new Uint8Array(100)]
  const pulled = { count: 0 }
  const request = () => new Request('http://x/', { method: 'POST', body: streamOf(chunks, pulled) })
  assert.deepEqual(await readBody(request(), 50), { kind: 'too-large', sizeBytes: 103 })
  assert.ok(pulled.count <= 3)
  pulled.count = 0
  const whole = await readBody(request(), 203)
  assert.ok(whole.kind === 'bytes')
  assert.deepEqual([...whole.bytes.subarray(0, 4)], [1, 2, 3, 0])
  assert.equal(whole.bytes.length, 203)
})

test('bodies: none, stated too large, broken', async () => {
  assert.deepEqual(await readBody(new Request('http://x/', { method: 'POST' }), 1), {
    kind: 'bytes',
    bytes: new Uint8Array(0),
  })
  const stated = new Request('http://x/', { method: 'POST', body: 'abc', headers: { 'Content-Length': '99' } })
  assert.deepEqual(await readBody(stated, 98), { kind: 'too-large', sizeBytes: 99 })
  const failing = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.error(new Error('gone'))
    },
  })
  const broken = await readBody(new Request('http://x/', { method: 'POST', body: failing }), 10)
  assert.equal(broken.kind, 'broken')
})

/** A body whose length is stated and whose chunks are as given. */
function statedBody(sizeBytes: number, chunks: readonly Uint8Array[]): Request {
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
  return new Request('http://x/', { method: 'POST', body, headers: { 'Content-Length': String(sizeBytes) } })
}

test('bodies in place: any chunks, exactly what is stated', async () => {
  for (const [sizeBytes, chunkBytes] of [
    [0, 1],
    [1, 1],
    [1_000, 7],
    [300_000, 65_536],
    [700_000, 700_000],
  ] as const) {
    const bytes = Uint8Array.from({ length: sizeBytes }, (_, i) => i * 31)
    const chunks = Array.from({ length: Math.ceil(sizeBytes / chunkBytes) }, (_, i) =>
      bytes.slice(i * chunkBytes, (i + 1) * chunkBytes),
    )
    const read = await readBodyInPlace(statedBody(sizeBytes, chunks), sizeBytes)
    assert.equal(read.kind, 'bytes')
    assert.ok(read.kind === 'bytes' && Buffer.from(read.bytes).equals(bytes), `${sizeBytes} by ${chunkBytes}`)
    assert.ok(
      chunks.every((chunk) => chunk.length === 0),
      'chunks are freed',
    )
  }
  const short = await readBodyInPlace(statedBody(10, [new Uint8Array(9)]), 10)
  assert.equal(short.kind, 'broken')
  const long = await readBodyInPlace(statedBody(10, [new Uint8Array(9), new Uint8Array(2)]), 10)
  assert.equal(long.kind, 'broken')
  assert.deepEqual(await readBodyInPlace(statedBody(11, []), 10), { kind: 'too-large', sizeBytes: 11 })
})

test('only bytes that are the whole of their buffer are freed', () => {
  const shared = new Uint8Array(10)
  freeBytes(shared.subarray(0, 9))
  assert.equal(shared.length, 10)
  const view = shared.subarray(2)
  freeBytes(shared)
  assert.equal(shared.length, 0)
  assert.equal(view.length, 0)
  freeBytes(shared)
})

test('compression: deflate and zstd of requests are bounded like gzip (H7)', async () => {
  const text = new TextEncoder().encode('abc '.repeat(100_000))
  const node = nodeCompression(createCodec())
  const deflated = new Uint8Array(deflateSync(text))
  const cases: [InflateBody, Uint8Array][] = [
    [node.inflate!, deflated],
    [webCompression.inflate!, deflated],
    [node.unzstd!, new Uint8Array(zstdCompressSync(text))],
  ]
  for (const [inflate, bytes] of cases) {
    assert.deepEqual(await inflate(bytes, text.length), text)
    await assert.rejects(inflate(bytes, 1_000), isReason('body_size_limit'))
    await assert.rejects(inflate(text.subarray(0, 50), 1_000), isReason('malformed_body'))
  }
  assert.equal(supportedEncodings(node), 'gzip, deflate, zstd, identity')
  assert.equal(supportedEncodings(webCompression), 'gzip, deflate, identity')
  for (const encoding of ['br', 'identity', 'compress', ''])
    assert.equal(inflaterOf(encoding, node), undefined, encoding)
  assert.equal(inflaterOf('zstd', webCompression), undefined)
})

test('compression: both ways are bounded and give the same bytes', async () => {
  const text = new TextEncoder().encode('cinder '.repeat(10_000))
  for (const compression of [codecCompression(createCodec()), webCompression]) {
    assert.deepEqual(await compression.gunzip(await compression.gzip(text), text.length), text)
    const bomb = new Uint8Array(gzipSync(new Uint8Array(5_000_000)))
    await assert.rejects(compression.gunzip(bomb, 1_000), isReason('body_size_limit'))
    await assert.rejects(compression.gunzip(bomb.subarray(0, bomb.length - 20), 10_000_000), isReason('malformed_body'))
    await assert.rejects(compression.gunzip(text, 100), isReason('malformed_body'))
  }
})

function isReason(reason: string) {
  return (error: unknown) =>
    error instanceof CinderError && error.kind === 'invalid_argument' && error.reason === reason
}

test('capabilities', () => {
  const cases: [string, boolean][] = [
    ['*/*;allow-utf8-labelnames=true', true],
    ['text/html, */*; q=0.8 ; Allow-UTF8-LabelNames="true"', true],
    ['*/*;allow-utf8-labelnames=false', false],
    ['*/*', false],
    [';;=,', false],
  ]
  for (const [accept, expected] of cases) {
    assert.equal(clientCapabilities(new Headers({ Accept: accept })).utf8LabelNames, expected, accept)
  }
  assert.equal(clientCapabilities(new Headers()).utf8LabelNames, false)
})

test('errors: codes from statuses, statuses from kinds, Retry-After where a retry makes sense', async () => {
  const cases: [number, string][] = [
    [400, 'invalid_argument'],
    [401, 'unauthenticated'],
    [408, 'unknown'],
    [413, 'invalid_argument'],
    [422, 'unknown'],
    [429, 'resource_exhausted'],
    [503, 'unavailable'],
  ]
  for (const [status, code] of cases) {
    const response = statusResponse(status, 'why')
    assert.equal(response.status, status)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    assert.deepEqual(await response.json(), { code, message: 'why' })
  }
  const limited = errorResponse(new CinderError('resource_exhausted', 'm', { retryAfterMs: 2_001 }))
  assert.equal(limited.headers.get('retry-after'), '3')
  assert.equal(errorResponse(new CinderError('unavailable', 'm')).headers.get('retry-after'), '1')
  assert.equal(errorResponse(new CinderError('invalid_argument', 'm')).headers.get('retry-after'), null)
  assert.equal(retryAfterSeconds('unavailable', 0), '1')
})

test('errors: what is not ours is logged and hidden', () => {
  const events: unknown[] = []
  const log = { info() {}, warn() {}, error: (event: string) => void events.push(event) }
  const known = new CinderError('not_found', 'm')
  assert.equal(toCinderError(known, log, 'x'), known)
  const hidden = toCinderError(new Error('password'), log, 'x')
  assert.equal(hidden.kind, 'internal')
  assert.equal(hidden.message, 'internal error')
  assert.deepEqual(events, ['request failed'])
})

test('ready: 200 ready, or 503 naming what is missing', async () => {
  let missing: string | undefined = 'waiting for postgres'
  const app = new Hono()
  mountReady(app, () => missing)
  const waiting = await app.request('/ready')
  assert.equal(waiting.status, 503)
  assert.equal(await waiting.text(), 'waiting for postgres')
  missing = undefined
  const ready = await app.request('/ready')
  assert.equal(ready.status, 200)
  assert.equal(await ready.text(), 'ready')
  assert.match(ready.headers.get('content-type') ?? '', /^text\/plain/)
})
