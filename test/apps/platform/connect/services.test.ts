/** A call through client and server carries the same values as a call in process, errors included. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { CinderError, HTTP_STATUS_BY_KIND, type ErrorKind } from '#core/errors.ts'
import type { Metastore, SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend, StacktracesRequest } from '#core/rpc/query-backend.ts'
import type { SegmentWriter, WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import {
  createMetastoreClient,
  createQueryBackendClient,
  createSegmentWriterClient,
  mountMetastore,
  mountQueryBackend,
  mountSegmentWriter,
} from '#platform/connect/services.ts'
import { freeBytes } from '#platform/http/body.ts'
import { codecCompression } from '#platform/http/body-compression.ts'

const options = {
  bodyLimitBytes: 1 << 20,
  compression: codecCompression(createCodec()),
  log: { info() {}, warn() {}, error() {} },
}

function fetchOf(app: Hono) {
  return { fetch: async (url: string, init: RequestInit) => app.fetch(new Request(url, init)) }
}

/** Messages carry `$typeName`; values do not. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== '$typeName')
      .map(([name, inner]) => [name, plain(inner)]),
  )
}

const OBJECT: SourceObject = {
  objectId: '01J',
  level: 0,
  sizeBytes: 2 ** 40 + 1,
  datasets: [
    {
      descriptor: {
        index: 3,
        tenant: 't',
        service: 's',
        windowStartMs: -3_600_000,
        windowMs: 3_600_000,
        minTimeMs: -5,
        maxTimeMs: 2 ** 42,
        offset: 17,
        sizeBytes: 99,
        headBytes: 9,
        profileCount: 2,
        sampleCount: 2 ** 33,
      },
      skip: [0, 4_294_967_295],
    },
  ],
}

test('segment-writer: request and verdicts arrive as sent', async () => {
  const app = new Hono()
  const request: WriteRequest = {
    tenant: 't',
    series: [
      {
        labels: [{ name: 'service_name', value: 'ü' }],
        profiles: [{ bytes: new Uint8Array([1, 2, 255]), clientId: 'id' }],
        ingest: {
          spyName: 'javaspy',
          fromNanos: 1_764_000_000_000_000_001n,
          sampleTypeConfig: new Uint8Array(0),
          format: 'jfr',
          app: 'shop.cpu',
          untilNanos: 1_764_000_010_000_000_001n,
          sampleRate: 100,
          recordingLabels: new Uint8Array([7]),
        },
      },
      { labels: [], profiles: [] },
    ],
    isImport: true,
    pushId: '00ff',
  }
  const verdict = {
    status: 'rejected',
    kind: 'resource_exhausted',
    reason: 'rate_limited',
    message: 'm',
    retryAfterMs: 1.5,
    decompressedBytes: 2 ** 35,
    changes: [{ reason: 'relabelled', message: 'by rules' }],
  }
  let received: unknown
  const writer: SegmentWriter = {
    async write(sent) {
      received = plain(sent)
      return { verdicts: [verdict] }
    },
  }
  mountSegmentWriter(app, writer, options)
  const response = await createSegmentWriterClient('http://writer/', fetchOf(app)).write(request)
  assert.deepEqual(received, request)
  assert.deepEqual(plain(response), { verdicts: [verdict] })
})

test('metastore: plans and commits arrive as sent', async () => {
  const app = new Hono()
  const received: unknown[] = []
  const metastore = {
    async planQuery(request: unknown) {
      received.push(plain(request))
      return { objects: [OBJECT] }
    },
    async pollJobs(request: unknown) {
      received.push(plain(request))
      return { jobs: [{ jobId: 'j', epoch: 2 ** 50, leaseMs: 15_000, level: 1, sources: [OBJECT] }], lost: ['k'] }
    },
    async labelSets(request: unknown) {
      received.push(plain(request))
      return { sets: [{ pairs: ['a', 'b'] }, { pairs: [] }] }
    },
  } as unknown as Metastore
  mountMetastore(app, metastore, options)
  const client = createMetastoreClient('http://metastore', fetchOf(app))
  const plan = { tenants: ['a', 'b'], startMs: 1.5, endMs: 2 ** 50, services: [] }
  assert.deepEqual(plain(await client.planQuery(plan)), { objects: [OBJECT] })
  const poll = {
    workerId: 'w',
    capacity: 2,
    running: [{ jobId: 'j', epoch: 1, progress: 0.5 }],
    failed: [{ jobId: 'f', epoch: 2, reason: 'r', kind: 'corrupt-source', culprits: [{ objectId: 'o', index: 3 }] }],
    released: [{ jobId: 'l', epoch: 3 }],
    waitMs: 10,
    worker: { address: 'a:1', version: '1.2', threads: 4, capacity: 8, budgetBytes: 2 ** 40, usedBytes: 1 },
  }
  const polled = await client.pollJobs(poll)
  assert.deepEqual(plain(polled.jobs[0]!.sources), [OBJECT])
  assert.equal(polled.jobs[0]!.epoch, 2 ** 50)
  const labels = { tenants: ['a'], startMs: 1, endMs: 2, names: ['a'], namesOnly: true }
  assert.deepEqual(plain(await client.labelSets(labels)), { sets: [{ pairs: ['a', 'b'] }, { pairs: [] }] })
  // As a worker sends it that knows nothing of progress, kinds and reports.
  const old = { ...poll, running: [{ jobId: 'j', epoch: 1 }], failed: [{ jobId: 'f', epoch: 2, reason: 'r' }] }
  await client.pollJobs({ ...old, worker: undefined })
  const asRead = {
    ...old,
    running: [{ ...old.running[0], progress: 0 }],
    failed: [{ ...old.failed[0], kind: '', culprits: [] }],
  }
  const { worker: _worker, ...heard } = asRead
  assert.deepEqual(received, [plan, poll, labels, heard])
})

test('query-backend: exact int64 and bytes', async () => {
  const app = new Hono()
  const stats = { objects: 1, ranges: 2, bytes: 2 ** 45, datasets: 3, profiles: 4, samples: 2 ** 34 }
  const series = [
    { labels: [{ name: 'a', value: 'b' }], stepIndexes: [0, 7], sums: [2n ** 63n - 1n, -1n], counts: [1, 2] },
  ]
  const exemplar = { timeMs: 1.5, profileId: 'ab', spanId: '', traceId: '', labels: [{ name: 'c', value: 'd' }] }
  const points = [{ labels: [], steps: [4], values: [-(2n ** 63n)], counts: [3], exemplars: [exemplar] }]
  let received: unknown
  const backend: QueryBackend = {
    async stacktraces(request) {
      received = plain(request)
      return { tree: new Uint8Array([9, 8]), stats, selected: request.selector !== undefined }
    },
    async mergeProfile(request) {
      received = plain(request)
      return { stacks: new Uint8Array([7]), stats }
    },
    async timeSeries(request) {
      received = plain(request)
      return { series, stats, selected: (request.callSite ?? []).length > 0 }
    },
    async points(request) {
      received = plain(request)
      return { series: points, stats }
    },
  }
  mountQueryBackend(app, backend, options)
  const client = createQueryBackendClient('http://backend', fetchOf(app))
  const request: StacktracesRequest = {
    profileType: 'a:b:c:d:e',
    matchers: [{ name: 'x', op: '=~', value: '.*' }],
    startMs: 1,
    endMs: 2,
    objects: [OBJECT],
  }
  const all = { tree: new Uint8Array([9, 8]), stats, selected: false, filtered: false }
  assert.deepEqual(plain(await client.stacktraces(request)), all)
  assert.deepEqual(received, request)
  const frames = { includeNames: ['a'], excludeNames: ['b'], includeExpressions: ['^c'], excludeExpressions: ['d$'] }
  const selector = {
    profileIds: ['0a'.repeat(16)],
    spanIds: ['f0'.repeat(8)],
    traceIds: [],
    callSite: ['main', 'é'],
    frames,
  }
  assert.deepEqual(plain(await client.stacktraces({ ...request, selector })), { ...all, selected: true })
  assert.deepEqual(received, { ...request, selector })
  const merged = { stacks: new Uint8Array([7]), stats, filtered: false }
  assert.deepEqual(plain(await client.mergeProfile({ ...request, selector })), merged)
  assert.deepEqual(received, { ...request, selector })
  const answer = await client.timeSeries({ ...request, stepMs: 1000, groupBy: ['a'] })
  assert.deepEqual(plain(answer), { series, stats, selected: false, filtered: false })
  const called = { ...request, stepMs: 1000, groupBy: [], callSite: ['main'], frames }
  assert.equal((await client.timeSeries(called)).selected, true)
  assert.deepEqual(received, { ...called, asPart: false })
  const grid = { originMs: 1, stepMs: 2, groupBy: ['x'], spans: true, exemplars: true, best: true }
  const selected = { ...request, ...grid, callSite: ['main'], frames }
  assert.deepEqual(plain(await client.points(selected)), { series: points, stats, filtered: false })
  assert.deepEqual(received, { ...selected, asPart: false })
})

test('query-backend: wishes of who asks arrive as they are, and what is not known is not heard', async () => {
  const app = new Hono()
  const stats = { objects: 1, ranges: 2, bytes: 3, datasets: 4, profiles: 5, samples: 6 }
  const received: unknown[] = []
  const ended = new Uint8Array([1])
  const heard = (request: object) => received.push(plain('end' in request ? request.end : undefined))
  const backend: QueryBackend = {
    async stacktraces(request) {
      heard(request)
      return { tree: new Uint8Array(0), stats, selected: false, ended }
    },
    async mergeProfile(request) {
      heard(request)
      return { stacks: new Uint8Array(0), stats, ended: new Uint8Array(0) }
    },
    async timeSeries(request) {
      heard(request)
      if (request.asPart === true) return { series: [], stats, part: ended }
      return { series: [], stats, ended: { bytes: ended, seriesCount: 2 ** 33 } }
    },
    points: async ({ asPart }) => ({ series: [], stats, part: asPart === true ? ended : undefined }),
  }
  mountQueryBackend(app, backend, options)
  const client = createQueryBackendClient('http://backend', fetchOf(app))
  const range = { startMs: 1, endMs: 2 }
  const request: StacktracesRequest = { profileType: 'a:b:c:d:e', matchers: [], ...range, objects: [OBJECT] }
  const tree = { kind: 'flame-graph', nodesMax: 2 ** 40, maxNodes: 8, as: 'tree' } as const
  assert.deepEqual((await client.stacktraces({ ...request, end: tree })).ended, ended)
  await client.stacktraces({ ...request, end: { ...tree, as: 'arrow' as 'tree' } })
  const type = { type: 'cpu', unit: 'ns' }
  const header = { sampleType: type, periodType: type, period: 2n ** 62n, timeNanos: -1n, comments: ['a'] }
  const leaves = { keepLocations: 5, aggregateCallees: true }
  const pprof = { kind: 'pprof', nodesMax: 1, maxNodes: 7, leaves, header, as: 'json' } as const
  const merged = await client.mergeProfile({ ...request, end: pprof })
  assert.equal(merged.ended?.length, 0, 'nothing was selected is an end too')
  const grid = { ...request, stepMs: 1, groupBy: [] }
  const series = {
    kind: 'series',
    range: { ...range, stepMs: 1 },
    aggregation: 'average',
    limit: 3,
    as: 'json',
  } as const
  const answer = await client.timeSeries({ ...grid, end: series })
  assert.deepEqual(plain(answer.ended), { bytes: ended, seriesCount: 2 ** 33 })
  assert.equal(answer.part, undefined)
  assert.deepEqual((await client.timeSeries({ ...grid, asPart: true })).part, ended)
  const wish = { ...grid, originMs: 0, spans: false, exemplars: false, best: false }
  assert.deepEqual((await client.points({ ...wish, asPart: true })).part, ended)
  assert.equal((await client.points(wish)).part, undefined)
  assert.deepEqual(received, [tree, undefined, pprof, series, undefined])
})

test('every error kind comes back with reason, outcome and retry time', async () => {
  for (const kind of Object.keys(HTTP_STATUS_BY_KIND) as ErrorKind[]) {
    const app = new Hono()
    const thrown = new CinderError(kind, `text of ${kind}`, { reason: 'r', outcome: 'applied', retryAfterMs: 250 })
    mountSegmentWriter(app, { write: () => Promise.reject(thrown) }, options)
    const client = createSegmentWriterClient('http://writer', fetchOf(app))
    await assert.rejects(client.write({ tenant: 't', series: [] }), (error: unknown) => {
      assert.ok(error instanceof CinderError)
      const { kind: back, message, reason, outcome, retryAfterMs } = error
      assert.deepEqual(
        { back, message, reason, outcome, retryAfterMs },
        { back: kind, message: thrown.message, reason: 'r', outcome: 'applied', retryAfterMs: 250 },
      )
      return true
    })
  }
})

test('no answer: the outcome is unknown', async () => {
  const type = 'application/proto'
  const cases: [string, (url: string, init: RequestInit) => Promise<Response>, string][] = [
    ['refused', () => Promise.reject(new TypeError('connection refused')), 'unavailable'],
    ['proxy', async () => new Response('<html>', { status: 503 }), 'unavailable'],
    ['garbage', async () => new Response(new Uint8Array([255]), { headers: { 'Content-Type': type } }), 'internal'],
    // No bytes are a message of nothing: what a dying server or a proxy says must not be taken for one.
    ['cut', async () => new Response(new Uint8Array(0)), 'unavailable'],
    ['page', async () => new Response('', { headers: { 'Content-Type': 'text/html' } }), 'unavailable'],
    [
      'silent',
      (_, init) =>
        new Promise((_, reject) => {
          init.signal!.addEventListener('abort', () => reject(init.signal!.reason))
        }),
      'deadline_exceeded',
    ],
  ]
  for (const [name, fetch, kind] of cases) {
    const client = createSegmentWriterClient('http://writer', { fetch, deadlineMs: 20 })
    await assert.rejects(client.write({ tenant: 't', series: [] }), (error: unknown) => {
      assert.ok(error instanceof CinderError, name)
      assert.equal(error.kind, kind, name)
      assert.equal(error.outcome, 'unknown', name)
      return true
    })
  }
})

test('a caller that leaves cancels the call and the work behind it', async () => {
  const app = new Hono()
  let workSignal: AbortSignal | undefined
  const started = Promise.withResolvers<void>()
  const backend = {
    stacktraces(_: unknown, signal: AbortSignal) {
      workSignal = signal
      started.resolve()
      return new Promise<never>(() => {})
    },
  } as unknown as QueryBackend
  mountQueryBackend(app, backend, options)
  const leaving = new AbortController()
  const client = createQueryBackendClient('http://backend', fetchOf(app))
  const call = client.stacktraces({ profileType: 't', matchers: [], startMs: 0, endMs: 1, objects: [] }, leaving.signal)
  await started.promise
  leaving.abort()
  await assert.rejects(call, (error: unknown) => error instanceof CinderError && error.kind === 'canceled')
  assert.equal(workSignal?.aborted, true)
})

test('a large push is sent in chunks, and breaks off if its bytes are freed meanwhile', async () => {
  const received: WriteRequest[] = []
  const writer: SegmentWriter = {
    async write(request) {
      received.push(request)
      return { verdicts: [] }
    },
  }
  const app = new Hono()
  mountSegmentWriter(app, writer, options)
  const bytes = Uint8Array.from({ length: 700_000 }, (_, i) => i * 7)
  const request = { tenant: 'a', series: [{ labels: [], profiles: [{ bytes, clientId: 'c' }] }] }
  let chunks = 0
  const spread = (init: RequestInit, freesAfter: number): RequestInit => {
    const reader = (init.body as ReadableStream<Uint8Array>).getReader()
    const body = new ReadableStream({
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) {
          controller.close()
          return
        }
        controller.enqueue(value.slice())
        if (++chunks === freesAfter) freeBytes(bytes)
      },
    })
    return { ...init, body }
  }
  const clientOf = (freesAfter: number) =>
    createSegmentWriterClient('http://writer', {
      fetch: async (url, init) => app.fetch(new Request(url, spread(init, freesAfter))),
    })
  await clientOf(-1).write(request)
  assert.ok(chunks > 10)
  const profile = received[0]!.series[0]!.profiles[0]!
  assert.equal(profile.clientId, 'c')
  assert.ok(Buffer.from(profile.bytes).equals(bytes))
  chunks = 0
  await assert.rejects(clientOf(3).write(request), CinderError)
  assert.equal(received.length, 1)
})
