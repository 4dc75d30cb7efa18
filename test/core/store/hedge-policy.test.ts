import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HedgeBudget, HedgeDelay, READ_HEDGE, WRITE_HEDGE } from '#core/store/hedge-policy.ts'

const MIB = 1024 * 1024

test('before answers came the delay is the bound for that', () => {
  const delay = new HedgeDelay(READ_HEDGE)
  assert.equal(delay.delayMs(0), READ_HEDGE.initialMs)
  for (let i = 0; i < 15; i++) delay.onAnswer(1, 0)
  assert.equal(delay.delayMs(0), READ_HEDGE.initialMs)
  delay.onAnswer(1, 0)
  assert.equal(delay.delayMs(0), READ_HEDGE.leastMs)
})

test('then it is twice the slow answers, within bounds, and old answers are forgotten', () => {
  const delay = new HedgeDelay(WRITE_HEDGE)
  for (let i = 0; i < 60; i++) delay.onAnswer(40, 0)
  for (let i = 0; i < 4; i++) delay.onAnswer(300, 0)
  assert.equal(delay.delayMs(0), 600)
  for (let i = 0; i < 64; i++) delay.onAnswer(30_000, 0)
  assert.equal(delay.delayMs(0), WRITE_HEDGE.mostMs)
  for (let i = 0; i < 64; i++) delay.onAnswer(10, 0)
  assert.equal(delay.delayMs(0), WRITE_HEDGE.leastMs)
})

test('the time that bytes take is no stall', () => {
  const delay = new HedgeDelay(WRITE_HEDGE)
  assert.equal(delay.delayMs(16 * MIB), WRITE_HEDGE.initialMs + 2_000)
  for (let i = 0; i < 64; i++) delay.onAnswer(1_050, 8 * MIB)
  assert.equal(delay.delayMs(0), WRITE_HEDGE.leastMs)
})

test('hedges are one in twenty requests, after a few saved up; a slow-down stops them', () => {
  const budget = new HedgeBudget()
  let hedges = 0
  for (let i = 0; i < 2_000; i++) {
    budget.onRequest()
    if (budget.take()) hedges++
  }
  assert.ok(hedges >= 100 && hedges <= 111, `${hedges} of 2,000`)
  for (let i = 0; i < 2_000; i++) budget.onRequest()
  budget.onSlowDown()
  assert.equal(budget.take(), false)
  for (let i = 0; i < 21; i++) budget.onRequest()
  assert.equal(budget.take(), true)
})
