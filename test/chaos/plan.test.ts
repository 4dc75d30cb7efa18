import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planChaos } from './plan.ts'

const KILLABLE = Array.from({ length: 13 }, (_, i) => `member ${i + 1}`)

test('one seed is one plan, another seed another', () => {
  assert.deepEqual(planChaos(7, 60_000, KILLABLE), planChaos(7, 60_000, KILLABLE))
  assert.notDeepEqual(planChaos(7, 60_000, KILLABLE), planChaos(8, 60_000, KILLABLE))
})

test('every plan kills half of the fleet at a time, freezes two and stops Postgres once, all in time', () => {
  for (let seed = 0; seed < 200; seed++) {
    for (const durationMs of [8_000, 60_000, 300_000]) {
      const events = planChaos(seed, durationMs, KILLABLE)
      const kills = events.filter(({ kind }) => kind === 'kill')
      assert.ok(kills.length >= 7 && kills.length % 7 === 0, `${kills.length} kills`)
      assert.equal(events.filter(({ kind }) => kind === 'freeze').length, 2)
      const stop = events.find(({ kind }) => kind === 'stop-postgres')!
      assert.ok(events.every(({ atMs }) => atMs >= 0 && atMs < durationMs))
      assert.deepEqual(
        events.map(({ atMs }) => atMs),
        events.map(({ atMs }) => atMs).sort((a, b) => a - b),
      )
      assert.ok(stop.kind === 'stop-postgres' && stop.forMs === durationMs / 10)
    }
  }
})
