/**
 * The OpenTelemetry Collector with its OTLP exporters, unmodified, against whole services over a real Postgres and files:
 * gRPC and HTTP on one port, in clear text and with TLS, every compression that it shares with us, protobuf and JSON, its
 * queue, batches and retries; and what it makes of refusals.
 *
 * Each exporter is a tenant, so that one request to the Collector tells all of them apart.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { ProfileVerdict, WriteRequest } from '#core/rpc/segment-writer.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { serveHttp2, type ServerTls } from '#platform/http/serve.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { absentOpenssl, makeAuthority } from '../../support/certificates.ts'
import { absentCollector, type Exporters, startCollector } from '../../support/otel-collector.ts'
import { buildOtlp } from '../../support/otlp.ts'
import { askFlameGraph, type Send } from '../../support/server-client.ts'
import { createServiceStack } from '../../support/service-stack.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { STORED } from '../../support/verdicts.ts'

const OPTIONS = { timeout: 240_000, skip: absentCollector() }
const LIMIT_BYTES = 16 * 1024 * 1024
const TYPE = 'wall:wall:nanoseconds::'
const REQUESTS = 3
/** Of a request, one sample each. */
const PROFILES = 50
const TOO_OLD: ProfileVerdict = { ...STORED, status: 'rejected', kind: 'invalid_argument', message: 'too old' }

const stops: (() => Promise<unknown> | void)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

async function listen(send: Send, tls?: ServerTls): Promise<URL> {
  const app = new Hono()
  app.all('*', async ({ req: { raw } }) => {
    const { pathname, search } = new URL(raw.url)
    const body = await raw.arrayBuffer()
    return await send(`${pathname}${search}`, { method: raw.method, headers: raw.headers, body })
  })
  const part = await serveHttp2({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: LIMIT_BYTES, tls })
  stops.push(() => part.stop())
  return new URL(part.url)
}

/** Profile i has one sample of the value i + 1 in `leaf-i`. */
function requestOf(from: number): Uint8Array {
  const nowNanos = BigInt(Date.now()) * 1_000_000n
  const profiles = Array.from({ length: PROFILES }, (_, i) => ({
    type: ['wall', 'nanoseconds'] as const,
    timeNanos: nowNanos + BigInt(from + i),
    durationNanos: 1_000_000_000n,
    samples: [
      {
        stack: [`leaf-${from + i}`, 'middle', 'main'],
        values: [BigInt(from + i + 1)],
        attributes: { 'thread.name': 'worker' },
        link: { traceId: new Uint8Array(16).fill(i + 1), spanId: new Uint8Array(8).fill(i + 1) },
      },
    ],
  }))
  return buildOtlp({ resources: [{ attributes: { 'service.name': 'shop' }, scopes: [{ profiles }] }] })
}

const GRPC = ['none', 'gzip', 'zstd'].map((compression) => `otlp_grpc/${compression}`)
const HTTP = ['proto', 'json'].flatMap((encoding) =>
  ['none', 'gzip', 'zstd', 'deflate'].map((compression) => `otlp_http/${encoding}-${compression}`),
)
const BATCHED = ['otlp_grpc/batched', 'otlp_http/batched']

/** Tries are as close as a refusal allows, and none is given up because the machine is busy; all else is as it comes. */
const PATIENT = { timeout: '2m', retry_on_failure: { initial_interval: '1ms' } }
/** All requests in one, once they are there. */
const BATCH = { batch: { min_size: REQUESTS * PROFILES, flush_timeout: '10m' } }

function exportersTo(at: URL, names: readonly string[], tls: object = { insecure: true }): Exporters {
  return Object.fromEntries(
    names.map((name) => {
      const [type, way] = name.split('/') as [string, string]
      const isGrpc = type === 'otlp_grpc'
      const words = way.split('-')
      const compression = words.find((word) => !['proto', 'json', 'batched'].includes(word))
      const exporter = {
        endpoint: isGrpc ? at.host : at.origin,
        tls,
        headers: { 'X-Scope-OrgID': tenantOf(name) },
        ...PATIENT,
        ...(compression !== undefined && { compression }),
        ...(words[0] === 'json' && { encoding: 'json' }),
        ...(words[0] === 'batched' && { sending_queue: BATCH }),
      }
      return [name, exporter]
    }),
  )
}

function tenantOf(exporter: string): string {
  return exporter.replace('/', '-')
}

/** The first answer of every tenant is lost behind the services: the retry must not count again. */
function losingAnswers(send: Send, expected: number): { readonly send: Send; readonly delivered: Promise<void> } {
  const lost = new Set<string>()
  const delivered = Promise.withResolvers<void>()
  let left = expected
  return {
    async send(path, init) {
      const answer = await send(path, init)
      const tenant = new Headers(init?.headers).get('x-scope-orgid')!
      if (!lost.has(tenant)) {
        lost.add(tenant)
        return Response.json({ code: 'unavailable' }, { status: 503, headers: { 'Retry-After': '1' } })
      }
      if (answer.ok && --left === 0) delivered.resolve()
      return answer
    },
    delivered: delivered.promise,
  }
}

async function exportAndAsk(names: readonly string[], tls?: ServerTls, clientTls?: object): Promise<void> {
  const stack = await createServiceStack({}, undefined, { multitenancy: true })
  stops.push(() => stack.close())
  const calls = names.length * REQUESTS - names.filter((name) => BATCHED.includes(name)).length * (REQUESTS - 1)
  const { send, delivered } = losingAnswers(stack.send, calls)
  const collector = await startCollector(exportersTo(await listen(send, tls), names, clientTls))
  for (let i = 0; i < REQUESTS; i++) await collector.send(requestOf(i * PROFILES))
  await delivered
  const { exported } = await collector.stop()
  for (const name of names) {
    assert.deepEqual(exported.get(name), { sent: REQUESTS * PROFILES, failed: 0 }, name)
    const question = { profileTypeID: TYPE, labelSelector: '{service_name="shop"}', maxNodes: 10_000 }
    const { nodes } = await askFlameGraph(stack.send, question, tenantOf(name))
    const leaves = nodes.filter(({ self }) => self > 0n)
    assert.equal(leaves.length, REQUESTS * PROFILES, name)
    for (const { path, self } of leaves) {
      assert.deepEqual(path.slice(1), ['main', 'middle', `leaf-${Number(self) - 1}`], name)
    }
  }
}

test('every encoding, compression and batch over gRPC and HTTP counts once, though answers are lost', OPTIONS, () =>
  exportAndAsk([...GRPC, ...HTTP, ...BATCHED]),
)

test('and with TLS', { ...OPTIONS, skip: OPTIONS.skip || absentOpenssl() }, async () => {
  const authority = makeAuthority()
  const { certPath, keyPath } = authority.issue('server')
  const tls = { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
  await exportAndAsk(['otlp_grpc/gzip', 'otlp_http/proto-gzip'], tls, { ca_file: authority.caPath })
})

interface Refusing {
  readonly at: URL
  readonly calls: ReadonlyMap<string, number>
}

/** A distributor whose writer answers a tenant's calls by their number. */
async function openRefusing(verdictsOf: (call: number, profiles: number) => ProfileVerdict[]): Promise<Refusing> {
  const calls = new Map<string, number>()
  const app = createDistributor(
    {
      writer: {
        async write({ tenant, series }: WriteRequest) {
          const call = calls.get(tenant) ?? 0
          calls.set(tenant, call + 1)
          return { verdicts: verdictsOf(call, series.length) }
        },
      },
      clock: createClock(),
      log: createSilentLog(),
      compression: nodeCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: LIMIT_BYTES },
  )
  return { at: await listen(async (path, init) => await app.request(path, init)), calls }
}

const PLAIN = ['otlp_grpc/none', 'otlp_http/proto-none', 'otlp_http/json-none']

test('a limit and a full writer are waited for as long as they say; a refused part is told', OPTIONS, async () => {
  const refusals = [
    new CinderError('resource_exhausted', 'over its rate', { retryAfterMs: 1_000 }),
    new CinderError('unavailable', 'full', { retryAfterMs: 2_000 }),
  ]
  const taken = Promise.withResolvers<void>()
  let left = PLAIN.length
  const { at } = await openRefusing((call, profiles) => {
    const refusal = refusals[call]
    if (refusal !== undefined) throw refusal
    if (--left === 0) taken.resolve()
    return Array.from({ length: profiles }, (_, i) => (i === 1 ? TOO_OLD : STORED))
  })
  const collector = await startCollector(exportersTo(at, PLAIN))
  await collector.send(requestOf(0))
  await taken.promise
  const { lines, exported } = await collector.stop()
  for (const name of PLAIN) {
    const own = lines.filter((line) => line['otelcol.component.id'] === name)
    const tries = own.filter(({ msg }) => /Will retry/.test(msg))
    assert.deepEqual(
      tries.map(({ interval }) => interval),
      ['1s', '2s'],
      name,
    )
    const partial = own.filter(({ msg }) => /Partial success/.test(msg))
    assert.deepEqual(
      // Of HTTP it calls them samples.
      partial.map((line) => [line.dropped_profiles ?? line.dropped_samples, line.message]),
      [[1, 'too old']],
      name,
    )
    // What was refused of a request that was taken, the Collector counts as sent.
    assert.deepEqual(exported.get(name), { sent: PROFILES, failed: 0 }, name)
  }
})

/** What the Collector tells of a refusal: of errors in JSON the status alone; and compressions of its that we have not. */
const REASONS: Readonly<Record<string, RegExp>> = {
  'otlp_grpc/none': /InvalidArgument desc = too old/,
  'otlp_http/proto-none': /HTTP Status Code 400.*too old/,
  'otlp_http/json-none': /HTTP Status Code 400/,
  'otlp_grpc/snappy': /unknown compression/,
  'otlp_http/proto-lz4': /HTTP Status Code 415/,
}

test('what no retry mends is sent once, dropped and counted', OPTIONS, async () => {
  const { at, calls } = await openRefusing((_, profiles) => Array.from({ length: profiles }, () => TOO_OLD))
  const collector = await startCollector(exportersTo(at, Object.keys(REASONS)))
  await collector.send(requestOf(0))
  const { lines, exported } = await collector.stop()
  assert.deepEqual([...calls].sort(), PLAIN.map((name) => [tenantOf(name), 1]).sort())
  for (const name of Object.keys(REASONS)) {
    const own = lines.filter((line) => line['otelcol.component.id'] === name && line.level === 'error')
    assert.deepEqual(
      own.map((line) => line.dropped_items),
      [PROFILES],
      name,
    )
    assert.match(own[0]!.error!, REASONS[name]!, name)
    assert.deepEqual(exported.get(name), { sent: 0, failed: PROFILES }, name)
  }
})
