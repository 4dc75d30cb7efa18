/** Requests of OpenTelemetry from the edge to the store: few flushes, identities, and threads that have their dictionary. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { openOtlp } from '#core/ingest/otlp/envelope.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import { LocalShard } from '../../../apps/segment-writer/local-shard.ts'
import { WriterAccount } from '../../../apps/segment-writer/writer-account.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { buildOtlp, type OtlpModel, type OtlpProfile } from '../../support/otlp.ts'
import { waitUntil } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const PROFILES = 500
const TIMEOUT = { timeout: 120_000 }

const stops: (() => Promise<unknown> | void)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

/** `threads` 0: the writer decodes by itself. */
function setUp(threads: number) {
  const clock = createClock()
  const codec = createCodec()
  const store = createMemoryStore()
  const workers: Worker[] = []
  const own = { store, codec, clock, digest: createDigest(), random: createRandom(), log: createSilentLog() }
  const startThread = (): Worker => {
    const worker = new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href)
    workers.push(worker)
    return worker
  }
  const writer = createSegmentWriter(
    { ...own, metastore: createMemoryMetastore(clock), startThread },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0 }),
      flushPolicy: { ...FLUSH_POLICY_DEFAULT, batchBytesMax: 1e9, batchProfilesMax: 1e6 },
      putsPerSecondMax: 0,
      memoryBytesMax: 256 * 1024 * 1024,
      writeDeadlineMs: 60_000,
      threads,
    },
  )
  stops.push(() => writer.stop())
  const verdicts: ProfileVerdict[][] = []
  const app = createDistributor(
    {
      writer: {
        async write(request) {
          const answer = await writer.write(request)
          verdicts.push(answer.verdicts)
          return answer
        },
      },
      clock,
      log: createSilentLog(),
      compression: codecCompression(codec),
    },
    { multitenancy: false, bodyLimitBytes: 64 * 1024 * 1024 },
  )
  const send = async (model: OtlpModel): Promise<Record<string, number>> => {
    const headers = { 'Content-Type': 'application/x-protobuf' }
    const body = buildOtlp(model) as Uint8Array<ArrayBuffer>
    const response = await app.request('/v1development/profiles', { method: 'POST', headers, body })
    assert.equal(response.status, 200, await response.text())
    const counts: Record<string, number> = {}
    for (const { status } of verdicts.at(-1)!) counts[status] = (counts[status] ?? 0) + 1
    return counts
  }
  const objects = async () => (await store.list(OBJECT_KEY_PREFIX)).length
  return { send, objects, writer, workers }
}

const NOW_NANOS = BigInt(Date.now()) * 1_000_000n

const profileOf = (i: number): OtlpProfile => ({
  type: ['samples', 'count'],
  periodType: ['cpu', 'nanoseconds'],
  period: 10_000_000n,
  timeNanos: NOW_NANOS + BigInt(i),
  samples: [{ stack: [`leaf-${i % 40}`, 'middle', 'main'], values: [3n], attributes: { 'thread.name': `t${i % 3}` } }],
})

function modelOf(profiles: readonly OtlpProfile[]): OtlpModel {
  const services = Array.from({ length: 10 }, (_, s) => ({
    attributes: { 'service.name': `service-${s}` },
    scopes: [{ profiles: profiles.filter((_, i) => i % 10 === s) }],
  }))
  return { resources: services }
}

const ALL = Array.from({ length: PROFILES }, (_, i) => profileOf(i))

for (const threads of [0, 2]) {
  test(`500 profiles of one request are stored together, with ${threads} threads (H5)`, TIMEOUT, async () => {
    const { send, objects } = setUp(threads)
    assert.deepEqual(await send(modelOf(ALL)), { stored: PROFILES })
    // One flush, as one-flush.test.ts shows by turns; here each pause of the machine may be as long as a flush waits.
    assert.ok((await objects()) <= PROFILES / 20, `${await objects()} objects`)
  })

  test(`a retry counts once, also where the sender arranged it anew, with ${threads} threads`, TIMEOUT, async () => {
    const { send, writer } = setUp(threads)
    assert.deepEqual(await send(modelOf(ALL)), { stored: PROFILES })
    assert.deepEqual(await send(modelOf(ALL)), { duplicate: PROFILES })
    // Split in two, from the back: every entry has another place in its dictionary.
    const { resources } = modelOf(ALL)
    const turned = resources.toReversed()
    assert.deepEqual(await send({ resources: turned.slice(0, 5) }), { duplicate: PROFILES / 2 })
    assert.deepEqual(await send({ resources: turned.slice(5) }), { duplicate: PROFILES / 2 })
    assert.deepEqual(await send(modelOf([{ ...profileOf(0), timeNanos: NOW_NANOS - 1n }])), { stored: 1 })
    const twice = { ...profileOf(0), timeNanos: NOW_NANOS - 2n }
    const both = {
      resources: [{ attributes: { 'service.name': 'service-0' }, scopes: [{ profiles: [twice, twice] }] }],
    }
    assert.deepEqual(await send(both), { stored: 2 })
    assert.deepEqual(await send(both), { duplicate: 2 })
    await waitUntil('memory is given back', () => writer.status().pendingBytes === 0)
  })
}

test('a thread that takes the place of another is given the dictionary too', TIMEOUT, async () => {
  const { send, writer, workers } = setUp(1)
  assert.deepEqual(await send(modelOf(ALL)), { stored: PROFILES })
  workers[0]!.terminate()
  const again = ALL.map((profile) => ({ ...profile, timeNanos: profile.timeNanos! + 1_000_000n }))
  // What meets the dying thread is refused as retryable: the sender sends it again.
  let counts: Record<string, number> | undefined
  for (let attempt = 0; attempt < 20 && counts === undefined; attempt++) {
    counts = await send(modelOf(again)).catch(() => undefined)
  }
  assert.equal((counts!.stored ?? 0) + (counts!.duplicate ?? 0), PROFILES)
  assert.ok(workers.length > 1)
  await waitUntil('memory is given back', () => writer.status().pendingBytes === 0)
})

test('what a shard keeps of an open request counts as its own, and is gone with its thread', () => {
  const account = new WriterAccount(1)
  const shard = new LocalShard(
    { codec: createCodec(), digest: createDigest(), clock: createClock(), account, rates: undefined },
    { index: 0, count: 1, memoryBytesMax: 1e9, dictionariesBytesMax: 0, firstHead: 0, encodeTurnMs: Infinity },
  )
  const { profiles, dictionary } = openOtlp(readOtlpRequest(buildOtlp(modelOf([profileOf(0)]))), { bytesMax: 0 })
  const take = (request: number) =>
    shard.takeNow({
      batch: { number: 0, objectId: 'o' },
      request,
      tenant: 't',
      labels: profiles[0]!.labels,
      ingest: { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0), format: 'otlp-1.10', dictionary },
      profile: { bytes: profiles[0]!.bytes, clientId: '' },
      limits: DEFAULT_LIMITS,
      nowMs: Date.now(),
    })
  assert.equal(take(1).kind, 'taken')
  const openBytes = account.bytesOf('pushes')
  shard.forget(1)
  assert.ok(account.bytesOf('pushes') < openBytes - dictionary.length)
  take(2)
  account.clear(0)
  assert.equal(account.heldBytes(), 0)
})
