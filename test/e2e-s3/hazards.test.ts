/**
 * The whole of the product on an S3 that misbehaves: a proxy before a small S3 in this process breaks connections, asks to
 * slow down, stalls, damages bodies and refuses deletions. Nothing that was acknowledged may be lost, counted twice or
 * answered in part, and everything goes on when the store does.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { objectKey } from '#core/block/object-key.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { deleteDueObjects } from '../../apps/compaction-worker/delete-objects.ts'
import { createClock } from '#platform/clock.ts'
import { type FaultProxy, type ProxiedRequest, type ProxyFault, startFaultProxy } from '../support/fault-proxy.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, push, pushOne, recentRange } from '../support/server-client.ts'
import { type FakeS3, startFakeS3 } from '../support/servers/fake-s3.ts'
import { createServiceStack, type ServiceStack } from '../support/service-stack.ts'
import { createSilentLog } from '../support/silent-log.ts'

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' })

interface Site {
  readonly s3: FakeS3
  readonly proxy: FaultProxy
  readonly stack: ServiceStack
}

async function createSite(): Promise<Site> {
  const s3 = await startFakeS3()
  const proxy = await startFaultProxy(s3.url)
  const opened = await openStore(`s3://bucket/hazards?endpoint=${proxy.url}`, { env: {} })
  const stack = await createServiceStack({}, opened)
  after(() => stack.close())
  return { s3, proxy, stack }
}

let made = 0

function makeProfile(value: number): Uint8Array {
  made++
  const timeNanos = BigInt(Date.now() - 1_000 * made) * 1_000_000n
  return buildPprof({ timeNanos, samples: [{ stack: [`leaf${made}`, 'main'], values: [value] }] })
}

function tryPush({ stack }: Site, service: string, profile: Uint8Array): Promise<Response> {
  return push(stack.send, [{ labels: { __name__: 'process_cpu', service_name: service }, profiles: [profile] }])
}

const isPut = ({ method, path }: ProxiedRequest) => method === 'PUT' && path.includes('/objects/')
const isGet = ({ method, path }: ProxiedRequest) => method === 'GET' && path.includes('/objects/')

function faultOn(kind: (request: ProxiedRequest) => boolean, fault: ProxyFault) {
  return (request: ProxiedRequest) => (kind(request) ? fault : undefined)
}

test('the store is away: 503 with the store as the reason, soon at once, and no restart when it is back (H16)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  await pushOne(stack.send, 'shop', makeProfile(1))
  proxy.decide = () => ({ kind: 'reset', when: 'before' })
  const profiles: Uint8Array[] = []
  let slowestMs = 0
  const from = proxy.seen.length
  for (let i = 0; i < 30; i++) {
    const profile = makeProfile(10)
    profiles.push(profile)
    const startedMs = performance.now()
    const response = await tryPush(site, 'shop', profile)
    assert.equal(response.status, 503, await response.text())
    if (i >= 20) slowestMs = Math.max(slowestMs, performance.now() - startedMs)
  }
  const requests = proxy.seen.length - from
  assert.ok(requests <= 30 + 20 + 10, `${requests} requests for 30 pushes`)
  assert.ok(slowestMs < 3_000, `a push took ${slowestMs} ms to be refused`)
  proxy.decide = () => undefined
  // One write at a time finds out that it is back (write-standing.ts); an agent sends again.
  const deadlineMs = performance.now() + 20_000
  while ((await tryPush(site, 'shop', profiles[0]!)).status !== 200) assert.ok(performance.now() < deadlineMs)
  for (const profile of profiles) assert.equal((await tryPush(site, 'shop', profile)).status, 200)
  assert.equal(await askTotal(stack.send, 'shop'), 301n)
})

test('a PUT that stalls is sent a second time, and the push completes and counts once (H17)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  const released = Promise.withResolvers<void>()
  after(() => released.resolve())
  let puts = 0
  proxy.decide = (request) => (isPut(request) && ++puts === 1 ? { kind: 'delay', until: released.promise } : undefined)
  const startedMs = performance.now()
  await pushOne(stack.send, 'shop', makeProfile(7))
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs < 5_000, `${tookMs} ms`)
  const keys = proxy.seen.filter(isPut).map(({ path }) => path)
  assert.equal(keys.length, 2)
  assert.equal(keys[0], keys[1])
  assert.equal(await askTotal(stack.send, 'shop'), 7n)
})

test('answers that get lost after the work was done lose nothing and double nothing', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  let count = 0
  proxy.decide = (request) => (isPut(request) && count++ % 2 === 0 ? { kind: 'reset', when: 'after' } : undefined)
  for (const value of [1, 2, 4]) await pushOne(stack.send, 'shop', makeProfile(value))
  assert.equal(await askTotal(stack.send, 'shop'), 7n)
})

test('the store asks to slow down: fewer requests, no failed job, and the answers stay (H22)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  for (const value of [1, 2, 4, 8]) await pushOne(stack.send, 'shop', makeProfile(value))
  const worker = stack.startWorker()
  const from = proxy.seen.length
  const untilMs = performance.now() + 3_000
  proxy.decide = () => (performance.now() < untilMs ? { kind: 'status', status: 503, code: 'SlowDown' } : undefined)
  assert.equal(await stack.compact(), 1)
  const { committed, failed } = worker.status()
  assert.deepEqual([committed, failed], [1, 0])
  assert.ok(performance.now() >= untilMs)
  const requests = proxy.seen.length - from
  // Four gets and a put that succeed; the rest are attempts, of which a tight loop would make thousands.
  assert.ok(requests <= 40, `${requests} requests`)
  assert.equal(await askTotal(stack.send, 'shop'), 15n)
})

test('without the permission to delete, compaction goes on, and deletions wait without spinning (H24)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  proxy.decide = faultOn(({ method }) => method === 'DELETE', { kind: 'status', status: 403, code: 'AccessDenied' })
  for (const value of [1, 2]) await pushOne(stack.send, 'shop', makeProfile(value))
  assert.equal(await stack.compact(), 1)
  await stack.metastore.endGrace()
  const log = createSilentLog()
  const deletion = { metastore: stack.metastore.metastore, store: stack.store, clock: createClock(), log }
  const { signal } = new AbortController()
  assert.equal(await deleteDueObjects(deletion, 'test', signal), 0)
  const deletes = () =>
    proxy.seen.filter(({ method, path }) => method === 'DELETE' && path.includes('/objects/')).length
  assert.equal(deletes(), 1, 'the first refusal speaks for the batch')
  assert.deepEqual(
    log.events.map(({ level, event }) => [level, event]),
    [['warn', 'objects not deleted']],
  )
  assert.equal(await deleteDueObjects(deletion, 'test', signal), 0)
  assert.equal(deletes(), 1, 'not before its next try')
  assert.equal(await askTotal(stack.send, 'shop'), 3n)
})

test('an object that somebody deleted behind our back is named, other services answer in full (H25)', async () => {
  const site = await createSite()
  const { s3, stack } = site
  await pushOne(stack.send, 'lost', makeProfile(5))
  await pushOne(stack.send, 'kept', makeProfile(7))
  const range = recentRange()
  const { objects } = await stack.metastore.metastore.planQuery({
    tenants: ['anonymous'],
    startMs: Number(range.start),
    endMs: Number(range.end),
    services: ['lost'],
  })
  const key = objectKey(objects[0]!.objectId)
  assert.equal(s3.objects.delete(`/bucket/hazards/${key}`), true)
  await assert.rejects(askTotal(stack.send, 'lost'), (error: Error) => {
    return error.message.includes('the answer is not complete') && error.message.includes(objects[0]!.objectId)
  })
  assert.equal(await askTotal(stack.send, 'kept'), 7n)
})

test('wrong bytes of a range are found by checksums, named, and never drawn; a second look may be right (H26)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  await pushOne(stack.send, 'shop', makeProfile(9))
  let damaged = 0
  proxy.decide = (request) => (isGet(request) && damaged++ === 0 ? { kind: 'corrupt-answer' } : undefined)
  assert.equal(await askTotal(stack.send, 'shop'), 9n, 'damaged once: the query is planned anew')
  assert.equal(damaged, 2)
  proxy.decide = faultOn(isGet, { kind: 'corrupt-answer' })
  await assert.rejects(askTotal(stack.send, 'shop'), /the answer is not complete/)
  proxy.decide = faultOn(isGet, { kind: 'truncate' })
  await assert.rejects(askTotal(stack.send, 'shop'), /bytes|closed|unavailable/i)
  proxy.decide = () => undefined
  await waitUntil('the store works again', async () => (await askTotal(stack.send, 'shop')) === 9n)
})

test('a compaction whose sources arrive damaged fails and leaves them; a later one succeeds (H26)', async () => {
  const site = await createSite()
  const { proxy, stack } = site
  for (const value of [1, 2]) await pushOne(stack.send, 'shop', makeProfile(value))
  const worker = stack.startWorker()
  proxy.decide = faultOn(isGet, { kind: 'corrupt-answer' })
  assert.equal(await stack.metastore.metastore.planner.pass(), 1)
  await waitUntil('the job failed', () => worker.status().failed === 1)
  proxy.decide = () => undefined
  assert.equal(await askTotal(stack.send, 'shop'), 3n)
  await stack.metastore.endBackoff()
  await waitUntil('the job is done', () => worker.status().committed === 1)
  assert.equal(await askTotal(stack.send, 'shop'), 3n)
})
