/** A request of many profiles is taken in slices of time, so that it never holds the event loop for long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_MS, NOW_NANOS } from '../../support/write-path.ts'
import { buildPprof } from '../../support/profiles.ts'

/** Taking a profile costs 8 ms of this clock; a sleep of 0 is counted and runs `onTurn`; no deadline ever comes. */
function createScene(onTurn: () => void = () => undefined) {
  let nowMs = NOW_MS
  let turns = 0
  const clock: Clock = {
    nowMs: () => nowMs,
    async sleep(durationMs, signal) {
      if (durationMs >= 8_000) {
        await new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve())
        })
        return
      }
      if (durationMs === 0) {
        turns++
        onTurn()
      }
      nowMs += durationMs
    },
  }
  const codec = createCodec()
  const slow = {
    ...codec,
    gunzip(bytes: Uint8Array, maxOutputBytes: number) {
      nowMs += 8
      return codec.gunzip(bytes, maxOutputBytes)
    },
  }
  const writer = createSegmentWriter(
    {
      store: createMemoryStore(),
      metastore: createMemoryMetastore(clock),
      codec: slow,
      digest: createDigest(),
      clock,
      random: createRandom(),
      log: createSilentLog(),
    },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0 }),
      flushPolicy: { ...FLUSH_POLICY_DEFAULT, lingerMs: 1000, intervalMaxMs: 1000 },
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * 1024 * 1024,
      writeDeadlineMs: 8_000,
      threads: 0,
    },
  )
  const labels = [
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: 'shop' },
  ]
  const profiles = Array.from({ length: 10 }, (_, i) => ({
    bytes: codec.gzip(buildPprof({ timeNanos: NOW_NANOS + BigInt(i), samples: [{ stack: ['f'], values: [1] }] })),
    clientId: '',
  }))
  return { writer, turnCount: () => turns, request: { tenant: 'acme', series: [{ labels, profiles }] } }
}

test('ten profiles of 8 ms each give others a turn every third profile, and all are stored', async () => {
  const { writer, request, turnCount } = createScene()
  const { verdicts } = await writer.write(request)
  assert.deepEqual(new Set(verdicts.map(({ status }) => status)), new Set(['stored']))
  // Three turns while taking; encoding the one head gives one more at most.
  assert.ok(turnCount() >= 3 && turnCount() <= 4, `${turnCount()} turns`)
})

test('a stop between two slices stores what was taken and refuses the rest, to be sent again', async () => {
  let stopped: Promise<void> | undefined
  const scene = createScene(() => {
    stopped ??= scene.writer.stop()
  })
  const { verdicts } = await scene.writer.write(scene.request)
  await stopped
  assert.deepEqual(
    verdicts.map(({ status, kind, reason }) => `${status} ${kind} ${reason}`.trim()),
    [...Array<string>(3).fill('stored'), ...Array<string>(7).fill('rejected unavailable stopping')],
  )
})
