/** OTLP over gRPC as busy exporters send it: many streams, large messages, clients that leave, deadlines, refusals. */
import assert from 'node:assert/strict'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { after, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { ProfileVerdict, WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { createDistributor } from '../../../../apps/distributor/app.ts'
import { buildOtlp } from '../../../support/otlp.ts'
import { createSilentLog } from '../../../support/silent-log.ts'
import { STORED } from '../../../support/verdicts.ts'

const EXPORT = '/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export'
const MIB = 1024 * 1024
const REQUESTS = 300
/** At once, below what a connection may have. */
const STREAMS = 150
const stops: (() => Promise<unknown> | void)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

type Write = (request: WriteRequest) => Promise<readonly ProfileVerdict[]>

async function open(write: Write): Promise<{ client: ClientHttp2Session; stop: () => Promise<void> }> {
  const app = new Hono()
  const distributor = createDistributor(
    {
      writer: { write: async (request) => ({ verdicts: [...(await write(request))] }) },
      clock: { nowMs: () => 0 },
      log: createSilentLog(),
      compression: nodeCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: 64 * MIB },
  )
  app.mount('/', (request) => distributor.fetch(request), { replaceRequest: false })
  const part = await serveHttp2({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 64 * MIB })
  const client = connect(part.url)
  client.on('error', () => {})
  let isStopped = false
  const stop = async () => {
    if (isStopped) return
    isStopped = true
    client.destroy()
    await part.stop()
  }
  stops.push(stop)
  return { client, stop }
}

function requestOf(name: string, functionBytes = 10, profiles = 1): Uint8Array {
  const stack = [`${name}-${'x'.repeat(functionBytes)}`]
  const profile = { type: ['wall', 'nanoseconds'], samples: [{ stack, values: [7n] }] } as const
  const scopes = [{ profiles: Array.from({ length: profiles }, () => profile) }]
  return buildOtlp({ resources: [{ attributes: { 'service.name': name }, scopes }] })
}

interface Answer {
  readonly status: string
  readonly trailers: Record<string, unknown>
}

function start(client: ClientHttp2Session, message: Uint8Array, encoding?: string, headers = {}): ClientHttp2Stream {
  const framed = new Uint8Array(5 + message.length)
  framed[0] = encoding === undefined ? 0 : 1
  new DataView(framed.buffer).setUint32(1, message.length)
  framed.set(message, 5)
  const grpc = { 'content-type': 'application/grpc', te: 'trailers', 'x-scope-orgid': 'team' }
  const stream = client.request({
    ':method': 'POST',
    ':path': EXPORT,
    ...grpc,
    ...(encoding && { 'grpc-encoding': encoding }),
    ...headers,
  })
  stream.end(framed)
  return stream
}

/** The status is that of the trailers; `reset` where the stream ended without. */
function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    let trailers: Record<string, unknown> = {}
    stream.on('trailers', (got) => (trailers = got as Record<string, unknown>))
    stream.on('error', () => {})
    stream.on('close', () => resolve({ status: String(trailers['grpc-status'] ?? 'reset'), trailers }))
    stream.resume()
  })
}

test('hundreds of streams of one connection are all answered, each with its own profiles', {
  timeout: 120_000,
}, async () => {
  const services = new Set<string>()
  const { client } = await open(async ({ series }) => {
    for (const { labels } of series) services.add(labels.find(({ name }) => name === 'service_name')!.value)
    return series.map(() => STORED)
  })
  let next = 0
  const answers: Answer[] = []
  const exporter = async () => {
    while (next < REQUESTS) answers.push(await answerOf(start(client, requestOf(`shop-${next++}`))))
  }
  await Promise.all(Array.from({ length: STREAMS }, exporter))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['0'])
  assert.equal(services.size, REQUESTS)
})

test('large messages are taken beside small ones, up to the limit', { timeout: 120_000 }, async () => {
  let largest = 0
  const { client } = await open(async ({ series }) => {
    largest = Math.max(largest, ...series.map(({ ingest }) => ingest!.dictionary!.length))
    return series.map(() => STORED)
  })
  const sizes = [6 * MIB, 10, 2 * MIB, 10, MIB, 500_000]
  const answers = await Promise.all(sizes.map((size, i) => answerOf(start(client, requestOf(`s${i}`, size)))))
  assert.deepEqual(
    answers.map(({ status }) => status),
    sizes.map(() => '0'),
  )
  assert.ok(largest > 6 * MIB)
  const many = await answerOf(start(client, requestOf('many', 10, 1_000)))
  assert.equal(many.status, '0')
})

test('streams that their clients cancel leave the others alone, and the port closes', {
  timeout: 120_000,
}, async () => {
  const gate = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let count = 0
  const { client, stop } = await open(async ({ series }) => {
    if (++count === 40) asked.resolve()
    await gate.promise
    return series.map(() => STORED)
  })
  const streams = Array.from({ length: 40 }, (_, i) => start(client, requestOf(`shop-${i}`)))
  const answers = streams.map(answerOf)
  await asked.promise
  streams.forEach((stream, i) => {
    if (i % 2 === 0) stream.close(constants.NGHTTP2_CANCEL)
  })
  const left = await Promise.all(answers.filter((_, i) => i % 2 === 0))
  assert.deepEqual([...new Set(left.map(({ status }) => status))], ['reset'])
  gate.resolve()
  const stayed = await Promise.all(answers.filter((_, i) => i % 2 === 1))
  assert.deepEqual([...new Set(stayed.map(({ status }) => status))], ['0'])
  assert.equal((await answerOf(start(client, requestOf('after')))).status, '0')
  await stop()
})

test('a limit and a full writer say when to come again, as gRPC does', { timeout: 60_000 }, async () => {
  const refusals: CinderError[] = [
    new CinderError('unavailable', 'full', { retryAfterMs: 1_000 }),
    new CinderError('resource_exhausted', 'over its rate', { retryAfterMs: 2_500 }),
  ]
  const { client } = await open(async () => {
    throw refusals.shift()!
  })
  const expected: [string, string, number][] = [
    ['14', 'full', 1],
    ['8', 'over its rate', 3],
  ]
  for (const [status, message, seconds] of expected) {
    const { trailers } = await answerOf(start(client, requestOf('shop')))
    assert.deepEqual([trailers['grpc-status'], decodeURIComponent(String(trailers['grpc-message']))], [status, message])
    const details = Buffer.from(String(trailers['grpc-status-details-bin']), 'base64').toString('latin1')
    // The last bytes are the delay's seconds: a duration of one field.
    assert.match(details, /google\.rpc\.RetryInfo/)
    assert.equal(details.charCodeAt(details.length - 1), seconds)
  }
})

test('messages may be gzip or zstd, and no other', { timeout: 60_000 }, async () => {
  let profiles = 0
  const { client } = await open(async ({ series }) => {
    profiles += series.length
    return series.map(() => STORED)
  })
  const message = requestOf('shop', 10, 3)
  const gzip = await answerOf(start(client, gzipSync(message), 'gzip'))
  const zstd = await answerOf(start(client, zstdCompressSync(message), 'zstd'))
  const broken = await answerOf(start(client, message, 'zstd'))
  const unknown = await answerOf(start(client, message, 'snappy'))
  assert.deepEqual(
    [gzip, zstd, broken, unknown].map(({ status }) => status),
    ['0', '0', '3', '12'],
  )
  assert.equal(profiles, 6)
})

test('a deadline of the client is answered when it is over, whatever the writer does', {
  timeout: 60_000,
}, async () => {
  const gate = Promise.withResolvers<void>()
  const { client } = await open(async ({ series }) => {
    await gate.promise
    return series.map(() => STORED)
  })
  const late = await answerOf(start(client, requestOf('shop'), undefined, { 'grpc-timeout': '200m' }))
  assert.equal(late.status, '4')
  gate.resolve()
  assert.equal((await answerOf(start(client, requestOf('shop'), undefined, { 'grpc-timeout': '1M' }))).status, '0')
})
