/** The writer over threads, on the real clock: what a client sees is what it sees of a writer without them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import {
  createSegmentWriter,
  type SegmentWriterDeps,
  type SegmentWriterSettings,
} from '../../../apps/segment-writer/app.ts'
import type { ThreadQuestion, ThreadReply } from '../../../apps/segment-writer/thread-messages.ts'
import { BATCHES_MAX } from '../../../apps/segment-writer/writer-account.ts'
import { faultyStore } from '../../support/faulty-store.ts'
import { idle } from '../../support/manual-clock.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_NANOS, push, readTenant, seriesOf, simplePprof } from '../../support/write-path.ts'

function createThreadedWriter(
  settings: Partial<SegmentWriterSettings> = {},
  deps: Partial<Pick<SegmentWriterDeps, 'clock' | 'startThread'>> = {},
) {
  const clock = deps.clock ?? createClock()
  const store = faultyStore(createMemoryStore())
  const metastore = createMemoryMetastore(clock)
  const threads: Worker[] = []
  const writer = createSegmentWriter(
    {
      store,
      metastore,
      clock,
      codec: createCodec(),
      digest: createDigest(),
      random: createRandom(),
      log: createSilentLog(),
      startThread: () => {
        const thread = new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href)
        threads.push(thread)
        return thread
      },
      ...deps,
    },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0, rejectOlderThanMs: 0 }),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * MIB,
      writeDeadlineMs: 8_000,
      threads: 2,
      ...settings,
    },
  )
  return { writer, store, metastore, threads, read: (tenant: string) => readTenant({ store, metastore }, tenant) }
}

const profileAt = (i: number): Uint8Array => simplePprof(1, { timeNanos: NOW_NANOS + BigInt(i) })
const statusesOf = (verdicts: readonly ProfileVerdict[]): string[] => [...new Set(verdicts.map(({ status }) => status))]

test('pushes of many tenants and services are stored once, whichever thread has them; retries are duplicates', async () => {
  const { writer, read, threads } = createThreadedWriter()
  const pushAll = () =>
    Promise.all(
      Array.from({ length: 60 }, (_, i) => push(writer, [profileAt(i)], { tenant: `t${i % 2}`, service: `s${i % 7}` })),
    )
  assert.deepEqual(statusesOf((await pushAll()).flat()), ['stored'])
  assert.deepEqual(statusesOf((await pushAll()).flat()), ['duplicate'])
  assert.deepEqual([(await read('t0')).total, (await read('t1')).total, threads.length], [30n, 30n, 2])
  await writer.stop()
  const { pendingBytes, symbolBytes, flushesInFlight } = writer.status()
  assert.deepEqual([pendingBytes, symbolBytes, flushesInFlight], [0, 0, 0])
})

test('verdicts come in the order of the request, over series in different threads', async () => {
  const { writer } = createThreadedWriter()
  const bad = new Uint8Array(0)
  const series = ['a', 'b', 'c', 'd', 'e'].map((service, i) =>
    seriesOf([profileAt(i), bad, profileAt(100 + i), simplePprof(0)], { service }),
  )
  const { verdicts } = await writer.write({ tenant: 'acme', series })
  assert.deepEqual(
    verdicts.map(({ status }) => status),
    series.flatMap(() => ['stored', 'rejected', 'stored', 'empty']),
  )
  await writer.stop()
})

test('a thread that dies in the middle of a load: what failed is retryable, and every profile counts once in the end', async () => {
  const { writer, read, threads } = createThreadedWriter()
  await push(writer, [profileAt(1_000)])
  let isKilled = false
  const pushUntilStored = async (i: number): Promise<number> => {
    for (let attempts = 1; ; attempts++) {
      const [verdict] = await push(writer, [profileAt(i)], { service: `s${i % 5}` })
      if (verdict!.status !== 'rejected') return attempts
      assert.deepEqual([verdict!.kind, verdict!.reason], ['unavailable', 'writer_thread'])
      assert.ok(attempts < 20)
    }
  }
  const attempts = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const count = pushUntilStored(i)
      if (i === 150 && !isKilled) {
        isKilled = true
        for (const thread of threads) thread.terminate()
      }
      return count
    }),
  )
  assert.ok(
    attempts.some((count) => count > 1),
    'some were with the threads',
  )
  assert.equal((await read('acme')).total, 201n)
  await writer.stop()
  assert.equal(writer.status().pendingBytes, 0)
})

test('heads that died with their thread fail alone: the segment of the others is stored', async () => {
  const flushPolicy = { ...FLUSH_POLICY_DEFAULT, lingerMs: 60_000, intervalMaxMs: 60_000 }
  const { writer, read, threads } = createThreadedWriter({ flushPolicy })
  const answers = Array.from({ length: 8 }, (_, i) => push(writer, [profileAt(i)], { service: `s${i}` }))
  while (writer.status().profiles < 8) await idle()
  threads[0]!.terminate()
  await writer.stop()
  const verdicts = (await Promise.all(answers)).flat()
  const lost = verdicts.filter(({ status }) => status === 'rejected')
  assert.ok(lost.length > 0 && lost.length < 8, `${lost.length} of 8 lost`)
  for (const { kind, reason } of lost) assert.deepEqual([kind, reason], ['unavailable', 'writer_thread'])
  assert.equal((await read('acme')).total, BigInt(8 - lost.length))
})

test('a stalled store: threads hold no more than the bound, and go on when it is back (H16)', async () => {
  const memoryBytesMax = 2 * MIB
  const { writer, store } = createThreadedWriter({ memoryBytesMax })
  const put = store.stallNext('put')
  const stalled = push(writer, [profileAt(0)])
  await put.reached
  const second = store.stallNext('put')
  const answers = Promise.all(
    Array.from({ length: 2_000 }, (_, i) => push(writer, [profileAt(1 + i)], { service: `s${i % 4}` })),
  )
  await second.reached
  const { peakPendingBytes, flushesInFlight } = writer.status()
  assert.ok(peakPendingBytes <= memoryBytesMax + 2 * 65_536, `${peakPendingBytes} bytes`)
  assert.ok(flushesInFlight <= FLUSH_POLICY_DEFAULT.flushesInFlightMax)
  put.release()
  second.release()
  const verdicts = (await answers).flat()
  const shed = verdicts.filter(({ reason }) => reason === 'memory_limit').length
  assert.ok(shed > 500, `${shed} shed`)
  assert.equal(verdicts.filter(({ status }) => status === 'stored').length, 2_000 - shed)
  assert.deepEqual(statusesOf(await stalled), ['stored'])
  assert.deepEqual(statusesOf(await push(writer, [profileAt(9_999)])), ['stored'])
  await writer.stop()
})

test('stop stores what waits in threads', async () => {
  const flushPolicy = { ...FLUSH_POLICY_DEFAULT, lingerMs: 60_000, intervalMaxMs: 60_000 }
  const { writer, read } = createThreadedWriter({ flushPolicy })
  const waiting = Array.from({ length: 5 }, (_, i) => push(writer, [profileAt(i)], { service: `s${i}` }))
  await writer.stop()
  assert.deepEqual(statusesOf((await Promise.all(waiting)).flat()), ['stored'])
  assert.equal((await read('acme')).total, 5n)
})

test('a fault of a thread fails its request, also when the request is still being taken in', async () => {
  let taken = 0
  const startThread = (): Worker => {
    const thread = {
      addEventListener: () => {},
      terminate: () => {},
      postMessage: ({ orders = [] }: Partial<ThreadQuestion>) => {
        const faults = orders.flatMap((order) => (order.kind === 'take' ? [{ id: order.id, message: 'a fault' }] : []))
        taken += faults.length
        const reply: ThreadReply = { kind: 'taken', isLast: true, taken: new Float64Array(0), others: [], faults }
        if (orders.length > 0) setImmediate(() => worker.onmessage!({ data: reply } as MessageEvent))
        for (const order of orders)
          if (order.kind === 'encode')
            setImmediate(() =>
              worker.onmessage!({ data: { kind: 'encoded', id: order.id, results: [] } } as unknown as MessageEvent),
            )
      },
    }
    const worker = thread as unknown as Worker
    return worker
  }
  const clock = createClock()
  let nowMs = clock.nowMs()
  // Every profile takes longer than the request may hold others up, and then others get several turns.
  const slow = {
    nowMs: () => (nowMs += 30),
    sleep: async (durationMs: number, signal?: AbortSignal) => {
      await clock.sleep(durationMs === 0 ? 5 : durationMs, signal)
    },
  }
  const { writer } = createThreadedWriter({}, { startThread, clock: slow })
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    await assert.rejects(push(writer, [profileAt(1), profileAt(2), profileAt(3)]), /a fault/)
    assert.equal(taken, 3)
    assert.deepEqual(unhandled, [], 'nothing that would end the process')
  } finally {
    process.off('unhandledRejection', note)
  }
  await writer.stop()
})

test('a batch that is long in flight keeps its counters to itself', async () => {
  const numbers = new Set<number>()
  const gate = Promise.withResolvers<void>()
  const scene = createThreadedWriter(
    { threads: 1 },
    {
      startThread: () => {
        const thread = new Worker(new URL('../../../apps/segment-writer/shard-thread.ts', import.meta.url).href)
        const postMessage = thread.postMessage.bind(thread) as (message: unknown, transfer: Transferable[]) => void
        thread.postMessage = ({ orders = [], ...rest }: Partial<ThreadQuestion>, transfer?: unknown) => {
          for (const order of orders) if (order.kind === 'take') numbers.add(order.batch.number)
          postMessage(orders.length > 0 ? { orders, ...rest } : rest, transfer as Transferable[])
        }
        return thread
      },
    },
  )
  const { writer, metastore } = scene
  const commit = metastore.commitSegment.bind(metastore)
  const stalled = Promise.withResolvers<void>()
  metastore.commitSegment = async (request) => {
    metastore.commitSegment = commit
    stalled.resolve()
    await gate.promise
    return await commit(request)
  }
  const first = push(writer, [profileAt(0)])
  await stalled.promise
  for (let i = 1; i <= 10; i++) await push(writer, [profileAt(i)])
  gate.resolve()
  await first
  const [oldest, ...others] = [...numbers]
  assert.equal(others.length, 10)
  assert.deepEqual(
    others.filter((number) => (number - oldest!) % BATCHES_MAX === 0),
    [],
  )
  await writer.stop()
})
