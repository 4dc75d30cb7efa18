/**
 * The same answers from Bun, Deno and workerd: both edge apps as real processes of each, before one segment-writer,
 * metastore and query-backend. Every expectation is exact and written once, so that no runtime can differ from another.
 */
import assert from 'node:assert/strict'
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
import { waitUntil } from '../support/process.ts'
import { checkProfiles } from './profile-answers.ts'
import { answerToHead, leaveMidBody, rawAnswer } from './raw-http.ts'
import { expectRefusal, LABELS, PUSH, REFUSALS, STACKTRACES } from './refusals.ts'
import { type Fleet, startFleet, TENANT_DOWN, TENANT_HANGS, TENANT_SLOW } from './fleet.ts'

const REGIONAL_URL = 'https://eu.profiles.example'
const BODY_LIMIT_BYTES = 24 * MIB

interface Edge {
  readonly distributor: EdgeProcess
  readonly frontend: EdgeProcess
}

let fleet: Fleet
const edges = new Map<Runtime, Edge>()
/** The fleet asks for none: it guards what edges tell of it. */
const TOKEN = 'a-token-of-this-suite'

before(async () => {
  prepareRuntimes()
  fleet = await startFleet()
  const tenancy = { CINDER_MULTITENANCY: 'true' }
  for (const runtime of RUNTIMES) {
    // Bun has the limit of a server unless it is told; the others have that of a worker, whatever they are told.
    const limits = runtime === 'bun' ? { CINDER_LIMITS: JSON.stringify({ bodyLimitBytes: BODY_LIMIT_BYTES }) } : {}
    const [distributor, frontend] = await Promise.all([
      startEdge(runtime, 'distributor', {
        WRITER_URL: fleet.url,
        REGIONAL_URL,
        CINDER_INTERNAL_TOKEN: TOKEN,
        ...tenancy,
        ...limits,
      }),
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

async function total(frontend: EdgeProcess, tenant: string, service: string): Promise<bigint> {
  const question = { profileTypeID: SAMPLES, labelSelector: `{service_name="${service}"}`, ...recentRange() }
  const answer = await expectOk(callRpc(frontend.send, STACKTRACES.slice(1), question, tenant))
  return readFlameGraph(answer.flamegraph ?? {}).total
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

    test('says what it knows, to people and to scrapes', async () => {
      const { distributor } = edge()
      const series = [{ labels: { ...LABELS, service_name: 'seen' }, profiles: [profile(3)] }]
      await expectOk(push(distributor.send, series, tenant))
      for (const path of ['/status', '/metrics']) assert.equal((await distributor.send(path)).status, 401)
      const headers = { Authorization: `Bearer ${TOKEN}` }
      const status = (await (await distributor.send('/status', { headers })).json()) as {
        since: string
        answers: Record<string, number>
        writers: { address: string }[]
      }
      assert.deepEqual(
        status.writers.map(({ address }) => address),
        [fleet.url],
      )
      assert.ok(status.answers['200']! >= 1, JSON.stringify(status))
      assert.ok(Date.parse(status.since) > 0, status.since)
      const metrics = await distributor.send('/metrics', { headers })
      assert.match(metrics.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
      const text = await metrics.text()
      assert.match(text, /pyroscope_request_duration_seconds_count\{[^}]*Push[^}]*status_code="200"\} [1-9]/)
      assert.match(text, /cinder_build_info\{version="[^"]+",target="distributor"\} 1/)
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

    test('runs a flame graph on while it is polled; a worker, which ends with its answer, refuses', async () => {
      const { distributor, frontend } = edge()
      const labels = { ...LABELS, service_name: 'polled' }
      await expectOk(push(distributor.send, [{ labels, profiles: [profile(9)] }], tenant))
      const ask = (request: object) => callRpc(frontend.send, STACKTRACES.slice(1), request, tenant)
      const question = { profileTypeID: SAMPLES, labelSelector: '{service_name="polled"}', ...recentRange() }
      const begun = await ask({ ...question, async: { type: 'ASYNC_QUERY_TYPE_FORCE' } })
      if (runtime === 'workerd') {
        assert.deepEqual([begun.status, ((await begun.json()) as { code: string }).code], [501, 'unimplemented'])
        return
      }
      const { requestId } = (await expectOk(Promise.resolve(begun))).async as { requestId: string }
      let answer: Record<string, unknown> = {}
      await waitUntil('the run has ended', async () => {
        answer = await expectOk(ask({ async: { requestId } }))
        return (answer.async as { status: string }).status === 'ASYNC_QUERY_STATUS_SUCCESS'
      })
      assert.equal(readFlameGraph(answer.flamegraph ?? {}).total, 9n)
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
      for (const answer of [stated, ingested])
        assert.ok(answer.includes(`; send larger bodies to ${REGIONAL_URL}`), answer)
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

    test('forgets the bodies of clients that left', async () => {
      const { distributor } = edge()
      // Eight times the limit of a body: more than all bodies together may have.
      for (let i = 0; i < 8; i++) await leaveMidBody(distributor.url, PUSH, BODY_LIMIT_BYTES)
      const series = [{ labels: LABELS, profiles: [profile(1)] }]
      await waitUntil(
        'a push is taken',
        async () => {
          const response = await push(distributor.send, series, `left-${runtime}`)
          await response.text()
          return response.status === 200
        },
        5_000,
      )
    })

    test('answers flame graph, tree, profile, graph, difference, series, labels and types alike', async () => {
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
      await checkProfiles((path, init = {}) => {
        const headers = new Headers(init.headers)
        headers.set('X-Scope-OrgID', mine)
        return frontend.send(path, { ...init, headers })
      })
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
