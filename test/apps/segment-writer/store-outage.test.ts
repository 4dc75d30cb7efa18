/**
 * Ten minutes without the bucket, at a writer over the store as it is opened in production (hedges, retries, one deadline),
 * on a clock that the test moves: connections that are refused, answers that ask to slow down, and requests that hang.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { SLOW_DOWN_REASON } from '#core/store/retry-policy.ts'
import { deadlineStore } from '#platform/object-store/deadline.ts'
import { hedgingStore } from '#platform/object-store/hedging.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createStorePace, retryingStore } from '#platform/object-store/retrying.ts'
import { createRandom } from '#platform/random.ts'
import { createWritePath, push, settle, simplePprof } from '../../support/write-path.ts'

const OUTAGE_MS = 10 * 60_000
const PUSH_EVERY_MS = 500
const MEMORY_BYTES_MAX = 400_000

type Outage = 'refused' | 'slow-down' | 'hangs'
/** By then an outage is known as one: 3 s of failures, and what waited meanwhile. */
const KNOWN_AFTER_MS = 10_000
/** An attempt that hangs is given up after 2.4 s; who came with it had waited for its flush. */
const ANSWER_MS_MAX: Readonly<Record<Outage, number>> = { refused: 1_000, 'slow-down': 1_000, hangs: 3_500 }

/** What agents get for pushes during an outage, and what the writer holds meanwhile. */
async function livesThrough(outage: Outage) {
  // The write path makes the clock, and takes the store.
  const late: Clock = { nowMs: () => path.clock.nowMs(), sleep: (ms, signal) => path.clock.sleep(ms, signal) }
  const state = { isAway: false, puts: 0, copiesNow: 0, copiesMax: 0 }
  const memory = createMemoryStore()
  const bucket: ObjectStore = {
    ...memory,
    async put(key, body, options) {
      state.puts++
      if (!state.isAway) return memory.put(key, body)
      if (outage === 'refused') throw new CinderError('unavailable', 'connection refused')
      if (outage === 'slow-down') throw new CinderError('unavailable', '503 SlowDown', { reason: SLOW_DOWN_REASON })
      state.copiesMax = Math.max(state.copiesMax, ++state.copiesNow)
      const gone = Promise.withResolvers<never>()
      const end = () => gone.reject(new CinderError('canceled', 'given up', { outcome: 'unknown' }))
      options?.signal?.addEventListener('abort', end, { once: true })
      return gone.promise.finally(() => state.copiesNow--)
    },
  }
  const patient = { clock: late, patience: 'interactive' } as const
  const hedging = hedgingStore(bucket, { clock: late })
  const retrying = retryingStore(hedging, { ...patient, random: createRandom(), pace: createStorePace() })
  const path = createWritePath({
    store: deadlineStore(retrying, patient),
    settings: { memoryBytesMax: MEMORY_BYTES_MAX },
  })
  const { writer } = path
  let made = 0
  const pushOne = () => push(writer, [simplePprof(++made)])
  const [before] = await settle(path.clock, pushOne())
  assert.equal(before!.status, 'stored')

  let refusedAfter = 0
  /** Until a push is stored again, one every 100 ms. */
  const untilStored = async (): Promise<number> => {
    const endedMs = path.clock.nowMs()
    for (;;) {
      const outcome = await settle(
        path.clock,
        pushOne().catch((error: CinderError) => [error] as const),
      )
      const [verdict] = outcome
      if (!(verdict instanceof CinderError) && verdict!.status === 'stored') return path.clock.nowMs() - endedMs
      refusedAfter++
      assert.ok(path.clock.nowMs() - endedMs < 60_000, 'it does not come back')
      await path.clock.advance(100)
    }
  }

  state.isAway = true
  const answers: { verdict: ProfileVerdict | CinderError; ms: number; atMs: number }[] = []
  const waiting: Promise<unknown>[] = []
  const heldBytes: number[] = []
  const beganMs = path.clock.nowMs()
  while (path.clock.nowMs() - beganMs < OUTAGE_MS) {
    const sentMs = path.clock.nowMs()
    const note = (verdict: ProfileVerdict | CinderError) =>
      answers.push({ verdict, ms: path.clock.nowMs() - sentMs, atMs: sentMs - beganMs })
    waiting.push(pushOne().then(([verdict]) => note(verdict!), note))
    await path.clock.advance(PUSH_EVERY_MS)
    heldBytes.push(writer.status().pendingBytes)
  }
  state.isAway = false
  await settle(path.clock, Promise.all(waiting))
  const backMs = await untilStored()
  return { path, state, answers, heldBytes, backMs, refusedAfter, pushes: made, hedges: hedging.hedging.hedges }
}

for (const outage of ['refused', 'slow-down', 'hangs'] as const) {
  test(`ten minutes without the bucket, ${outage}: memory flat, quick 503, and back by itself (H16)`, async () => {
    const { path, answers, heldBytes, backMs } = await livesThrough(outage)
    assert.equal(answers.length, OUTAGE_MS / PUSH_EVERY_MS)
    for (const { verdict, ms, atMs } of answers) {
      const allowedMs = atMs < KNOWN_AFTER_MS ? 8_000 : ANSWER_MS_MAX[outage]
      assert.ok(ms <= allowedMs, `a push at ${atMs} ms was answered after ${ms} ms`)
      // What came in the last seconds may have met the bucket again.
      if (!(verdict instanceof CinderError) && verdict.status === 'stored') continue
      assert.equal(verdict.kind, 'unavailable')
    }
    const stored = answers.filter(({ verdict }) => !(verdict instanceof CinderError) && verdict.status === 'stored')
    assert.ok(stored.every(({ atMs }) => atMs >= OUTAGE_MS - 10_000))
    const most = (from: number, to: number) => Math.max(...heldBytes.slice(from, to))
    const perMinute = 60_000 / PUSH_EVERY_MS
    assert.ok(Math.max(...heldBytes) <= MEMORY_BYTES_MAX)
    assert.ok(
      most(9 * perMinute, 10 * perMinute) <= 1.25 * most(perMinute, 2 * perMinute),
      'the last minute holds as much',
    )
    assert.ok(backMs <= 1_000, `stored again after ${backMs} ms`)
    assert.equal(path.writer.status().pendingBytes, 0)
    const { profiles } = await path.read()
    assert.equal(profiles, 2 + stored.length, 'nothing that was refused is there, and nothing twice')
  })
}

test('a bucket that hangs gets a copy of few PUTs, and no more requests than calls and their retries (H17)', async () => {
  const { state, pushes, hedges } = await livesThrough('hangs')
  console.log(
    `${state.puts} PUTs for ${pushes} pushes in ten minutes, ${hedges} of them copies, ${state.copiesMax} at once`,
  )
  assert.ok(hedges <= state.puts / 10, `${hedges} copies of ${state.puts} PUTs`)
  assert.ok(state.copiesMax <= 4, `${state.copiesMax} at once`)
  assert.equal(state.copiesNow, 0)
})
