/** A request of many profiles is one segment, however long it takes to read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { buildPprof } from '../../support/profiles.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_MS, NOW_NANOS } from '../../support/write-path.ts'

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** Time passes with `pass` alone; a sleep of 0 is a turn of the loop. */
function createStepClock() {
  let nowMs = NOW_MS
  let turns = 0
  const sleepers = new Set<{ dueMs: number; wake: () => void }>()
  const clock: Clock = {
    nowMs: () => Math.floor(nowMs),
    async sleep(durationMs, signal) {
      if (durationMs === 0) {
        turns++
        return nextTurn()
      }
      await new Promise<void>((wake) => {
        sleepers.add({ dueMs: nowMs + durationMs, wake })
        signal?.addEventListener('abort', () => wake())
      })
    },
  }
  const pass = (durationMs: number): void => {
    nowMs += durationMs
    for (const sleeper of sleepers) {
      if (sleeper.dueMs > nowMs) continue
      sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
  return { clock, pass, turnCount: () => turns }
}

/** Reading a profile costs `takeMs`. */
function createScene(takeMs: number) {
  const { clock, pass, turnCount } = createStepClock()
  const codec = createCodec()
  const slow = {
    ...codec,
    gunzip(bytes: Uint8Array, maxOutputBytes: number) {
      pass(takeMs)
      return codec.gunzip(bytes, maxOutputBytes)
    },
  }
  const store = createMemoryStore()
  const writer = createSegmentWriter(
    {
      store,
      metastore: createMemoryMetastore(clock),
      codec: slow,
      digest: createDigest(),
      clock,
      random: createRandom(),
      log: createSilentLog(),
    },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0 }),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * 1024 * 1024,
      writeDeadlineMs: 60_000,
      threads: 0,
    },
  )
  const series = (service: string, count: number) => ({
    labels: [
      { name: '__name__', value: 'process_cpu' },
      { name: 'service_name', value: service },
    ],
    profiles: Array.from({ length: count }, (_, i) => ({
      bytes: codec.gzip(buildPprof({ timeNanos: NOW_NANOS + BigInt(i), samples: [{ stack: ['f'], values: [1] }] })),
      clientId: '',
    })),
  })
  /** Statuses of all profiles of a request, and how many objects there are then. */
  async function write(services: readonly string[], count: number) {
    const answer = writer.write({ tenant: 'acme', series: services.map((service) => series(service, count)) })
    const waited = answer.then(() => true)
    do pass(1)
    while (!(await Promise.race([waited, nextTurn()])))
    const { verdicts } = await answer
    const objects = await store.list(OBJECT_KEY_PREFIX)
    return {
      statuses: new Set(verdicts.map(({ status }) => status)),
      verdicts: verdicts.length,
      objects: objects.length,
    }
  }
  return { write, turnCount }
}

test('a request of 500 profiles waits for one flush, though others have turns while it is taken (H5)', async () => {
  const { write, turnCount } = createScene(0.9)
  const { statuses, verdicts, objects } = await write(['a', 'b', 'c', 'd', 'e'], 100)
  assert.deepEqual(statuses, new Set(['stored']))
  assert.equal(verdicts, 500)
  assert.ok(turnCount() >= 20, `${turnCount()} turns of others`)
  assert.equal(objects, 1)
})

test('a request that takes seconds is spread over segments: nobody waits longer than the largest interval', async () => {
  const { write } = createScene(10)
  const { statuses, verdicts, objects } = await write(['a'], 150)
  assert.deepEqual(statuses, new Set(['stored']))
  assert.equal(verdicts, 150)
  // 1.5 s at half a second each.
  assert.ok(objects >= 3 && objects <= 4, `${objects} objects`)
})
