import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AWAY_AFTER_MS,
  AWAY_FAILURES_MIN,
  FORGET_AFTER_MS,
  PROBE_ALONE_MS,
  PROBE_EVERY_MS,
  StoreStanding,
} from '#core/store/write-standing.ts'

/** What happened to attempts: a failure at a time, or one that took from a time to another, or a success. */
type Event = number | readonly [number, number] | { readonly storedMs: number }

function after(events: readonly Event[]): StoreStanding {
  const standing = new StoreStanding()
  for (const event of events) {
    if (typeof event === 'object' && 'storedMs' in event) standing.onSuccess(event.storedMs)
    else if (typeof event === 'number') standing.onFailure({ startedMs: event, nowMs: event })
    else standing.onFailure({ startedMs: event[0], nowMs: event[1] })
  }
  return standing
}

test('a store is away when for some seconds not one write succeeded and several failed', () => {
  const cases: [readonly Event[], boolean, string][] = [
    [[], false, 'nothing happened'],
    [[0, 100, 200, 300, 2_900], false, 'not for long enough'],
    [[0, 100, 200, 300, AWAY_AFTER_MS], true, 'three seconds of failures'],
    [[0, AWAY_AFTER_MS], false, 'too few'],
    [[0, 0, AWAY_AFTER_MS], true, 'just enough'],
    [[0, 1_000, { storedMs: 1_100 }, 2_000, AWAY_AFTER_MS, 4_000], false, 'some succeed: a slow-down'],
    [[0, 1_000, { storedMs: 1_100 }, 2_000, 3_000, 5_000], true, 'the run after the last success'],
    [
      [
        [0, 2_400],
        [0, 2_400],
        [2_450, 4_850],
      ],
      true,
      'requests that hang: from the begin of the first',
    ],
    [
      [{ storedMs: 3_100 }, [0, 3_200], [10, 3_210], [20, 3_220]],
      false,
      'large writes that hung while small ones were stored',
    ],
    [
      [{ storedMs: 100 }, [0, 3_050], [10, 3_100], [20, 3_150]],
      true,
      'likewise, three seconds after the last that was stored',
    ],
    [
      [{ storedMs: 9_000 }, [0, 3_200], [10, 3_210], [20, 3_220]],
      true,
      'the clock was set back after the last that was stored',
    ],
    [[0, 100, AWAY_AFTER_MS, { storedMs: AWAY_AFTER_MS }], false, 'the first success ends it'],
    [[0, 100, FORGET_AFTER_MS + 100, FORGET_AFTER_MS + 200], false, 'the first two are forgotten'],
    [[10_000, 10_100, 9_000, 9_100], false, 'the clock was set back'],
  ]
  for (const [events, isAway, what] of cases) assert.equal(after(events).isAway, isAway, what)
  assert.equal(AWAY_FAILURES_MIN, 3)
})

test('while a store takes writes all go', () => {
  const standing = after([0, 100, 2_900])
  for (let i = 0; i < 100; i++) assert.deepEqual(standing.admit(2_900), { kind: 'go' })
})

test('while it is away one write at a time goes, paced, and all others are refused', () => {
  const standing = after([0, 100, AWAY_AFTER_MS])
  const kindAt = (nowMs: number) => standing.admit(nowMs).kind
  assert.equal(kindAt(3_000), 'probe')
  assert.deepEqual([kindAt(3_000), kindAt(3_499), kindAt(3_500), kindAt(4_000)], Array(4).fill('refuse'))
  standing.endProbe(3_000)
  standing.onFailure({ startedMs: 3_000, nowMs: 4_000 })
  assert.deepEqual([kindAt(4_000), kindAt(4_000)], ['probe', 'refuse'])
  standing.endProbe(4_000)
  const refused = standing.admit(4_000 + PROBE_EVERY_MS - 1)
  assert.deepEqual(refused, { kind: 'refuse', retryAfterMs: 1_000 })
  assert.equal(kindAt(4_000 + PROBE_EVERY_MS), 'probe')
})

test('the first success lets all through', () => {
  const standing = after([0, 100, AWAY_AFTER_MS])
  const probe = standing.admit(3_000)
  assert.equal(probe.kind, 'probe')
  standing.onSuccess(3_000)
  standing.endProbe(3_000)
  assert.deepEqual([standing.admit(3_001), standing.admit(3_001)], [{ kind: 'go' }, { kind: 'go' }])
  assert.equal(standing.failingSinceMs, undefined)
})

test('a probe that takes long keeps no other from finding out, and its end is not the end of the next', () => {
  const standing = after([0, 100, AWAY_AFTER_MS])
  assert.equal(standing.admit(3_000).kind, 'probe')
  assert.equal(standing.admit(3_000 + PROBE_ALONE_MS - 1).kind, 'refuse')
  assert.equal(standing.admit(3_000 + PROBE_ALONE_MS).kind, 'probe')
  standing.endProbe(3_000)
  assert.equal(standing.admit(3_000 + PROBE_ALONE_MS + PROBE_EVERY_MS).kind, 'refuse')
})

test('what nobody has tried for a minute is tried with all patience', () => {
  const standing = after([0, 100, AWAY_AFTER_MS])
  assert.equal(standing.admit(AWAY_AFTER_MS + FORGET_AFTER_MS - 1).kind, 'probe')
  standing.endProbe(AWAY_AFTER_MS + FORGET_AFTER_MS - 1)
  assert.equal(standing.admit(AWAY_AFTER_MS + FORGET_AFTER_MS).kind, 'go')
  assert.equal(standing.isAway, false)
})

test('a clock that was set back refuses nobody for an hour', () => {
  const standing = after([3_600_000, 3_600_100, 3_600_000 + AWAY_AFTER_MS])
  standing.admit(3_600_000 + AWAY_AFTER_MS)
  assert.equal(standing.admit(0).kind, 'go')
})
