/** Whom a push asks next, and when it stops asking. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ErrorKind, HTTP_STATUS_BY_KIND } from '#core/errors.ts'
import {
  attemptDeadlineMs,
  laterAttemptDeadlineMs,
  LEAST_ATTEMPT_MS,
  mayPassElsewhere,
  mayTryElsewhere,
  type Pick,
  pickWriter,
  PUSH_DEADLINE_MS,
} from '#core/placement/attempts.ts'
import { type Breaker, CLOSED_BREAKER, passageOf } from '#core/placement/breaker.ts'
import { RetryBudget } from '#core/store/retry-policy.ts'
import { MIB } from '#core/units.ts'

const NOW_MS = 5_000
const FREE = CLOSED_BREAKER
const RESTING: Breaker = { ...FREE, restsUntilMs: NOW_MS + 500 }
const SHUT: Breaker = { ...FREE, state: 'open', trips: 1, untilMs: NOW_MS + 700 }
const DUE: Breaker = { ...SHUT, untilMs: NOW_MS }

function pick(breakers: readonly Breaker[], asked: readonly number[] = [], order = [0, 1, 2]): Pick {
  return pickWriter(order, asked, (writer) => breakers[writer]!, NOW_MS)
}

const writer = (index: number, isProbe = false): Pick => ({ kind: 'writer', writer: index, isProbe })

const PICKS: readonly (readonly [string, Pick, Pick])[] = [
  ['the first of the order', pick([FREE, FREE, FREE], [], [2, 0, 1]), writer(2)],
  ['the next that was not asked', pick([FREE, FREE, FREE], [2], [2, 0, 1]), writer(0)],
  ['a shut one is passed over', pick([SHUT, FREE, FREE]), writer(1)],
  ['a probe that is due is made in its turn', pick([DUE, FREE, FREE]), writer(0, true)],
  ['a probe behind a free one waits', pick([FREE, DUE, FREE]), writer(0)],
  ['one that rests comes after the free ones', pick([RESTING, SHUT, FREE]), writer(2)],
  ['and after a probe', pick([RESTING, DUE, SHUT]), writer(1, true)],
  ['where all rest the first is asked', pick([RESTING, RESTING, RESTING]), writer(0)],
  ['one that rests, before nobody', pick([SHUT, RESTING, SHUT]), writer(1)],
  [
    'all shut: when the first opens',
    pick([SHUT, { ...SHUT, untilMs: NOW_MS + 300 }, SHUT]),
    { kind: 'none', afterMs: 300 },
  ],
  ['all asked', pick([FREE, FREE, FREE], [0, 1, 2]), { kind: 'none', afterMs: undefined }],
  ['the rest shut', pick([FREE, SHUT, SHUT], [0]), { kind: 'none', afterMs: 700 }],
  ['no writers', pick([], [], []), { kind: 'none', afterMs: undefined }],
]
for (const [name, picked, wanted] of PICKS) test(name, () => assert.deepEqual(picked, wanted))

test('no push asks a writer twice, one that is shut, or more than the order has', () => {
  const breaker = fc.constantFrom(FREE, RESTING, SHUT, DUE)
  const property = fc.property(fc.array(breaker, { maxLength: 3 }), (breakers) => {
    const order = breakers.map((_, index) => index)
    const asked: number[] = []
    for (;;) {
      const picked = pickWriter(order, asked, (index) => breakers[index]!, NOW_MS)
      if (picked.kind === 'none') break
      assert.ok(!asked.includes(picked.writer))
      asked.push(picked.writer)
    }
    const callable = order.filter((index) => passageOf(breakers[index]!, NOW_MS) !== 'shut')
    assert.deepEqual(asked.toSorted(), callable)
  })
  fc.assert(property)
})

test('another writer may mend an outage, never a fault of the push or the rate of its tenant', () => {
  const kinds = Object.keys(HTTP_STATUS_BY_KIND) as ErrorKind[]
  assert.deepEqual(kinds.filter(mayPassElsewhere), ['deadline_exceeded', 'aborted', 'unavailable'])
})

test('nobody is asked for a client that is gone or has no time left', () => {
  const may = (elapsedMs: number, isGone = false) =>
    mayTryElsewhere({ kind: 'unavailable', elapsedMs, isGone }, new RetryBudget())
  assert.equal(may(0), true)
  assert.equal(may(0, true), false)
  assert.equal(may(PUSH_DEADLINE_MS - LEAST_ATTEMPT_MS), true)
  assert.equal(may(PUSH_DEADLINE_MS - LEAST_ATTEMPT_MS + 1), false)
})

test('tries elsewhere have a budget, which nothing else takes from', () => {
  const budget = new RetryBudget()
  const tryElsewhere = (kind: ErrorKind) => mayTryElsewhere({ kind, elapsedMs: 0, isGone: false }, budget)
  for (let i = 0; i < 100; i++) assert.equal(tryElsewhere('invalid_argument'), false)
  let tries = 0
  for (let i = 0; i < 100; i++) if (tryElsewhere('unavailable')) tries++
  assert.equal(tries, 20)
})

test('a large body has more time, by its size', () => {
  assert.equal(attemptDeadlineMs(0), 10_000)
  assert.equal(attemptDeadlineMs(160 * MIB), 20_000)
})

test('a try elsewhere has what is left of the time of the client, and its size', () => {
  assert.equal(laterAttemptDeadlineMs(0, 2_000), PUSH_DEADLINE_MS - 2_000)
  assert.equal(laterAttemptDeadlineMs(0, 8_000), 1_500)
  assert.equal(laterAttemptDeadlineMs(0, PUSH_DEADLINE_MS - LEAST_ATTEMPT_MS), LEAST_ATTEMPT_MS)
  assert.equal(laterAttemptDeadlineMs(16 * MIB, 20_000), LEAST_ATTEMPT_MS + 1_000)
})
