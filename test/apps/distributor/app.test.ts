/** What agents get for what they send: statuses, headers, and what reaches the writer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import type { ProfileVerdict, SegmentWriter, WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { buildPprof } from '../../support/profiles.ts'

const PUSH = '/push.v1.PusherService/Push'
const NOW_MS = 1_764_000_000_000
const PPROF = new Uint8Array([0x0a, 0x02, 0x08, 0x01, 0xff, 0x00])

function verdict(status: string, details: Partial<ProfileVerdict> = {}): ProfileVerdict {
  return { status, kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 0, ...details }
}

function rejection(kind: string, message: string, retryAfterMs = 0): ProfileVerdict {
  return verdict('rejected', { kind, reason: 'r', message, retryAfterMs })
}

interface Scene {
  answer: (request: WriteRequest) => ProfileVerdict[] | CinderError
  nowMs: number
  readonly received: WriteRequest[]
}

interface Options {
  readonly multitenancy?: boolean
  readonly bodyLimitBytes?: number
  readonly compression?: typeof codecCompression
}

function setUp(options: Options = {}) {
  const scene: Scene = {
    answer: (request) => request.series.flatMap((series) => series.profiles.map(() => verdict('stored'))),
    nowMs: NOW_MS,
    received: [],
  }
  const writer: SegmentWriter = {
    async write(request) {
      scene.received.push(request)
      const answer = scene.answer(request)
      if (answer instanceof CinderError) throw answer
      return { verdicts: answer }
    },
  }
  const app = createDistributor(
    {
      writer,
      clock: { nowMs: () => scene.nowMs },
      log: { info() {}, warn() {}, error() {} },
      compression: (options.compression ?? codecCompression)(createCodec()),
    },
    {
      multitenancy: options.multitenancy ?? false,
      bodyLimitBytes: options.bodyLimitBytes ?? 100_000,
      bodyLimitAdvice: 'send larger bodies to https://eu.example',
    },
  )
  const push = (series: MessageInitShape<typeof PushRequestSchema>['series'], headers: Record<string, string> = {}) =>
    app.request(PUSH, {
      method: 'POST',
      headers: { 'Content-Type': 'application/proto', ...headers },
      body: toBinary(PushRequestSchema, create(PushRequestSchema, { series: series! })) as Uint8Array<ArrayBuffer>,
    })
  const ingest = (query: Record<string, string>, init: { body?: BodyInit; headers?: Record<string, string> } = {}) =>
    app.request(`/ingest?${new URLSearchParams(query)}`, {
      method: 'POST',
      ...(init.headers === undefined ? {} : { headers: init.headers }),
      ...(init.body === undefined ? {} : { body: init.body }),
    })
  return { app, scene, push, ingest }
}

function form(parts: Record<string, Uint8Array<ArrayBuffer> | string>): FormData {
  const data = new FormData()
  for (const [name, content] of Object.entries(parts)) data.append(name, new Blob([content]), `${name}.bin`)
  return data
}

const ONE = [{ labels: [{ name: 'service_name', value: 'svc' }], samples: [{ rawProfile: PPROF, ID: 'id-1' }] }]

test('Push: labels, bytes and ids reach the writer as sent, in one call', async () => {
  const { push, scene } = setUp()
  const response = await push([
    {
      labels: [
        { name: 'b', value: '2' },
        { name: 'a', value: '' },
      ],
      samples: [{ rawProfile: PPROF }, { ID: 'x' }],
    },
    { labels: [], samples: [] },
    ...ONE,
  ])
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'application/proto')
  assert.equal((await response.arrayBuffer()).byteLength, 0)
  const [request, ...more] = scene.received
  assert.equal(more.length, 0)
  assert.equal(request!.tenant, 'anonymous')
  const seen = request!.series.map((series) => ({
    labels: series.labels.map(({ name, value }) => [name, value]),
    profiles: series.profiles.map(({ bytes, clientId }) => [[...bytes], clientId]),
    ingest: series.ingest,
  }))
  assert.deepEqual(seen, [
    {
      labels: [
        ['b', '2'],
        ['a', ''],
      ],
      profiles: [
        [[...PPROF], ''],
        [[], 'x'],
      ],
      ingest: undefined,
    },
    { labels: [['service_name', 'svc']], profiles: [[[...PPROF], 'id-1']], ingest: undefined },
  ])
})

test('Push: JSON is answered {}', async () => {
  const { app } = setUp()
  const body = JSON.stringify({ series: [{ samples: [{ rawProfile: 'AAA=' }] }] })
  const headers = { 'Content-Type': 'application/json' }
  const response = await app.request(PUSH, { method: 'POST', headers, body })
  assert.equal(response.status, 200)
  assert.equal(await response.text(), '{}')
})

test('Push: no profile at all is 400 and does not reach the writer', async () => {
  const { push, scene } = setUp()
  for (const series of [[], [{ labels: [{ name: 'a', value: 'b' }], samples: [] }]]) {
    const response = await push(series)
    assert.equal(response.status, 400)
    assert.deepEqual(await response.json(), { code: 'invalid_argument', message: 'no profiles received' })
  }
  assert.equal(scene.received.length, 0)
})

test('Push: verdicts to answers', async () => {
  const bad = rejection('invalid_argument', 'samples limit')
  const busy = rejection('resource_exhausted', 'rate', 1_200)
  const cases: [string, ProfileVerdict[] | CinderError, number, string | undefined, string | null][] = [
    ['all fine', [verdict('stored'), verdict('duplicate'), verdict('empty')], 200, undefined, null],
    ['first decides', [verdict('stored'), bad, rejection('failed_precondition', 'x')], 400, 'samples limit\nx', null],
    ['what a retry mends decides', [verdict('stored'), bad, busy], 429, 'samples limit\nrate', '2'],
    ['retryable first', [busy, bad], 429, 'rate\nsamples limit', '2'],
    ['same text once', [bad, bad, bad], 400, 'samples limit', null],
    ['unknown kind', [rejection('odd', 'm')], 500, 'm', null],
    ['writer away', new CinderError('unavailable', 'stopping', { retryAfterMs: 5_000 }), 503, 'stopping', '5'],
  ]
  for (const [name, answer, status, message, retryAfter] of cases) {
    const { push, scene } = setUp()
    scene.answer = () => answer
    const response = await push(ONE)
    assert.equal(response.status, status, name)
    assert.equal(response.headers.get('retry-after'), retryAfter, name)
    if (message !== undefined) assert.equal(((await response.json()) as { message: string }).message, message, name)
  }
})

test('Push: many different faults are counted past sixteen', async () => {
  const { push, scene } = setUp()
  scene.answer = () => Array.from({ length: 20 }, (_, i) => rejection('invalid_argument', `fault ${i}`))
  const { message } = (await (await push(ONE)).json()) as { message: string }
  assert.equal(message.split('\n').length, 17)
  assert.match(message, /and 4 more$/)
})

test('a tenant over its rate is refused at the edge until it may retry (H1)', async () => {
  const { push, ingest, scene } = setUp({ multitenancy: true })
  const tenant = { 'X-Scope-OrgID': 'a' }
  scene.answer = () => [rejection('resource_exhausted', 'rate limit', 3_000)]
  assert.equal((await push(ONE, tenant)).status, 429)
  scene.answer = () => [verdict('stored')]
  const held = await push(ONE, tenant)
  assert.equal(held.status, 429)
  assert.equal(held.headers.get('retry-after'), '3')
  scene.nowMs += 2_500
  const heldIngest = await ingest({ name: 'app' }, { headers: tenant, body: form({ profile: PPROF }) })
  assert.equal(heldIngest.status, 429)
  assert.equal(heldIngest.headers.get('retry-after'), '1')
  assert.equal(scene.received.length, 1)
  assert.equal((await push(ONE, { 'X-Scope-OrgID': 'b' })).status, 200)
  scene.nowMs += 500
  assert.equal((await push(ONE, tenant)).status, 200)
})

test('tenancy: 401 on every write route (H77)', async () => {
  const { push, ingest, scene } = setUp({ multitenancy: true })
  for (const id of [undefined, 'a/b', 'a|b', '..']) {
    const headers = id === undefined ? {} : { 'X-Scope-OrgID': id }
    for (const response of [await push([], headers), await ingest({}, { headers, body: 'a;b 1\n' })]) {
      assert.equal(response.status, 401)
      assert.equal(response.headers.get('content-type'), 'application/json')
      assert.equal(((await response.json()) as { code: string }).code, 'unauthenticated')
    }
  }
  assert.equal(scene.received.length, 0)
})

test('ingest: a form becomes one series with the labels of the name', async () => {
  const { ingest, scene } = setUp()
  const config = '{"cpu":{"units":"samples"}}'
  const response = await ingest(
    { name: 'my.app{env=golden,__x__=1,__session_id__=ff}', from: '1764000000123456789', spyName: 'gospy' },
    { body: form({ profile: PPROF, sample_type_config: config }) },
  )
  assert.equal(response.status, 200)
  assert.equal(await response.text(), '')
  const series = scene.received[0]!.series[0]!
  assert.deepEqual(
    series.labels.map(({ name, value }) => `${name}=${value}`),
    ['__delta__=false', '__session_id__=ff', 'env=golden', 'pyroscope_spy=gospy', 'service_name=my.app'],
  )
  assert.deepEqual(
    series.profiles.map((profile) => [...profile.bytes]),
    [[...PPROF]],
  )
  assert.equal(series.ingest!.spyName, 'gospy')
  assert.equal(series.ingest!.fromNanos, 1_764_000_000_123_456_789n)
  assert.equal(new TextDecoder().decode(series.ingest!.sampleTypeConfig), config)
})

test('ingest: defaults, service_name of the name, both paths', async () => {
  const { app, scene } = setUp()
  for (const path of ['/ingest', '/pyroscope/ingest']) {
    const url = `${path}?${new URLSearchParams({ name: 'my.app{service_name=billing,app_name=zzz}' })}`
    assert.equal((await app.request(url, { method: 'POST', body: form({ profile: PPROF }) })).status, 200)
  }
  for (const request of scene.received) {
    const labels = Object.fromEntries(request.series[0]!.labels.map(({ name, value }) => [name, value]))
    assert.deepEqual(labels, {
      __delta__: 'false',
      app_name: 'zzz',
      pyroscope_spy: 'unknown',
      service_name: 'billing',
    })
    assert.equal(request.series[0]!.ingest!.fromNanos, BigInt(NOW_MS) * 1_000_000n)
  }
  assert.equal(scene.received.length, 2)
})

test('ingest: nothing to store is 200 without a call', async () => {
  const { ingest, scene } = setUp()
  for (const parts of [{ profile: '' }, { other: 'x' }]) {
    assert.equal((await ingest({ name: 'app' }, { body: form(parts) })).status, 200)
  }
  assert.equal(scene.received.length, 0)
})

test('ingest: raw pprof, and forms with format=pprof', async () => {
  const { ingest, scene } = setUp()
  const octets = { 'Content-Type': 'application/octet-stream' }
  assert.equal((await ingest({ name: 'app', format: 'pprof' }, { headers: octets, body: PPROF })).status, 200)
  assert.equal((await ingest({ name: 'app', format: 'pprof' }, { body: form({ profile: PPROF }) })).status, 200)
  // from after until is accepted.
  assert.equal((await ingest({ name: 'app', from: '20', until: '10' }, { body: form({ profile: PPROF }) })).status, 200)
  for (const request of scene.received) assert.deepEqual([...request.series[0]!.profiles[0]!.bytes], [...PPROF])
  assert.equal(scene.received.length, 3)
})

test('ingest: gzip of the whole body, and a body that only claims it', async () => {
  const { ingest, scene } = setUp()
  const inner = new Request('http://x/', { method: 'POST', body: form({ profile: PPROF }) })
  const type = inner.headers.get('content-type')!
  const bytes = new Uint8Array(await inner.arrayBuffer())
  const headers = { 'Content-Type': type, 'Content-Encoding': 'gzip' }
  assert.equal((await ingest({ name: 'app' }, { headers, body: new Uint8Array(gzipSync(bytes)) })).status, 200)
  assert.equal((await ingest({ name: 'app' }, { headers, body: bytes })).status, 200)
  const broken = new Uint8Array([0x1f, 0x8b, 8, 0])
  assert.equal((await ingest({ name: 'app' }, { headers, body: broken })).status, 422)
  const zstd = { ...headers, 'Content-Encoding': 'zstd' }
  assert.equal((await ingest({ name: 'app' }, { headers: zstd, body: bytes })).status, 415)
  assert.equal(scene.received.length, 2)
})

test('bodies may be deflate, and zstd where the runtime knows it, on both ways in', async () => {
  const { app, ingest, scene } = setUp({ compression: nodeCompression })
  const message = toBinary(
    PushRequestSchema,
    create(PushRequestSchema, { series: [{ samples: [{ rawProfile: PPROF }] }] }),
  )
  const encodings: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
    // Case does not matter, and x-gzip is gzip (RFC 9110, 8.4.1).
    ['GZIP', gzipSync],
    ['x-gzip', gzipSync],
    ['Zstd', zstdCompressSync],
    ['Identity', (bytes) => bytes],
    ['', (bytes) => bytes],
  ]
  for (const [encoding, encode] of encodings) {
    const headers = { 'Content-Type': 'application/proto', 'Content-Encoding': encoding }
    const body = new Uint8Array(encode(message))
    assert.equal((await app.request(PUSH, { method: 'POST', headers, body })).status, 200, encoding)
    const octets = { 'Content-Encoding': encoding }
    assert.equal(
      (await ingest({ name: 'app', format: 'pprof' }, { headers: octets, body: new Uint8Array(encode(PPROF)) })).status,
      200,
    )
  }
  assert.equal(scene.received.length, 2 * encodings.length)
  for (const { series } of scene.received) assert.deepEqual([...series[0]!.profiles[0]!.bytes], [...PPROF])
  const brotli = { 'Content-Type': 'application/proto', 'Content-Encoding': 'br' }
  const refused = await app.request(PUSH, { method: 'POST', headers: brotli, body: message as Uint8Array<ArrayBuffer> })
  assert.equal(refused.status, 501)
  assert.match(
    ((await refused.json()) as { message: string }).message,
    /supported encodings are gzip, deflate, zstd, identity/,
  )
})

test('several series of one push are one call, each answered for itself: the good are stored, the bad are named (H6)', async () => {
  const { push, scene } = setUp()
  scene.answer = ({ series }) =>
    series.map((_, i) => (i % 2 === 0 ? verdict('stored') : rejection('invalid_argument', `series ${i} is bad`)))
  const samples = [{ rawProfile: PPROF }]
  const response = await push(Array.from({ length: 4 }, () => ({ samples })))
  assert.equal(response.status, 400)
  const { message } = (await response.json()) as { message: string }
  assert.equal(message, 'series 1 is bad\nseries 3 is bad')
  assert.equal(scene.received.length, 1, 'however many there are')
  assert.equal(scene.received[0]!.series.length, 4)
})

test('ingest: names are 400, forms and formats are permanent errors', async () => {
  const { ingest, scene } = setUp()
  const pprofForm = { body: form({ profile: PPROF }) }
  const multipart = { 'Content-Type': 'multipart/form-data; boundary=zzz' }
  const cases: [Record<string, string>, Parameters<typeof ingest>[1], number, string, RegExp][] = [
    [{}, pprofForm, 400, 'invalid_argument', /^name: service name is required/],
    [{ name: 'a b.cpu' }, pprofForm, 400, 'invalid_argument', /^name: .*not allowed: ' '/],
    [{ name: 'app{a-b=c}' }, pprofForm, 400, 'invalid_argument', /^name: /],
    [{ name: 'app' }, { body: 'x', headers: { 'Content-Type': 'multipart/form-data' } }, 422, 'unknown', /boundary/],
    [{ name: 'app' }, { body: 'x', headers: multipart }, 422, 'unknown', /delimiter "--zzz"/],
    [{ name: 'app' }, { body: form({ profile: PPROF, prev_profile: PPROF }) }, 422, 'unknown', /pyroscope-go/],
  ]
  for (const [query, init, status, code, message] of cases) {
    const response = await ingest(query, init)
    assert.equal(response.status, status, JSON.stringify(query))
    const error = (await response.json()) as { code: string; message: string }
    assert.equal(error.code, code)
    assert.match(error.message, message)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  }
  assert.equal(scene.received.length, 0)
})

test('ingest: what is no pprof goes to the writer as it is, with what the request says of it', async () => {
  const text = { 'Content-Type': 'text/plain' }
  const cases: [Record<string, string>, Record<string, string>, string][] = [
    [{}, text, 'groups'],
    [{ format: 'groups' }, text, 'groups'],
    [{ format: 'unheard-of' }, {}, 'groups'],
    [{ format: 'lines' }, text, 'lines'],
    [{ format: 'tree' }, {}, 'tree'],
    [{ format: 'trie' }, {}, 'trie'],
    [{}, { 'Content-Type': 'binary/octet-stream+tree' }, 'tree'],
    [{}, { 'Content-Type': 'binary/octet-stream+trie' }, 'trie'],
    [{ format: 'speedscope' }, { 'Content-Type': 'application/json' }, 'speedscope'],
  ]
  for (const [query, headers, format] of cases) {
    const { ingest, scene } = setUp()
    const name = 'my.app.cpu{region=eu,__private__=x}'
    const asked = { name, from: '1700000000', until: '1700000010', sampleRate: '50', spyName: 'ebpfspy', ...query }
    assert.equal((await ingest(asked, { headers, body: 'a;b 1\n' })).status, 200, format)
    const [series] = scene.received[0]!.series
    assert.deepEqual(series!.ingest, {
      spyName: 'ebpfspy',
      fromNanos: 1_700_000_000_000_000_000n,
      untilNanos: 1_700_000_010_000_000_000n,
      sampleTypeConfig: new Uint8Array(0),
      format,
      app: 'my.app.cpu',
      sampleRate: 50,
    })
    assert.deepEqual(series!.labels, [
      { name: '__delta__', value: 'false' },
      { name: 'pyroscope_spy', value: 'ebpfspy' },
      { name: 'region', value: 'eu' },
    ])
    assert.equal(Buffer.from(series!.profiles[0]!.bytes).toString(), 'a;b 1\n')
  }
})

test('ingest: a pprof that is sent without a word of it is known by its first bytes (H8)', async () => {
  const { ingest, scene } = setUp()
  const headers = { 'Content-Type': 'binary/octet-stream' }
  for (const body of [new Uint8Array(gzipSync(PPROF)), buildPprof({ samples: [{ stack: ['a'], values: [1] }] })]) {
    assert.equal((await ingest({ name: 'app' }, { headers, body: new Uint8Array(body) })).status, 200)
    const [series] = scene.received.at(-1)!.series
    assert.equal(series!.ingest!.format, undefined)
    assert.deepEqual(series!.labels.at(-1), { name: 'service_name', value: 'app' })
  }
})

test('ingest: a rate that is none is 100 (H9)', async () => {
  const cases: [string | undefined, number][] = [
    [undefined, 100],
    ['0', 0],
    ['1000', 1_000],
    ['-5', 100],
    ['abc', 100],
    ['NaN', 100],
    ['1e3', 100],
    ['99999999999', 100],
  ]
  for (const [sampleRate, expected] of cases) {
    const { ingest, scene } = setUp()
    const query = { name: 'app', ...(sampleRate === undefined ? {} : { sampleRate }) }
    await ingest(query, { body: 'a 1\n' })
    assert.equal(scene.received[0]!.series[0]!.ingest!.sampleRate, expected, String(sampleRate))
  }
})

test('ingest: stacks that cannot be read are 422, stacks that are refused for what they say 400', async () => {
  const cases: [format: string, reason: string, status: number][] = [
    ['groups', 'malformed_body', 422],
    ['groups', 'not_in_ingestion_window', 400],
    ['trie', 'malformed_body', 422],
    ['trie', 'unknown_profile_type', 400],
    ['speedscope', 'not_in_ingestion_window', 422],
  ]
  for (const [format, reason, status] of cases) {
    const { ingest, scene } = setUp()
    scene.answer = () => [{ ...rejection('invalid_argument', 'why'), reason }]
    assert.equal((await ingest({ name: 'app', format }, { body: 'a 1\n' })).status, status, `${format} ${reason}`)
  }
})

test('ingest: verdicts to answers (H2)', async () => {
  const cases: [ProfileVerdict[] | CinderError, number, string, string | null][] = [
    [[rejection('invalid_argument', 'too old')], 422, 'unknown', null],
    [[rejection('resource_exhausted', 'rate', 400)], 429, 'resource_exhausted', '1'],
    [[rejection('unavailable', 'memory', 1_000)], 503, 'unavailable', '1'],
    [new CinderError('deadline_exceeded', 'slow'), 504, 'deadline_exceeded', '1'],
    [new CinderError('internal', 'encode'), 500, 'internal', null],
  ]
  for (const [answer, status, code, retryAfter] of cases) {
    const { ingest, scene } = setUp()
    scene.answer = () => answer
    const response = await ingest({ name: 'app' }, { body: form({ profile: PPROF }) })
    assert.equal(response.status, status, code)
    assert.equal(((await response.json()) as { code: string }).code, code)
    assert.equal(response.headers.get('retry-after'), retryAfter)
  }
})

test('bodies over the limit name where to go: 413 on ingest, 400 on Push', async () => {
  const { ingest, push } = setUp({ bodyLimitBytes: 1_000 })
  const big = new Uint8Array(2_000)
  const plain = await ingest({ name: 'app', format: 'pprof' }, { body: big })
  const inflated = await ingest(
    { name: 'app', format: 'pprof' },
    { body: new Uint8Array(gzipSync(big)), headers: { 'Content-Encoding': 'gzip' } },
  )
  for (const response of [plain, inflated]) {
    assert.equal(response.status, 413)
    const error = (await response.json()) as { code: string; message: string }
    assert.equal(error.code, 'invalid_argument')
    assert.match(error.message, /allowed 1000 bytes; send larger bodies to https:\/\/eu\.example/)
  }
  const pushed = await push([{ samples: [{ rawProfile: big }] }])
  assert.equal(pushed.status, 400)
  assert.match(((await pushed.json()) as { message: string }).message, /eu\.example/)
})

test('ingest: other methods are 405, other paths 404', async () => {
  const { app } = setUp()
  for (const method of ['GET', 'PUT', 'HEAD']) {
    const response = await app.request('/ingest?name=app', { method })
    assert.equal(response.status, 405)
    assert.equal(response.headers.get('allow'), 'POST')
  }
  const missing = await app.request('/nope', { method: 'POST' })
  assert.equal(missing.status, 404)
  assert.equal(await missing.text(), '404 page not found\n')
})
