import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WholeProfiles } from '#core/query/whole-profiles.ts'

const part = fc.record({
  // Few of each, so that they meet.
  id: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 2, maxLength: 2 }),
  part: fc.integer({ min: 0, max: 300 }),
  lo: fc.integer({ min: 0, max: 2 }),
  hi: fc.constantFrom(0, 0xffffffff),
  series: fc.integer({ min: 0, max: 3 }),
})

test('parts are one by the first 14 bytes of their id, their time and their output series', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), fc.array(fc.nat(60)), (parts, order) => {
      const ids = new Uint8Array(parts.length * 16)
      parts.forEach(({ id, part: number }, h) => {
        ids[h * 16] = id[0]!
        ids[h * 16 + 13] = id[1]!
        ids[h * 16 + 14] = number >> 8
        ids[h * 16 + 15] = number
      })
      const groupOf = [0, 1, 0, 1]
      const column = (of: (each: (typeof parts)[number]) => number) => Uint32Array.from(parts, of)
      const times = { lo: column(({ lo }) => lo), hi: column(({ hi }) => hi) }
      const asked = [...new Set(order.filter((h) => h < parts.length))]
      const wholes = new WholeProfiles({ ids, times, series: column(({ series }) => series), groupOf }, asked.length)
      const model = new Map<string, number>()
      const first: number[] = []
      for (const h of asked) {
        const { id, lo, hi, series } = parts[h]!
        const key = JSON.stringify([id, lo, hi, groupOf[series]])
        if (!model.has(key)) {
          model.set(key, model.size)
          first.push(h)
        }
        assert.equal(wholes.wholeOf(h), model.get(key))
      }
      assert.deepEqual([wholes.count, [...wholes.first.subarray(0, wholes.count)]], [first.length, first])
    }),
  )
})
