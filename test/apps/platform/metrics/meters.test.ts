/** Meters around the ports: what passes is unchanged, what is counted has the names that dashboards ask for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { ProfileVerdict, SegmentWriter } from '#core/rpc/segment-writer.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { mountMetrics, timeRequests } from '#platform/http/metrics.ts'
import { meterMetastore } from '#platform/metrics/metered-metastore.ts'
import { meterPushes } from '#platform/metrics/metered-pushes.ts'
import { meterQueries } from '#platform/metrics/metered-queries.ts'
import { createStoreMeter } from '#platform/metrics/metered-store.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'

async function valueOf(registry: Registry, line: string): Promise<number | undefined> {
  const found = (await registry.render()).split('\n').find((each) => each.startsWith(`${line} `))
  return found === undefined ? undefined : Number(found.slice(line.length + 1))
}

const verdict = (status: string, reason = ''): ProfileVerdict => ({
  status,
  kind: '',
  reason,
  message: '',
  retryAfterMs: 0,
  decompressedBytes: 1_000,
})

test('pushes by tenant, refusals by reason, bytes before and after inflating', async () => {
  const registry = new Registry()
  const answers = [verdict('stored'), verdict('duplicate'), verdict('rejected', 'samples_limit')]
  const writer = meterPushes({ write: () => Promise.resolve({ verdicts: answers }) }, registry)
  const profiles = [1, 2, 3].map((n) => ({ bytes: new Uint8Array(100 * n), clientId: '' }))
  const { verdicts } = await writer.write({ tenant: 'a', series: [{ labels: [], profiles }] })
  assert.equal(verdicts, answers)
  assert.equal(await valueOf(registry, 'pyroscope_distributor_profiles_received_total{tenant="a"}'), 3)
  assert.equal(await valueOf(registry, 'pyroscope_distributor_received_compressed_bytes_sum{tenant="a"}'), 600)
  assert.equal(await valueOf(registry, 'pyroscope_distributor_received_decompressed_bytes_sum{tenant="a"}'), 3_000)
  assert.equal(await valueOf(registry, 'pyroscope_discarded_samples_total{reason="samples_limit",tenant="a"}'), 1)
  assert.equal(await valueOf(registry, 'pyroscope_discarded_bytes_total{reason="samples_limit",tenant="a"}'), 1_000)
  assert.equal(await valueOf(registry, 'cinder_duplicate_profiles_total{tenant="a"}'), 1)
})

test('what a tenant’s rules drop is discarded, what was repaired is told (H3)', async () => {
  const registry = new Registry()
  const answers = [
    verdict('dropped', 'dropped_by_sampling'),
    verdict('stored', 'clock_repaired'),
    verdict('duplicate', 'clock_repaired'),
  ]
  const writer = meterPushes({ write: () => Promise.resolve({ verdicts: answers }) }, registry)
  const profiles = answers.map(() => ({ bytes: new Uint8Array(1), clientId: '' }))
  await writer.write({ tenant: 'a', series: [{ labels: [], profiles }] })
  assert.equal(await valueOf(registry, 'pyroscope_discarded_samples_total{reason="dropped_by_sampling",tenant="a"}'), 1)
  assert.equal(
    await valueOf(registry, 'pyroscope_discarded_bytes_total{reason="dropped_by_sampling",tenant="a"}'),
    1_000,
  )
  assert.equal(await valueOf(registry, 'cinder_repaired_profiles_total{reason="clock_repaired",tenant="a"}'), 1)
})

test('a push that fails as a whole is refused with its reason', async () => {
  const registry = new Registry()
  const error = new CinderError('resource_exhausted', 'full', { reason: 'memory' })
  const failing: SegmentWriter = { write: () => Promise.reject(error) }
  const profiles = [{ bytes: new Uint8Array(1), clientId: '' }]
  const push = meterPushes(failing, registry).write({ tenant: 'a', series: [{ labels: [], profiles }] })
  await assert.rejects(push, (thrown) => thrown === error)
  assert.equal(await valueOf(registry, 'pyroscope_discarded_samples_total{reason="memory",tenant="a"}'), 1)
})

test('calls of a store by outcome; what was not found is an answer, not a fault', async () => {
  const registry = new Registry()
  const { meter, count } = createStoreMeter(registry)
  const store = meter(createMemoryStore())
  const other = meter(createMemoryStore())
  await store.put('a/b', new Uint8Array(2_048))
  await other.put('a/b', new Uint8Array(2_048))
  assert.equal((await store.get('a/b')).length, 2_048)
  await assert.rejects(store.get('a/none'), { kind: 'not_found' })
  assert.equal(await valueOf(registry, 'cinder_store_operations_total{operation="put",outcome="ok"}'), 2)
  assert.equal(await valueOf(registry, 'cinder_store_operations_total{operation="get",outcome="not_found"}'), 1)
  assert.equal(await valueOf(registry, 'cinder_store_errors_total{operation="get"}'), undefined)
  assert.equal(await valueOf(registry, 'cinder_store_object_bytes_sum{operation="put"}'), 4_096)
  const failing = meter({
    ...createMemoryStore(),
    put: () => Promise.reject(new CinderError('unavailable', 'slow down')),
  })
  await assert.rejects(failing.put('a/b', new Uint8Array(1)), { kind: 'unavailable' })
  assert.equal(await valueOf(registry, 'cinder_store_errors_total{operation="put"}'), 1)
  count({ operation: 'put', outcome: 'unavailable', durationMs: 5, sizeBytes: 0 })
  assert.equal(await valueOf(registry, 'cinder_store_errors_total{operation="put"}'), 2, 'of another thread')
})

test('a plan in parts stays one, and is timed to its end', async () => {
  const registry = new Registry()
  let nowMs = 0
  async function* parts() {
    for (const objectId of ['a', 'b']) {
      nowMs += 500
      yield { objects: [{ objectId, level: 0, sizeBytes: 1, datasets: [] }] }
    }
    if (nowMs > 2_000) throw new CinderError('unavailable', 'away')
  }
  const metered = (inner: object, into = registry) => meterMetastore(inner as Metastore, into, () => nowMs)
  const request = { tenants: ['a'], startMs: 0, endMs: 1, services: [] }
  const { streamPlan } = metered({ streamPlan: parts })
  const ids: string[] = []
  const read = async () => {
    for await (const { objects } of streamPlan!(request)) ids.push(...objects.map(({ objectId }) => objectId))
  }
  await read()
  assert.deepEqual(ids, ['a', 'b'])
  const of = (outcome: string, figure: string) =>
    valueOf(registry, `cinder_metastore_call_duration_seconds_${figure}{method="stream_plan",outcome="${outcome}"}`)
  assert.deepEqual([await of('ok', 'count'), await of('ok', 'sum')], [1, 1])
  for await (const { objects } of streamPlan!(request)) {
    assert.equal(objects.length, 1)
    break
  }
  assert.deepEqual([await of('ok', 'count'), await of('ok', 'sum')], [2, 1.5], 'left after its first part')
  nowMs = 1_500
  await assert.rejects(read(), { kind: 'unavailable' })
  assert.equal(await of('unavailable', 'count'), 1)
  assert.equal(metered({}, new Registry()).streamPlan, undefined, 'who has plans in one piece alone says so')
})

test('segments, and jobs from their poll to their end', async () => {
  const registry = new Registry()
  let nowMs = 1_000_000
  const source = { objectId: makeUlid(nowMs - 4_000, new Uint8Array(10)), level: 0, sizeBytes: 1, datasets: [] }
  const job = (jobId: string) => ({ jobId, epoch: 1, leaseMs: 15_000, level: 1, sources: [source] })
  const inner = {
    commitSegment: () => {
      nowMs += 20
      return Promise.resolve({ verdict: 'committed', skips: [] })
    },
    pollJobs: () => Promise.resolve({ jobs: [job('1'), job('2'), job('3')], lost: ['3'] }),
    commitCompaction: () => Promise.resolve({ verdict: 'committed', staleObjectIds: [] }),
    planQuery: () => Promise.reject(new CinderError('unavailable', 'away')),
  } as unknown as Metastore
  const metastore = meterMetastore(inner, registry, () => nowMs)
  const poll = { workerId: 'w', capacity: 3, running: [], failed: [], released: [], waitMs: 0 }
  await metastore.commitSegment({
    objectId: 'x',
    sizeBytes: 5_000,
    datasets: [{ tenant: 'a', profileCount: 3, sampleCount: 40 } as never],
    profileIds: new Uint8Array(0),
    deduplicate: new Uint8Array(0),
    labelSets: [],
  })
  await metastore.pollJobs(poll)
  nowMs += 2_000
  await metastore.commitCompaction({ workerId: 'w', jobId: '1', epoch: 1, outputs: [] })
  const running = 'pyroscope_compaction_worker_jobs_in_progress{level="0"}'
  assert.equal(await valueOf(registry, running), 2)
  await metastore.pollJobs({ ...poll, failed: [{ jobId: '2', epoch: 1, reason: 'no' }] })
  const completed = (status: string) => `pyroscope_compaction_worker_jobs_completed_total{level="0",status="${status}"}`
  assert.equal(await valueOf(registry, completed('success')), 1)
  assert.equal(await valueOf(registry, completed('failure')), 1)
  assert.equal(await valueOf(registry, completed('lost')), 1)
  assert.equal(
    await valueOf(registry, 'pyroscope_compaction_worker_job_duration_seconds_sum{level="0",status="success"}'),
    2,
  )
  assert.equal(await valueOf(registry, 'pyroscope_compaction_worker_time_to_compaction_seconds_sum{level="0"}'), 6.02)
  assert.equal(await valueOf(registry, 'pyroscope_segment_writer_segment_size_bytes_sum'), 5_000)
  assert.equal(
    await valueOf(registry, 'pyroscope_segment_writer_store_metadata_duration_seconds_sum{status="success"}'),
    0.02,
  )
  assert.equal(await valueOf(registry, 'cinder_segment_samples_total'), 40)
  assert.equal(await valueOf(registry, 'pyroscope_distributor_received_samples_sum{tenant="a"}'), 40)
  await assert.rejects(metastore.planQuery({ tenants: [], services: [], startMs: 0, endMs: 1 }), {
    kind: 'unavailable',
  })
  const planned = 'cinder_metastore_call_duration_seconds_count{method="plan_query",outcome="unavailable"}'
  assert.equal(await valueOf(registry, planned), 1)
})

test('what queries read, by tenant and kind', async () => {
  const registry = new Registry()
  const stats = { objects: 3, ranges: 7, bytes: 9_000, datasets: 3, profiles: 1, samples: 1 }
  const signal = new AbortController().signal
  const signals: (AbortSignal | undefined)[] = []
  const backend = meterQueries(
    {
      stacktraces(_, given) {
        signals.push(given)
        return Promise.resolve({ tree: new Uint8Array(0), stats, selected: false })
      },
      mergeProfile: () => Promise.resolve({ stacks: new Uint8Array(0), stats: { ...stats, ranges: 8 } }),
      timeSeries: () => Promise.reject(new CinderError('data_loss', 'bad')),
      points: async () => ({ series: [], stats }),
    },
    registry,
  )
  const objects = [
    { objectId: 'o', level: 0, sizeBytes: 1, datasets: [{ descriptor: { tenant: 'a' }, skip: [] }] },
  ] as never
  const request = { profileType: '', matchers: [], startMs: 0, endMs: 1, objects }
  await backend.stacktraces(request, signal)
  await backend.mergeProfile(request)
  await assert.rejects(backend.timeSeries({ ...request, stepMs: 1, groupBy: [] }), { kind: 'data_loss' })
  assert.deepEqual(signals, [signal])
  const fetched = 'pyroscope_query_frontend_fetched_bytes_total{tenant="a",kind="stacktraces"}'
  assert.equal(await valueOf(registry, fetched), 9_000)
  assert.equal(await valueOf(registry, 'cinder_query_ranges_total{kind="stacktraces"}'), 7)
  assert.equal(await valueOf(registry, 'cinder_query_ranges_total{kind="merge_profile"}'), 8)
  assert.equal(await valueOf(registry, 'cinder_query_backend_call_duration_seconds_count{kind="time_series"}'), 1)
})

test('requests by route, method and status; a scan of paths is one series', async () => {
  const registry = new Registry()
  const app = new Hono()
  app.post('/push.v1.PusherService/Push', (context) => context.text('ok'))
  app.get('/api/:name', (context) => context.text('ok', 201))
  mountMetrics(app, registry)
  const serve = timeRequests((request) => app.fetch(request), registry, [app])
  // Bun makes a GET of a method that it does not know, others leave it.
  const requestOf = (method: string, path: string) =>
    Object.defineProperty(new Request(`http://x${path}`), 'method', { value: method })
  const ask = async (method: string, path: string) => await serve(requestOf(method, path))
  // Who comes first with words of their own must not leave none for the methods that there are.
  for (let i = 0; i < 20; i++) await ask(`WORD${i}`, '/api/one')
  await ask('POST', '/push.v1.PusherService/Push?a=b')
  await ask('GET', '/api/one')
  await ask('GET', '/api/two')
  for (let i = 0; i < 50; i++) await ask('GET', `/wp-admin/${i}`)
  const count = (route: string, method: string, status: number) =>
    valueOf(
      registry,
      `pyroscope_request_duration_seconds_count{route="${route}",method="${method}",status_code="${status}"}`,
    )
  assert.equal(await count('/push.v1.PusherService/Push', 'POST', 200), 1)
  assert.equal(await count('/api/:name', 'GET', 201), 2)
  assert.equal(await count('other', 'GET', 404), 50)
  assert.equal(await count('/api/:name', 'other', 404), 20)
  const scrape = await ask('GET', '/metrics')
  assert.equal(scrape.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
})
