/** What a client has sent and left is not read to its end: between slices, and before a thread gets it. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import type { TakeAnswer } from '../../../apps/segment-writer/head-shard.ts'
import { LocalShard } from '../../../apps/segment-writer/local-shard.ts'
import { TenantRates } from '../../../apps/segment-writer/tenant-rates.ts'
import { ThreadShard } from '../../../apps/segment-writer/thread-shard.ts'
import { WriterAccount } from '../../../apps/segment-writer/writer-account.ts'
import { ask, NO_RATE, profileOf } from '../../contract/head-shard.ts'
import { type JfrEvent, jfrOf } from '../../support/jfr-writer.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_MS, NOW_NANOS, readTenant, seriesOf, settle, simplePprof } from '../../support/write-path.ts'

const opened: ThreadShard[] = []
after(() => {
  for (const shard of opened) shard.stop()
})

/** Each profile takes longer than a slice; `onTurn` runs between two. */
function createBusyWriter(onTurn: () => void) {
  const manual = createManualClock(NOW_MS)
  let workedMs = 0
  let inflated = 0
  const codec = createCodec()
  const clock: Clock = {
    nowMs: () => manual.nowMs() + workedMs,
    sleep: async (durationMs, signal) => {
      if (durationMs > 0) return await manual.sleep(durationMs, signal)
      onTurn()
    },
  }
  const slow = {
    ...codec,
    gunzip(bytes: Uint8Array, maxOutputBytes: number) {
      workedMs += 30
      inflated++
      return codec.gunzip(bytes, maxOutputBytes)
    },
  }
  const metastore = createMemoryMetastore(manual)
  const store = createMemoryStore()
  const ports = { digest: createDigest(), random: createRandom(), log: createSilentLog() }
  const writer = createSegmentWriter(
    { ...ports, store, metastore, clock, codec: slow },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0, rejectOlderThanMs: 0 }),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * MIB,
      writeDeadlineMs: 8_000,
      threads: 0,
    },
  )
  const profiles = [1, 2, 4].map((value) => codec.gzip(simplePprof(value)))
  const request = { tenant: 'acme', series: [seriesOf(profiles)] }
  return {
    manual,
    writer,
    request,
    inflatedCount: () => inflated,
    read: () => readTenant({ store, metastore }, 'acme'),
  }
}

test('of a long request nothing is read once its client has left, and its retry counts all of it once', async () => {
  const leaving = new AbortController()
  const { manual, writer, request, inflatedCount, read } = createBusyWriter(() => leaving.abort())
  await assert.rejects(settle(manual, writer.write(request, { signal: leaving.signal })), (error: unknown) => {
    assert.ok(error instanceof CinderError)
    assert.deepEqual([error.kind, error.reason, error.outcome], ['canceled', 'client_gone', 'unknown'])
    return true
  })
  assert.equal(inflatedCount(), 1)
  // The turn is free again.
  const { verdicts } = await settle(manual, writer.write(request))
  assert.deepEqual(
    verdicts.map(({ status }) => status),
    ['duplicate', 'stored', 'stored'],
  )
  assert.equal((await read()).total, 7n)
})

const isRefusedAsGone = (answer: TakeAnswer) => answer.kind === 'verdict' && answer.verdict.reason === 'client_gone'

test('a recording is left between two slices, and nothing of it is kept', async () => {
  let isGone = false
  let turns = 0
  let nowMs = NOW_MS
  const clock: Clock = {
    // Every look is a turn's time later.
    nowMs: () => (nowMs += 5),
    sleep: async () => {
      turns++
      isGone = true
    },
  }
  const account = new WriterAccount(1)
  const shard = new LocalShard(
    { codec: createCodec(), digest: createDigest(), clock, account, rates: undefined },
    { index: 0, count: 1, memoryBytesMax: 64 * MIB, dictionariesBytesMax: MIB, firstHead: 0, encodeTurnMs: 5 },
  )
  const events = Array.from({ length: 9_000 }, (_, i): JfrEvent => {
    const values = { contextId: 0, spanId: 0, spanName: 0, traceIdHi: 0, traceIdLo: 0 }
    return { type: 'jdk.ExecutionSample', stack: [['app/Main', 'main', i]], values }
  })
  const ingest = {
    spyName: '',
    fromNanos: NOW_NANOS,
    sampleTypeConfig: new Uint8Array(0),
    sampleRate: 100,
    format: 'jfr',
  }
  const input = {
    batch: { number: 0, objectId: 'object' },
    request: 1,
    tenant: 'acme',
    labels: [{ name: 'service_name', value: 'shop' }],
    ingest,
    profile: { bytes: jfrOf(...events), clientId: '' },
    limits: DEFAULT_LIMITS,
    nowMs: NOW_MS,
  }
  assert.ok(isRefusedAsGone(await shard.take({ ...input, isGone: () => isGone })))
  assert.equal(turns, 1, 'it was left after its first slice')
  assert.deepEqual(await shard.encode(0), [])
  // The next one has the decoder.
  const next = await shard.take({ ...input, request: 2 })
  assert.equal(next.kind, 'taken')
})

test('what waits for a busy thread is dropped once its client has left', async () => {
  const posted: number[] = []
  const account = new WriterAccount(1)
  const startThread = (): Worker => {
    const thread = new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href)
    const postMessage = thread.postMessage.bind(thread) as (message: unknown, transfer: Transferable[]) => void
    thread.postMessage = (message: { orders?: readonly unknown[] }, transfer?: unknown) => {
      if (message.orders !== undefined) posted.push(message.orders.length)
      postMessage(message, transfer as Transferable[])
    }
    return thread
  }
  const shard = new ThreadShard(
    { account, rates: new TenantRates(() => NO_RATE), clock: createClock(), log: createSilentLog(), startThread },
    { index: 0, count: 1, memoryBytesMax: 64 * MIB, dictionariesBytesMax: MIB },
  )
  opened.push(shard)
  let isGone = false
  const answers = Array.from({ length: 200 }, (_, i) =>
    ask(shard, { bytes: profileOf(i), request: 1, isGone: () => isGone }),
  )
  const after = ask(shard, { bytes: profileOf(300), request: 2 })
  isGone = true
  const gone = (await Promise.all(answers)).filter(isRefusedAsGone).length
  assert.equal(gone, 198, 'the thread had two, one by one')
  assert.equal((await after).kind, 'taken')
  assert.equal(
    posted.reduce((sum, orders) => sum + orders, 0),
    3,
  )
  assert.equal(account.bytesOf('waiting'), 0)
})
