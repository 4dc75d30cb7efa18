/** The door: who waits enters in turn, is told when it takes too long, and leaves nothing behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CinderError } from '#core/errors.ts'
import { ADMISSION_DEFAULT, ADMISSION_EDGE, type AdmissionPolicy } from '#core/query/admission.ts'
import { AdmissionGate } from '../../../apps/query-frontend/admission-gate.ts'
import { HandClock } from '../../support/hand-clock.ts'

const HEAVY = { tenant: 't', bytes: 2 ** 30, atOnceBytes: 2 ** 30 }
const NEVER = new AbortController().signal
const EMPTY = { running: 0, memoryBytes: 0, waiting: 0 }

function setUp(policy: Partial<AdmissionPolicy> = {}) {
  const clock = new HandClock()
  return { clock, gate: new AdmissionGate({ ...ADMISSION_DEFAULT, ...policy }, clock) }
}

test('one enters when the one before it has left', async () => {
  const { gate, clock } = setUp()
  const leave = await gate.enter(HEAVY, NEVER)
  const order: string[] = []
  const second = gate.enter(HEAVY, NEVER).then((leaveSecond) => {
    order.push('second entered')
    return leaveSecond
  })
  assert.equal(gate.status.heavy.waiting, 1)
  order.push('first leaves')
  leave()
  ;(await second)()
  assert.deepEqual(order, ['first leaves', 'second entered'])
  assert.deepEqual(gate.status.heavy, EMPTY)
  assert.equal(clock.sleeperCount, 0)
})

test('who waits too long is told so, with a time to come back', async () => {
  const { gate, clock } = setUp()
  const leave = await gate.enter(HEAVY, NEVER)
  const waiting = gate.enter(HEAVY, NEVER)
  clock.advance(ADMISSION_DEFAULT.waitMaxMs)
  await assert.rejects(waiting, (error: CinderError) => {
    return error.kind === 'unavailable' && error.retryAfterMs === 1_000 && /for 20000 ms, the limit/.test(error.message)
  })
  assert.equal(gate.status.heavy.waiting, 0)
  leave()
  assert.deepEqual(gate.status.heavy, EMPTY)
})

test('who goes while waiting is forgotten at once', async () => {
  const { gate, clock } = setUp()
  const leave = await gate.enter(HEAVY, NEVER)
  const leaving = new AbortController()
  const waiting = gate.enter(HEAVY, leaving.signal)
  leaving.abort()
  await assert.rejects(waiting, (error: CinderError) => error.kind === 'canceled')
  assert.equal(gate.status.heavy.waiting, 0)
  leave()
  const [entering, gone] = [await gate.enter(HEAVY, NEVER), new AbortController()]
  const both = gate.enter(HEAVY, gone.signal)
  // Let in and gone in the same moment: its place is free again.
  entering()
  gone.abort()
  await assert.rejects(both, (error: CinderError) => error.kind === 'canceled')
  assert.deepEqual(gate.status.heavy, EMPTY)
  assert.equal(clock.sleeperCount, 0)
})

test('a full queue refuses: a tenant’s own as 429, that of all as 503', async () => {
  const { gate } = setUp({ waitingMax: 2, waitingPerTenantMax: 1 })
  const leave = await gate.enter(HEAVY, NEVER)
  const ended = new AbortController()
  const waiting = ['t', 'u'].map((tenant) => gate.enter({ ...HEAVY, tenant }, ended.signal))
  await assert.rejects(gate.enter(HEAVY, NEVER), (error: CinderError) => error.kind === 'unavailable')
  ended.abort()
  for (const each of waiting) await assert.rejects(each)
  const one = gate.enter(HEAVY, NEVER)
  await assert.rejects(gate.enter(HEAVY, NEVER), (error: CinderError) => {
    assert.deepEqual([error.kind, error.retryAfterMs], ['resource_exhausted', 1_100])
    assert.equal(
      error.message,
      '1 queries run and 1 of this tenant wait, 1 may wait: try again later, or ask for less at once',
    )
    return true
  })
  leave()
  ;(await one)()
})

test('on workers nothing waits, and memory is that of answers', async () => {
  const { gate } = setUp(ADMISSION_EDGE)
  const leave = await gate.enter(HEAVY, NEVER)
  assert.equal(gate.status.heavy.memoryBytes, 2 ** 28)
  await assert.rejects(gate.enter(HEAVY, NEVER), (error: CinderError) => error.kind === 'unavailable')
  leave()
  assert.deepEqual(gate.status.heavy, EMPTY)
})
