/**
 * The same answers from Bun, Deno and workerd: both edge apps as real processes of each, before one segment-writer,
 * metastore and query-backend. Every expectation is exact and written once, so that no runtime can differ from another.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { decodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { MIB } from '#core/units.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import {
  ProfileFormat,
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { buildPprof } from '../support/profiles.ts'
import {
  callRpc,
  expectOk,
  type FlameGraphMessage,
  ingest,
  push,
  pushBody,
  readFlameGraph,
  recentRange,
  SAMPLES,
  type Send,
} from '../support/server-client.ts'
import { prepareRuntimes, RUNTIMES, type Runtime } from './edge-command.ts'
import { type EdgeProcess, startEdge } from './edge-process.ts'
import { type Fleet, startFleet, TENANT_DOWN, TENANT_HANGS, TENANT_SLOW } from './fleet.ts'

const REGIONAL_URL = 'https://eu.profiles.example'
const BODY_LIMIT_BYTES = 24 * MIB
const PUSH = '/push.v1.PusherService/Push'
const STACKTRACES = '/querier.v1.QuerierService/SelectMergeStacktraces'

interface Edge {
  readonly distributor: EdgeProcess
  readonly frontend: EdgeProcess
}

let fleet: Fleet
const edges = new Map<Runtime, Edge>()

before(async () => {
  prepareRuntimes()
  fleet = await startFleet()
  const tenancy = { CINDER_MULTITENANCY: 'true' }
  for (const runtime of RUNTIMES) {
    // Bun has the limit of a server unless it is told; the others have that of a worker, whatever they are told.
    const limits = runtime === 'bun' ? { CINDER_LIMITS: JSON.stringify({ bodyLimitBytes: BODY_LIMIT_BYTES }) } : {}
    const [distributor, frontend] = await Promise.all([
      startEdge(runtime, 'distributor', { WRITER_URL: fleet.url, REGIONAL_URL, ...tenancy, ...limits }),
      startEdge(runtime, 'query-frontend', { METASTORE_URL: fleet.url, QUERY_BACKEND_URL: fleet.url, ...tenancy }),
    ])
    edges.set(runtime, { distributor, frontend })
  }
  // A rate may be passed once: what came too fast is waited for afterwards.
  await expectOk(push(edges.get('bun')!.distributor.send, [{ labels: LABELS, profiles: [profile(1)] }], TENANT_SLOW))
})

after(async () => {
  for (const { distributor, frontend } of edges.values()) await Promise.all([distributor.stop(), frontend.stop()])
  await fleet.stop()
})

/** Profiles differ by their value, so that none is the retry of another. */
function profile(value: number, stack = ['work', 'main']): Uint8Array {
  return buildPprof({ timeNanos: BigInt(Date.now()) * 1_000_000n, samples: [{ stack, values: [value] }] })
}

const LABELS = { __name__: 'process_cpu', service_name: 'shop', pod: 'a' }

async function total(frontend: EdgeProcess, tenant: string, service: string): Promise<bigint> {
  const question = { profileTypeID: SAMPLES, labelSelector: `{service_name="${service}"}`, ...recentRange() }
  const answer = await expectOk(callRpc(frontend.send, STACKTRACES.slice(1), question, tenant))
  return readFlameGraph(answer.flamegraph ?? {}).total
}

interface Refusal {
  readonly what: string
  readonly app: keyof Edge
  readonly path: string
  readonly init?: RequestInit
  readonly status: number
  /** Of the JSON body; neither this nor `text` = an empty body. */
  readonly says?: { readonly code: string; readonly message: RegExp }
  readonly text?: RegExp
  readonly headers?: Readonly<Record<string, RegExp>>
}

const JSON_CALL = { 'Content-Type': 'application/json', 'X-Scope-OrgID': 'errors' }
const FORM = { 'Content-Type': 'multipart/form-data; boundary=x', 'X-Scope-OrgID': 'errors' }

function post(body: BodyInit, headers: Record<string, string> = JSON_CALL): RequestInit {
  return { method: 'POST', body, headers }
}

const REFUSALS: readonly Refusal[] = [
  { what: 'GET of a call', app: 'distributor', path: PUSH, status: 405, headers: { allow: /^POST$/ } },
  { what: 'GET of a query', app: 'frontend', path: STACKTRACES, status: 405, headers: { allow: /^POST$/ } },
  { what: 'GET /ingest', app: 'distributor', path: '/ingest?name=a', status: 405, headers: { allow: /^POST$/ } },
  {
    what: 'a content type that is none of ours',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Type': 'text/plain' }),
    status: 415,
    headers: { 'accept-post': /application\/json/ },
  },
  {
    what: 'an unknown path',
    app: 'frontend',
    path: '/nothing',
    status: 404,
    text: /^404 page not found\n$/,
  },
  {
    what: 'an empty push',
    app: 'distributor',
    path: PUSH,
    init: post('{}'),
    status: 400,
    says: { code: 'invalid_argument', message: /no profiles/ },
  },
  {
    what: 'half a JSON text',
    app: 'distributor',
    path: PUSH,
    init: post('{"series":['),
    status: 400,
    says: { code: 'invalid_argument', message: /unmarshal message/ },
  },
  {
    what: 'bytes that are no message',
    app: 'distributor',
    path: PUSH,
    init: post(new Uint8Array([0x0a, 0xff]), { ...JSON_CALL, 'Content-Type': 'application/proto' }),
    status: 400,
    says: { code: 'invalid_argument', message: /unmarshal message/ },
  },
  {
    what: 'a body that says gzip and is not',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Encoding': 'gzip' }),
    status: 400,
    says: { code: 'invalid_argument', message: /not valid gzip/ },
  },
  {
    what: 'a body that is half a gzip',
    app: 'distributor',
    path: PUSH,
    init: post(gzipSync('{"series":[]}').subarray(0, 20), { ...JSON_CALL, 'Content-Encoding': 'gzip' }),
    status: 400,
    says: { code: 'invalid_argument', message: /not valid gzip/ },
  },
  {
    what: 'an unknown compression',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Encoding': 'br' }),
    status: 501,
    says: { code: 'unimplemented', message: /gzip, identity/ },
  },
  {
    what: 'a profile that is none',
    app: 'distributor',
    path: PUSH,
    init: post(JSON.stringify(pushBody([{ labels: LABELS, profiles: [new Uint8Array([0xff, 0xff])] }]))),
    status: 400,
    says: { code: 'invalid_argument', message: /./ },
  },
  {
    what: 'a push without a tenant',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { 'Content-Type': 'application/json' }),
    status: 401,
    says: { code: 'unauthenticated', message: /no org id/ },
  },
  {
    what: 'a push of two tenants',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'X-Scope-OrgID': 'a|b' }),
    status: 401,
    says: { code: 'unauthenticated', message: /multiple org IDs/ },
  },
  {
    what: 'a query without a tenant',
    app: 'frontend',
    path: STACKTRACES,
    init: post('{}', { 'Content-Type': 'application/json' }),
    status: 401,
    says: { code: 'unauthenticated', message: /no org id/ },
  },
  {
    what: 'a tenant with a slash',
    app: 'distributor',
    path: '/ingest?name=a&format=pprof',
    init: post('x', { 'X-Scope-OrgID': 'a/b' }),
    status: 401,
    says: { code: 'unauthenticated', message: /unsupported character '\/'/ },
  },
  {
    what: '/ingest without a name',
    app: 'distributor',
    path: '/ingest?format=pprof',
    init: post('x'),
    status: 400,
    says: { code: 'invalid_argument', message: /name/ },
  },
  {
    what: '/ingest of JSON',
    app: 'distributor',
    path: '/ingest?name=app',
    init: post('{}'),
    status: 415,
    says: { code: 'unknown', message: /multipart\/form-data/ },
  },
  {
    what: '/ingest of a format that is not accepted',
    app: 'distributor',
    path: '/ingest?name=app&format=trie',
    init: post('x'),
    status: 422,
    says: { code: 'unknown', message: /"trie"/ },
  },
  {
    what: '/ingest of a form without its delimiter',
    app: 'distributor',
    path: '/ingest?name=app',
    init: post('y', FORM),
    status: 422,
    says: { code: 'unknown', message: /form cannot be read/ },
  },
  {
    what: 'a query of a profile type that is none',
    app: 'frontend',
    path: STACKTRACES,
    init: post(JSON.stringify({ ...recentRange(), profileTypeID: 'cpu', labelSelector: '{}' })),
    status: 400,
    says: { code: 'invalid_argument', message: /profile/ },
  },
  {
    what: 'a selector that does not parse',
    app: 'frontend',
    path: STACKTRACES,
    init: post(JSON.stringify({ ...recentRange(), profileTypeID: SAMPLES, labelSelector: '{a=' })),
    status: 400,
    says: { code: 'invalid_argument', message: /./ },
  },
  {
    what: 'a query of a format that is not answered',
    app: 'frontend',
    path: STACKTRACES,
    init: post(
      JSON.stringify({ ...recentRange(), profileTypeID: SAMPLES, labelSelector: '{}', format: 'PROFILE_FORMAT_DOT' }),
    ),
    status: 501,
    says: { code: 'unimplemented', message: /DOT/ },
  },
]

async function expectRefusal(send: Send, refusal: Refusal): Promise<void> {
  const response = await send(refusal.path, refusal.init)
  const text = await response.text()
  assert.equal(response.status, refusal.status, `${refusal.what}: ${text}`)
  for (const [name, value] of Object.entries(refusal.headers ?? {})) {
    assert.match(response.headers.get(name) ?? '', value, refusal.what)
  }
  if (refusal.says === undefined) {
    assert.match(text, refusal.text ?? /^$/, refusal.what)
    return
  }
  const error = JSON.parse(text) as { code: string; message: string }
  assert.equal(error.code, refusal.says.code, refusal.what)
  assert.match(error.message, refusal.says.message, refusal.what)
}

/** Sends a head that states a length and no body, as a client does that waits; resolves to the answer's text. */
function answerToHead(url: string, path: string, contentLength: number): Promise<string> {
  const { hostname, port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, 'X-Scope-OrgID: large', 'Content-Type: application/proto']
      socket.write(`${[...head, `Content-Length: ${contentLength}`].join('\r\n')}\r\n\r\n`)
    })
    socket.setEncoding('utf8').on('error', reject)
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes(REGIONAL_URL)) socket.destroy()
    })
    socket.on('close', () => resolve(text))
  })
}

for (const runtime of RUNTIMES) {
  describe(runtime, () => {
    const edge = () => edges.get(runtime)!
    const tenant = `tenant-${runtime}`

    test('is ready', async () => {
      for (const each of [edge().distributor, edge().frontend]) {
        const response = await each.send('/ready')
        assert.equal(await response.text(), 'ready')
        assert.equal(response.status, 200)
      }
    })

    test('takes a push as protobuf and as JSON, plain and gzip', async () => {
      const { distributor, frontend } = edge()
      const series = (value: number) => [{ labels: LABELS, profiles: [gzipSync(profile(value))] }]
      for (const [type, values] of [
        ['json', [1, 2]],
        ['proto', [4, 8]],
      ] as const) {
        for (const value of values) {
          const isGzip = value === values[1]
          const body = type === 'json' ? Buffer.from(JSON.stringify(pushBody(series(value)))) : protoPush(series(value))
          const headers = { 'Content-Type': `application/${type}`, 'X-Scope-OrgID': tenant }
          const response = await distributor.send(PUSH, {
            method: 'POST',
            headers: isGzip ? { ...headers, 'Content-Encoding': 'gzip' } : headers,
            body: isGzip ? gzipSync(body) : Uint8Array.from(body),
          })
          const answer = await response.text()
          assert.equal(response.status, 200, answer)
          assert.equal(answer, type === 'json' ? '{}' : '')
          assert.equal(response.headers.get('content-type'), `application/${type}`)
        }
      }
      assert.equal(await total(frontend, tenant, 'shop'), 15n)
    })

    test('counts a push that is sent again once', async () => {
      const { distributor, frontend } = edge()
      const series = [{ labels: { ...LABELS, service_name: 'twice' }, profiles: [profile(5)] }]
      await expectOk(push(distributor.send, series, tenant))
      await expectOk(push(distributor.send, series, tenant))
      assert.equal(await total(frontend, tenant, 'twice'), 5n)
    })

    test('takes /ingest as a form and as the body, plain and gzip', async () => {
      const { distributor, frontend } = edge()
      const withTenant: Send = (path, init) => {
        return distributor.send(path, { ...init, headers: { ...(init?.headers as object), 'X-Scope-OrgID': tenant } })
      }
      const query = { name: 'ingested.cpu{pod=b}', spyName: 'gospy' }
      const form = await ingest(withTenant, query, profile(1))
      const raw = `/ingest?${new URLSearchParams({ ...query, format: 'pprof' })}`
      const plain = await withTenant(raw, { method: 'POST', body: Uint8Array.from(profile(2)) })
      const outer = { 'Content-Encoding': 'gzip', 'Content-Type': 'application/octet-stream' }
      const gzip = await withTenant(raw, { method: 'POST', body: gzipSync(gzipSync(profile(4))), headers: outer })
      for (const response of [form, plain, gzip]) {
        assert.equal(await response.text(), '')
        assert.equal(response.status, 200)
      }
      assert.equal(await total(frontend, tenant, 'ingested.cpu'), 7n)
    })

    test('refuses what is wrong, and says why', async () => {
      for (const refusal of REFUSALS) await expectRefusal(edge()[refusal.app].send, refusal)
    })

    test('says when to come back', async () => {
      const { send } = edge().distributor
      const series = (value: number) => [{ labels: LABELS, profiles: [profile(value)] }]
      const down = await push(send, series(1), TENANT_DOWN)
      assert.equal(down.status, 503)
      assert.equal(down.headers.get('retry-after'), '3')
      assert.equal(((await down.json()) as { code: string }).code, 'unavailable')

      const slow = await push(send, series(2), TENANT_SLOW)
      assert.equal(slow.status, 429, await slow.text())
      assert.match(slow.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
      const writes = fleet.writes(TENANT_SLOW)
      const again = await send('/ingest?name=a&format=pprof', {
        method: 'POST',
        body: 'x',
        headers: { 'X-Scope-OrgID': TENANT_SLOW },
      })
      assert.equal(again.status, 429, await again.text())
      assert.match(again.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
      assert.equal(fleet.writes(TENANT_SLOW), writes, 'the edge remembers')
    })

    test('names the regional endpoint to a body over the limit', async () => {
      const { distributor } = edge()
      const stated = await answerToHead(distributor.url, PUSH, BODY_LIMIT_BYTES + 1)
      assert.match(stated, /^HTTP\/1\.1 400 /)
      assert.match(
        stated,
        new RegExp(`${BODY_LIMIT_BYTES + 1} bytes is larger than the allowed ${BODY_LIMIT_BYTES} bytes`),
      )
      const ingested = await answerToHead(distributor.url, '/ingest?name=a&format=pprof', BODY_LIMIT_BYTES + 1)
      assert.match(ingested, /^HTTP\/1\.1 413 /)

      const bomb = gzipSync(new Uint8Array(BODY_LIMIT_BYTES + 1))
      for (const [path, status] of [
        [PUSH, 400],
        ['/ingest?name=a&format=pprof', 413],
      ] as const) {
        const headers = { 'Content-Type': 'application/proto', 'Content-Encoding': 'gzip', 'X-Scope-OrgID': 'large' }
        const response = await distributor.send(path, { method: 'POST', headers, body: bomb })
        assert.match(
          await response.text(),
          new RegExp(`${BODY_LIMIT_BYTES} bytes; send larger bodies to ${REGIONAL_URL}`),
        )
        assert.equal(response.status, status)
      }
    })

    test('answers flame graph, tree, series, labels and types alike', async () => {
      const { distributor, frontend } = edge()
      const mine = `questions-${runtime}`
      await expectOk(
        push(
          distributor.send,
          [
            { labels: { ...LABELS, pod: 'a' }, profiles: [profile(3), profile(4, ['idle', 'main'])] },
            { labels: { ...LABELS, pod: 'b' }, profiles: [profile(5, ['größe', 'work', 'main'])] },
          ],
          mine,
        ),
      )
      await checkFlameGraph(frontend, mine)
      await checkSeries(frontend, mine)
      await checkMetadata(frontend, mine)
    })

    test('compresses an answer for a client that takes it', async () => {
      const { distributor, frontend } = edge()
      const mine = `wide-${runtime}`
      const samples = Array.from({ length: 200 }, (_, i) => ({ stack: [`function ${i}`, 'main'], values: [1] }))
      const wide = buildPprof({ timeNanos: BigInt(Date.now()) * 1_000_000n, samples })
      await expectOk(push(distributor.send, [{ labels: LABELS, profiles: [wide] }], mine))
      const body = JSON.stringify({ profileTypeID: SAMPLES, labelSelector: '{}', ...recentRange() })
      const raw = await rawAnswer(frontend.url, STACKTRACES, { tenant: mine, body })
      assert.match(raw.head, /\r\ncontent-encoding: gzip/i)
      assert.match(raw.head, /\r\nvary: accept-encoding/i)
      const answer = JSON.parse(gunzipSync(raw.body).toString()) as { flamegraph: object }
      assert.equal(readFlameGraph(answer.flamegraph).nodes.length, 202)
    })

    test('cancels a query whose client has left', async () => {
      const { distributor, frontend } = edge()
      await expectOk(push(distributor.send, [{ labels: LABELS, profiles: [profile(1)] }], TENANT_HANGS))
      const arriving = fleet.nextHangingQuery()
      const client = new AbortController()
      const body = JSON.stringify({ profileTypeID: SAMPLES, labelSelector: '{}', ...recentRange() })
      const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': TENANT_HANGS }
      const answer = frontend.send(STACKTRACES, { method: 'POST', headers, body, signal: client.signal })
      const { cancelled } = await arriving
      const leftMs = performance.now()
      client.abort()
      await assert.rejects(answer)
      await cancelled
      // The deadline of the call would end it too, in 30 s.
      assert.ok(performance.now() - leftMs < 10_000)
    })
  })
}

function protoPush(series: Parameters<typeof pushBody>[0]): Uint8Array {
  const message = create(PushRequestSchema, {
    series: series.map(({ labels, profiles }) => ({
      labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
      samples: profiles.map((rawProfile) => ({ rawProfile })),
    })),
  })
  return toBinary(PushRequestSchema, message)
}

const NODES = [
  'total 12 0',
  'total;main 12 0',
  'total;main;idle 4 4',
  'total;main;work 8 3',
  'total;main;work;größe 5 5',
]

function linesOf(message: FlameGraphMessage): string[] {
  return readFlameGraph(message).nodes.map(({ path, total, self }) => `${path.join(';')} ${total} ${self}`)
}

async function checkFlameGraph(frontend: EdgeProcess, tenant: string): Promise<void> {
  const question = { profileTypeID: SAMPLES, labelSelector: '{service_name="shop"}' }
  const json = await expectOk(callRpc(frontend.send, STACKTRACES.slice(1), { ...question, ...recentRange() }, tenant))
  assert.deepEqual(linesOf(json.flamegraph as FlameGraphMessage), NODES)

  const ask = async (format: ProfileFormat) => {
    const { start, end } = recentRange()
    const request = { ...question, start: BigInt(start), end: BigInt(end), format }
    const body = toBinary(
      SelectMergeStacktracesRequestSchema,
      create(SelectMergeStacktracesRequestSchema, request),
    ) as Uint8Array<ArrayBuffer>
    const headers = { 'Content-Type': 'application/proto', 'X-Scope-OrgID': tenant }
    const response = await frontend.send(STACKTRACES, { method: 'POST', headers, body })
    assert.equal(response.status, 200)
    return fromBinary(SelectMergeStacktracesResponseSchema, new Uint8Array(await response.arrayBuffer()))
  }
  assert.deepEqual(linesOf((await ask(ProfileFormat.FLAMEGRAPH)).flamegraph!), NODES)
  const tree = decodeTreeFormat((await ask(ProfileFormat.TREE)).tree)
  const totals = tree.totals()
  const seen = Array.from({ length: tree.nodeCount }, (_, node) => {
    const name = new TextDecoder().decode(tree.names.viewBytes(tree.nodeName[node]!))
    return `${name} ${getBigInt(totals, node)} ${getBigInt(tree.self, node)}`
  })
  assert.deepEqual(seen.sort(), [' 12 0', 'größe 5 5', 'idle 4 4', 'main 12 0', 'work 8 3'])
}

async function checkSeries(frontend: EdgeProcess, tenant: string): Promise<void> {
  const question = { profileTypeID: SAMPLES, labelSelector: '{}', groupBy: ['pod'], step: 15, ...recentRange() }
  const answer = await expectOk(callRpc(frontend.send, 'querier.v1.QuerierService/SelectSeries', question, tenant))
  const series = answer.series as { labels: { name: string; value: string }[]; points: { value: number }[] }[]
  const sums = series.map(({ labels, points }) => [
    labels.map(({ name, value }) => `${name}=${value}`).join(),
    points.reduce((sum, { value }) => sum + value, 0),
  ])
  assert.deepEqual(sums.sort(), [
    ['pod=a', 7],
    ['pod=b', 5],
  ])
}

async function checkMetadata(frontend: EdgeProcess, tenant: string): Promise<void> {
  const ask = (method: string, request: object) =>
    expectOk(callRpc(frontend.send, `querier.v1.QuerierService/${method}`, { ...recentRange(), ...request }, tenant))
  assert.deepEqual((await ask('LabelValues', { name: 'pod' })).names, ['a', 'b'])
  const { names } = (await ask('LabelNames', { matchers: ['{pod="b"}'] })) as { names: string[] }
  for (const name of ['pod', 'service_name', '__profile_type__']) assert.ok(names.includes(name), `${name} in ${names}`)
  const { profileTypes } = (await ask('ProfileTypes', {})) as { profileTypes: { ID: string }[] }
  assert.deepEqual(
    profileTypes.map(({ ID }) => ID),
    [SAMPLES],
  )
  // A regular expression goes through the RE2 port, the largest part of the bundle.
  const series = await ask('Series', { matchers: ['{pod=~"[b-z]"}'], labelNames: ['pod', 'service_name'] })
  assert.deepEqual(series.labelsSet, [
    {
      labels: [
        { name: 'pod', value: 'b' },
        { name: 'service_name', value: 'shop' },
      ],
    },
  ])
}

/** `fetch` inflates an answer and hides that it was compressed; this does not. */
async function rawAnswer(
  url: string,
  path: string,
  { tenant, body }: { tenant: string; body: string },
): Promise<{ head: string; body: Uint8Array }> {
  const { hostname, port, host } = new URL(url)
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, `X-Scope-OrgID: ${tenant}`, 'Connection: close']
      head.push('Content-Type: application/json', 'Accept-Encoding: gzip', `Content-Length: ${body.length}`)
      socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
    })
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks)))
  })
  const end = bytes.indexOf('\r\n\r\n')
  const head = bytes.subarray(0, end).toString('latin1')
  const rest = bytes.subarray(end + 4)
  return { head, body: /\r\ntransfer-encoding: chunked/i.test(head) ? joinChunks(rest) : rest }
}

function joinChunks(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (length === 0) break
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
  return Buffer.concat(chunks)
}
