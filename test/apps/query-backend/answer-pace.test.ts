import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerPace } from '../../../apps/query-backend/answer-pace.ts'

/** A loop by hand: work takes what it says, turns and timers come when they are called. */
function createLoop() {
  let nowMs = 1_000
  const turns: (() => void)[] = []
  let timers: { readonly atMs: number; readonly run: () => void }[] = []
  return {
    clock: {
      nowMs: () => nowMs,
      afterTurn: (run: () => void) => void turns.push(run),
      after: (delayMs: number, run: () => void) => void timers.push({ atMs: nowMs + delayMs, run }),
    },
    work(lengthMs: number) {
      nowMs += lengthMs
    },
    turn() {
      for (const run of turns.splice(0)) run()
    },
    passUntil(atMs: number) {
      nowMs = Math.max(nowMs, atMs)
      const due = timers.filter((timer) => timer.atMs <= nowMs)
      timers = timers.filter((timer) => timer.atMs > nowMs)
      for (const { run } of due) run()
    },
    nowMs: () => nowMs,
  }
}

test('without pushes every answer is given at once, whatever the loop does', () => {
  const loop = createLoop()
  const pace = new AnswerPace(() => false, loop.clock)
  const given: number[] = []
  for (let i = 0; i < 3; i++)
    pace.deliver(() => {
      given.push(i)
      loop.work(20)
    })
  assert.deepEqual(given, [0, 1, 2])
})

test('beside pushes the next answer waits twice as long as the last one kept the loop', () => {
  const loop = createLoop()
  const pace = new AnswerPace(() => true, loop.clock)
  const givenAtMs: number[] = []
  const answer = (workMs: number) => () => {
    givenAtMs.push(loop.nowMs())
    loop.work(workMs)
  }
  for (const workMs of [10, 4, 500, 1]) pace.deliver(answer(workMs))
  assert.deepEqual(givenAtMs, [1_000])
  loop.turn()
  loop.passUntil(1_029)
  assert.deepEqual(givenAtMs, [1_000], 'the rest goes on')
  loop.passUntil(1_030)
  loop.turn()
  loop.passUntil(1_042)
  assert.deepEqual(givenAtMs, [1_000, 1_030, 1_042])
  loop.turn()
  // Half a second was not the answer's doing.
  loop.passUntil(1_542 + 60)
  assert.deepEqual(givenAtMs, [1_000, 1_030, 1_042, 1_602])
  loop.turn()
  // Nothing waits: the next one comes after its rest.
  pace.deliver(answer(1))
  assert.equal(givenAtMs.length, 4)
  loop.passUntil(1_605)
  assert.deepEqual(givenAtMs.slice(4), [1_605])
})

test('what waits is given also when the pushes have ended, in order', () => {
  const loop = createLoop()
  let isPressed = true
  const pace = new AnswerPace(() => isPressed, loop.clock)
  const given: string[] = []
  for (const name of ['a', 'b'])
    pace.deliver(() => {
      given.push(name)
      loop.work(5)
    })
  isPressed = false
  pace.deliver(() => void given.push('c'))
  assert.deepEqual(given, ['a'])
  for (let i = 0; i < 4; i++) {
    loop.turn()
    loop.passUntil(loop.nowMs() + 60)
  }
  assert.deepEqual(given, ['a', 'b', 'c'])
})
