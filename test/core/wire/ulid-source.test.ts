import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import { SET_BACK_MAX_MS, UlidSource } from '#core/wire/ulid-source.ts'

test('times of ids follow the clock, stand still while it is a few minutes back, and follow it where it is further back', () => {
  let nowMs = 0
  let drawn = 0
  const random = { bytes: (count: number) => new Uint8Array(count).fill(++drawn) }
  const ids = new UlidSource({ clock: { nowMs: () => nowMs }, random })
  const start = 1_760_000_000_000
  const cases: [number, number][] = [
    [0, 0],
    [10, 10],
    [-80_000, 10],
    [5, 10],
    [11, 11],
    [11 - SET_BACK_MAX_MS, 11],
    [10 - SET_BACK_MAX_MS, 10 - SET_BACK_MAX_MS],
    [20 - SET_BACK_MAX_MS, 20 - SET_BACK_MAX_MS],
  ]
  const seen = new Set<string>()
  for (const [clockMs, idMs] of cases) {
    nowMs = start + clockMs
    const id = ids.next()
    seen.add(id)
    assert.equal(ulidTimeMs(id) - start, idMs, `the clock at ${clockMs}`)
  }
  assert.equal(seen.size, cases.length, 'each is another one')
})
