/**
 * What the OTLP exporters of the OpenTelemetry Collector are made of (its clients, messages and encodings; test/fixtures/programs/otlp-exporter)
 * against whole services over a real Postgres and files: gRPC and HTTP on one port, in clear text and with TLS, every
 * compression, protobuf and JSON; and the refusals that a retry mends.
 *
 * The program runs where `CINDER_TEST_OTLP_EXPORTER` names it. It is not the Collector: a module of its exporters
 * (`go.opentelemetry.io/collector/internal/statusutil`) was not to be had where this was written, and its queue and retries are
 * the program's own, by the rules of OTLP.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { ProfileVerdict, SegmentWriter } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp2, type ServerTls } from '#platform/http/serve.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { absentOpenssl, makeAuthority } from '../../support/certificates.ts'
import { startProgram } from '../../support/process.ts'
import { askFlameGraph, type Send } from '../../support/server-client.ts'
import { createServiceStack } from '../../support/service-stack.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const program = process.env.CINDER_TEST_OTLP_EXPORTER
/** Why its tests are passed over, where they are. */
const ABSENT = (program ?? '') === '' && 'the OTLP exporter is not built: CINDER_TEST_OTLP_EXPORTER does not name it'
const LIMIT_BYTES = 16 * 1024 * 1024
const PROFILES = 500
const TYPE = 'wall:wall:nanoseconds::'
const TIMEOUT = { timeout: 240_000 }
const STORED: ProfileVerdict = {
  status: 'stored',
  kind: '',
  reason: '',
  message: '',
  retryAfterMs: 0,
  decompressedBytes: 1,
}
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

/** Lines of the program. */
async function runExporter(at: URL, settings: Record<string, string>): Promise<readonly string[]> {
  const endpoint = settings.PROTOCOL === 'grpc' ? at.host : `${at.origin}/v1development/profiles`
  const env = { ...process.env, ENDPOINT: endpoint, TENANT_ID: 'team', ...settings }
  const running = startProgram({ command: [program!], env: { TIME_NANOS: String(Date.now() * 1_000_000), ...env } })
  assert.deepEqual(await running.exited, { code: 0, signal: null }, running.output())
  return running.output().trim().split('\n')
}

const OVER_GRPC = ['none', 'gzip', 'zstd'].map((COMPRESSION) => ({ PROTOCOL: 'grpc', COMPRESSION }))
const OVER_HTTP = ['proto', 'json'].flatMap((ENCODING) =>
  ['none', 'gzip', 'zstd', 'deflate'].map((COMPRESSION) => ({ PROTOCOL: 'http', ENCODING, COMPRESSION })),
)

async function exportAndAsk(at: URL, send: Send, way: Readonly<Record<string, string>>): Promise<void> {
  const service = Object.values(way)
    .filter((value) => !value.startsWith('/'))
    .join('-')
  const lines = await runExporter(at, { ...way, SERVICE: service, PROFILES: String(PROFILES) })
  assert.deepEqual(lines, ['exported, rejected 0 ""'], service)
  const question = { profileTypeID: TYPE, labelSelector: `{service_name="${service}"}`, maxNodes: 10_000 }
  const { nodes } = await askFlameGraph(send, question)
  const leaves = nodes.filter(({ self }) => self > 0n)
  assert.equal(leaves.length, PROFILES, service)
  for (const { path, self } of leaves) {
    assert.deepEqual(path.slice(1), ['main', 'middle', `leaf-${Number(self) - 1}`], service)
  }
}

/** Refused twice for what a retry mends, then taken but for one profile. */
async function exportThrottled(way: Readonly<Record<string, string>>): Promise<void> {
  const refusals = [
    new CinderError('resource_exhausted', 'over its rate', { retryAfterMs: 1_000 }),
    new CinderError('unavailable', 'full', { retryAfterMs: 1_000 }),
  ]
  const writer: SegmentWriter = {
    async write({ series }) {
      const refusal = refusals.shift()
      if (refusal !== undefined) throw refusal
      return { verdicts: series.map((_, i) => (i === 1 ? TOO_OLD : STORED)) }
    },
  }
  const app = createDistributor(
    {
      writer,
      clock: { nowMs: () => 0 },
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: LIMIT_BYTES },
  )
  const lines = await runExporter(await listen(async (path, init) => await app.request(path, init)), way)
  assert.deepEqual(
    lines.map((line) => line.split(':')[0]),
    ['throttled for 1s', 'throttled for 1s', 'exported, rejected 1 "too old"'],
  )
}

test('every encoding and compression over gRPC and HTTP, in clear text, stores all profiles', {
  ...TIMEOUT,
  skip: ABSENT,
}, async () => {
  const stack = await createServiceStack()
  stops.push(() => stack.close())
  const at = await listen(stack.send)
  await Promise.all([...OVER_GRPC, ...OVER_HTTP].map((way) => exportAndAsk(at, stack.send, way)))
})

test('and with TLS', { ...TIMEOUT, skip: ABSENT || absentOpenssl() }, async () => {
  const stack = await createServiceStack()
  stops.push(() => stack.close())
  const authority = makeAuthority()
  const { certPath, keyPath } = authority.issue('server')
  const at = await listen(stack.send, { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') })
  const way = { COMPRESSION: 'gzip', CA_FILE: authority.caPath }
  await Promise.all(['grpc', 'http'].map((PROTOCOL) => exportAndAsk(at, stack.send, { PROTOCOL, ...way })))
})

test('a limit and a full writer are waited for as long as they say; a refused part is told', {
  ...TIMEOUT,
  skip: ABSENT,
}, async () => {
  const plain = [...OVER_GRPC, ...OVER_HTTP].filter(({ COMPRESSION }) => COMPRESSION === 'none')
  await Promise.all(plain.map(exportThrottled))
})
