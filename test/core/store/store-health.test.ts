import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorKind } from '#core/errors.ts'
import { FAULTS_MIN, FAULTY_AFTER_MS, StoreHealth } from '#core/store/store-health.ts'

function fail(health: StoreHealth, atMs: number, fault: [ErrorKind, string?] = ['unavailable'], isWrite = true): void {
  const [kind, reason = kind] = fault
  health.noteFailure({ isWrite, startedMs: atMs, nowMs: atMs }, { kind, reason, message: `${reason} at ${atMs}` })
}

test('what passes by itself is news after some seconds, what does not at once, and an answer is none', () => {
  const cases: [[ErrorKind, string?], 'at once' | 'in time' | 'never'][] = [
    [['unavailable', 'slow_down'], 'in time'],
    [['unavailable', 'attempt_timeout'], 'in time'],
    [['deadline_exceeded'], 'in time'],
    [['unavailable', 'storage_full'], 'at once'],
    [['unavailable', 'storage_failed'], 'at once'],
    [['permission_denied', 'access_denied'], 'at once'],
    [['failed_precondition', 'no_bucket'], 'at once'],
    [['failed_precondition', 'upload_ended'], 'never'],
    [['not_found'], 'never'],
    [['already_exists'], 'never'],
    [['aborted', 'conflict'], 'never'],
    [['canceled'], 'never'],
  ]
  for (const [fault, when] of cases) {
    const health = new StoreHealth()
    fail(health, 1_000, fault)
    assert.equal(health.condition.state, when === 'at once' ? 'no-writes' : 'ok', String(fault))
    for (let i = 1; i < FAULTS_MIN; i++) fail(health, 1_000 + FAULTY_AFTER_MS - 1, fault)
    assert.equal(health.condition.state, when === 'at once' ? 'no-writes' : 'ok', String(fault))
    fail(health, 1_000 + FAULTY_AFTER_MS, fault)
    assert.equal(health.condition.state, when === 'never' ? 'ok' : 'no-writes', String(fault))
  }
})

test('it tells since when and the last words, and any success ends it', () => {
  const health = new StoreHealth()
  for (const atMs of [1_000, 2_000, 4_500]) fail(health, atMs)
  assert.deepEqual(health.condition, { state: 'no-writes', sinceMs: 1_000, lastError: 'unavailable at 4500' })
  health.noteSuccess(true, 4_600)
  assert.deepEqual(health.condition, { state: 'ok', sinceMs: 0, lastError: '' })
})

test('reads and writes are judged apart; who left says nothing', () => {
  const health = new StoreHealth()
  fail(health, 1_000, ['unavailable', 'storage_full'])
  health.noteSuccess(false, 1_000)
  assert.equal(health.condition.state, 'no-writes')
  fail(health, 2_000, ['canceled'])
  assert.equal(health.condition.state, 'no-writes')
  fail(health, 1_000, ['permission_denied'], false)
  assert.equal(health.condition.state, 'no-writes', 'an object that is not there, to who may not list')
  for (const atMs of [1_000, 2_000, 4_000]) fail(health, atMs, ['unavailable'], false)
  assert.equal(health.condition.state, 'no-answer')
  fail(health, 5_000, ['not_found'], false)
  assert.equal(health.condition.state, 'no-writes', 'a refusal is an answer')
})

test('what hangs while others are answered is no news; three seconds without an answer are', () => {
  const fault = { kind: 'unavailable', reason: 'attempt_timeout', message: 'no answer' } as const
  for (const isWrite of [true, false]) {
    const health = new StoreHealth()
    health.noteSuccess(isWrite, 1_000)
    const fails = (nowMs: number) => health.noteFailure({ isWrite, startedMs: 0, nowMs }, fault)
    for (let i = 0; i < FAULTS_MIN; i++) fails(FAULTY_AFTER_MS + 200)
    assert.equal(health.condition.state, 'ok')
    fails(1_000 + FAULTY_AFTER_MS)
    assert.equal(health.condition.state, isWrite ? 'no-writes' : 'no-answer')
    assert.equal(health.condition.sinceMs, 1_000)
  }
})

test('a success of a time that has not come, by a clock that was set back, hides nothing', () => {
  const health = new StoreHealth()
  health.noteSuccess(true, 100_000)
  for (const atMs of [1_000, 2_000, 4_000]) fail(health, atMs)
  assert.equal(health.condition.state, 'no-writes')
})
