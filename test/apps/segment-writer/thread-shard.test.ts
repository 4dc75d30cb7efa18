import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MIB } from '#core/units.ts'
import type { Clock } from '#core/ports/clock.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { ENCODE_TURN_MS, LocalShard } from '../../../apps/segment-writer/local-shard.ts'
import { TenantRates } from '../../../apps/segment-writer/tenant-rates.ts'
import { ThreadShard } from '../../../apps/segment-writer/thread-shard.ts'
import { WriterAccount } from '../../../apps/segment-writer/writer-account.ts'
import {
  ask,
  headShardContract,
  NO_RATE,
  profileOf,
  type ShardScene,
  type ShardSceneSettings,
  shardTrace,
  takenOf,
} from '../../contract/head-shard.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { simplePprof } from '../../support/write-path.ts'

const opened: ThreadShard[] = []
after(() => {
  for (const shard of opened) shard.stop()
})

function createThreads({
  memoryBytesMax = 64 * MIB,
  limits = NO_RATE,
  failedStarts = 0,
  clock = createClock(),
  start = () => new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href),
}: ShardSceneSettings & { failedStarts?: number; clock?: Clock; start?: (index: number) => Worker } = {}) {
  const threads: Worker[] = []
  let starts = 0
  const posted: number[] = []
  const log = createSilentLog()
  const account = new WriterAccount(1)
  const startThread = (): Worker => {
    if (starts++ < failedStarts) throw new Error('no thread to be had')
    const thread = start(threads.length)
    const postMessage = thread.postMessage.bind(thread) as (message: unknown, transfer: Transferable[]) => void
    thread.postMessage = (message: { orders?: readonly unknown[] }, transfer?: unknown) => {
      if (message.orders !== undefined) posted.push(message.orders.length)
      postMessage(message, transfer as Transferable[])
    }
    threads.push(thread)
    return thread
  }
  const rates = new TenantRates(() => limits)
  const settings = { index: 0, count: 1, memoryBytesMax, dictionariesBytesMax: memoryBytesMax / 4 }
  const shard = new ThreadShard({ account, rates, clock, log, startThread }, settings)
  opened.push(shard)
  return { shard, account, threads, posted, log }
}

headShardContract(createThreads)

test('a thread writes the same datasets, byte for byte, as a shard in this thread', async () => {
  const account = new WriterAccount(1)
  const deps = {
    codec: createCodec(),
    digest: createDigest(),
    clock: { nowMs: () => 0, sleep: async () => {} },
    account,
  }
  const settings = { index: 0, count: 1, memoryBytesMax: 64 * MIB, dictionariesBytesMax: MIB, firstHead: 0 }
  const local: ShardScene = {
    account,
    shard: new LocalShard({ ...deps, rates: undefined }, { ...settings, encodeTurnMs: ENCODE_TURN_MS }),
  }
  assert.deepEqual(await shardTrace(createThreads()), await shardTrace(local))
})

test('what is asked while the thread is busy goes out together', async () => {
  const { shard, posted } = createThreads()
  await Promise.all(Array.from({ length: 300 }, (_, i) => ask(shard, { bytes: simplePprof(1 + i), request: i })))
  assert.ok(posted.length <= 10, `${posted.length} messages for 300 profiles`)
  assert.equal(
    posted.reduce((sum, orders) => sum + orders, 0),
    300,
  )
  assert.ok(
    posted.every((orders) => orders <= 64),
    'answers come in between',
  )
})

test('bytes of a caller stay his: they are copied, never transferred', async () => {
  const { shard } = createThreads()
  const bytes = profileOf(1)
  const before = bytes.slice()
  takenOf(await ask(shard, { bytes }))
  assert.deepEqual(bytes, before)
})

test('a thread that dies fails what it was asked as retryable, holds nothing, and is replaced', async () => {
  const { shard, account, threads, log } = createThreads()
  const first = takenOf(await ask(shard, { bytes: profileOf(1) }))
  assert.ok(account.bytesOf('pushes') > 0)
  const asked = [2, 3].map((seed) => ask(shard, { bytes: profileOf(seed), request: seed }))
  threads[0]!.terminate()
  const answers = await Promise.all(asked)
  for (const answer of answers) {
    assert.ok(answer.kind === 'verdict')
    const { status, kind, reason, retryAfterMs } = answer.verdict
    assert.deepEqual([status, kind, reason, retryAfterMs], ['rejected', 'unavailable', 'writer_thread', 1000])
  }
  assert.equal(account.heldBytes(), 0)
  assert.deepEqual(await shard.encode(0), [], 'its heads are gone')
  assert.deepEqual(
    log.events.map(({ event }) => event),
    ['writer thread died'],
  )
  const second = takenOf(await ask(shard, { bytes: profileOf(1) }))
  assert.equal(threads.length, 2)
  assert.notEqual(second.head, first.head, 'nobody mistakes it for a head that died')
  const [result] = await shard.encode(0)
  assert.equal(result!.head, second.head)
  shard.settled(0, true)
})

/** Hears everything and says nothing, as one in a loop that never ends. */
function silentThread(): Worker {
  const source = 'self.onmessage = () => { for (;;); }'
  return new Worker(URL.createObjectURL(new Blob([source], { type: 'application/javascript' })))
}

test('a thread that hangs fails what it was asked as retryable, and is replaced, as one that died', async () => {
  const clock = createManualClock(0)
  const start = (index: number): Worker =>
    index === 0
      ? silentThread()
      : new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href)
  const { shard, account, threads, log } = createThreads({ clock, start })
  const asked = ask(shard, { bytes: profileOf(1) })
  const waiting = Array.from({ length: 3 }, (_, i) => ask(shard, { bytes: profileOf(2 + i), request: 2 + i }))
  await clock.advance(29_999)
  assert.equal(threads.length, 1, 'slow is not hung')
  await clock.advance(1)
  const answer = await asked
  assert.ok(answer.kind === 'verdict')
  assert.deepEqual([answer.verdict.kind, answer.verdict.reason], ['unavailable', 'writer_thread'])
  const kinds = (await Promise.all(waiting)).map(({ kind }) => kind)
  assert.ok(kinds.includes('taken'), 'what waited is done by the next thread')
  assert.deepEqual(
    log.events.map(({ event, fields }) => [event, fields?.['message']]),
    [['writer thread died', 'it hangs: no word for 30000 ms']],
  )
  const results = await shard.encode(0)
  assert.equal(results.length, 1)
  shard.settled(0, true)
  assert.equal(account.bytesOf('waiting'), 0)
  assert.equal(threads.length, 2)
})

test('a thread that hangs while it is told what became of its batches is noticed too', async () => {
  const clock = createManualClock(0)
  const { shard, account, threads } = createThreads({ clock })
  takenOf(await ask(shard, { bytes: profileOf(1) }))
  assert.ok(account.bytesOf('pushes') > 0)
  // From now on it hears nothing.
  threads[0]!.postMessage = () => undefined
  for (let batch = 0; batch < 3; batch++) shard.settled(batch, true)
  const waiting = ask(shard, { bytes: profileOf(2), request: 2 })
  await clock.advance(40_000)
  takenOf(await waiting)
  assert.equal(threads.length, 2)
})

test('a thread that answers, however slowly, is not taken for one that hangs; an idle one is not watched', async () => {
  const clock = createManualClock(0)
  const { shard, threads, log } = createThreads({ clock })
  for (let i = 0; i < 5; i++) {
    await clock.advance(20_000)
    takenOf(await ask(shard, { bytes: profileOf(1 + i), request: i }))
  }
  await clock.advance(100_000)
  assert.equal(clock.sleeperCount(), 0)
  takenOf(await ask(shard, { bytes: profileOf(9), request: 9 }))
  assert.deepEqual([threads.length, log.events], [1, []])
})

test('encoding is given up when its thread dies', async () => {
  const { shard, threads } = createThreads()
  takenOf(await ask(shard, { bytes: profileOf(1) }))
  const encoded = shard.encode(0)
  threads[0]!.terminate()
  await assert.rejects(encoded, { kind: 'unavailable', reason: 'writer_thread', outcome: 'not-applied' })
})

test('what had not gone out when the thread died is done by the next one', async () => {
  const { shard, threads, account } = createThreads()
  const asked = Array.from({ length: 400 }, (_, i) => ask(shard, { bytes: simplePprof(1 + i), request: i }))
  threads[0]!.terminate()
  const kinds = (await Promise.all(asked)).map(({ kind }) => kind)
  const lost = kinds.filter((kind) => kind === 'verdict').length
  assert.ok(lost > 0 && lost <= 128, `${lost} were with the thread`)
  assert.deepEqual(new Set(kinds.slice(lost)), new Set(['taken']))
  const [result] = await shard.encode(0)
  assert.ok(result!.kind === 'encoded')
  assert.equal(result!.encoded.profileCount, 400 - lost)
  assert.equal(account.bytesOf('waiting'), 0)
})

test('a fault of ours in the thread is an error, and the thread lives on', async () => {
  const { shard, threads } = createThreads()
  const timeless = simplePprof(1, { timeNanos: 0n })
  await assert.rejects(ask(shard, { bytes: timeless, nowMs: Number.NaN }), /integer/)
  takenOf(await ask(shard, { bytes: profileOf(1), request: 2 }))
  assert.equal(threads.length, 1)
})

test('a gzip that says too little of its size is charged what it had', async () => {
  const raw = profileOf(1)
  const lying = createCodec().gzip(raw)
  const both = new Uint8Array([...lying, ...createCodec().gzip(new Uint8Array(0))])
  const limits = { ...NO_RATE, ingestionRateBytes: 1_000, ingestionBurstBytes: raw.length }
  const { shard } = createThreads({ limits })
  // The last member, which says 0 bytes, is not all of it.
  takenOf(await ask(shard, { bytes: both, limits }))
  const next = await ask(shard, { bytes: both, limits, request: 2 })
  assert.ok(next.kind === 'verdict')
  assert.equal(next.verdict.reason, 'rate_limited')
})

test('stop ends the thread; who still waits is told to come again, and later ones too', async () => {
  const { shard, account, threads } = createThreads()
  const waiting = ask(shard, { bytes: profileOf(1) })
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  threads[0]!.addEventListener('close', () => resolve())
  shard.stop()
  const late = ask(shard, { bytes: profileOf(2) })
  for (const answer of await Promise.all([waiting, late])) {
    assert.ok(answer.kind === 'verdict')
    assert.equal(answer.verdict.kind, 'unavailable')
  }
  await closed
  assert.equal(account.heldBytes(), 0)
})

test('where no thread can be started pushes are told to come again, and the next one tries again', async () => {
  const { shard, account, threads, log } = createThreads({ failedStarts: 3 })
  for (let i = 0; i < 3; i++) {
    const answer = await ask(shard, { bytes: profileOf(1), request: i })
    assert.ok(answer.kind === 'verdict')
    assert.deepEqual([answer.verdict.kind, answer.verdict.reason], ['unavailable', 'writer_thread'])
    assert.equal(account.heldBytes(), 0)
  }
  assert.match(String(log.events[0]!.fields['message']), /no thread to be had/)
  takenOf(await ask(shard, { bytes: profileOf(1), request: 4 }))
  assert.equal(threads.length, 1)
})
