import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ByteRange, coalesceRanges } from '#core/block/coalesce.ts'

const limits = { gapBytes: 10, requestBytesMax: 100 }
const ranges = (...pairs: [number, number][]): ByteRange[] =>
  pairs.map(([offset, lengthBytes]) => ({ offset, lengthBytes }))

test('table', () => {
  const table: [string, ByteRange[], ByteRange[]][] = [
    ['nothing', [], []],
    ['empty ranges vanish', ranges([5, 0]), []],
    ['a gap at the limit joins', ranges([0, 10], [20, 5]), ranges([0, 25])],
    ['a gap above it does not', ranges([0, 10], [21, 5]), ranges([0, 10], [21, 5])],
    ['order does not matter', ranges([20, 5], [0, 10]), ranges([0, 25])],
    ['a request stops at its maximum', ranges([0, 60], [60, 41]), ranges([0, 60], [60, 41])],
    ['and reaches it', ranges([0, 60], [60, 40]), ranges([0, 100])],
    ['a range above the maximum stays whole', ranges([0, 500]), ranges([0, 500])],
    ['overlaps join', ranges([0, 90], [50, 100]), ranges([0, 150])],
    ['one inside another', ranges([0, 90], [10, 5]), ranges([0, 90])],
  ]
  for (const [name, given, expected] of table) assert.deepEqual(coalesceRanges(given, limits), expected, name)
})

test('every needed byte is in exactly one request, and gaps between requests are above the limit or forced', () => {
  const range = fc.record({ offset: fc.nat({ max: 500 }), lengthBytes: fc.nat({ max: 40 }) })
  fc.assert(
    fc.property(fc.array(range), (given) => {
      const joined = coalesceRanges(given, limits)
      for (const { offset, lengthBytes } of given) {
        if (lengthBytes === 0) continue
        const holders = joined.filter((r) => r.offset <= offset && offset + lengthBytes <= r.offset + r.lengthBytes)
        assert.equal(holders.length, 1)
      }
      for (let i = 1; i < joined.length; i++) {
        const before = joined[i - 1]!
        const gap = joined[i]!.offset - before.offset - before.lengthBytes
        assert.ok(gap >= 0)
        assert.ok(gap > limits.gapBytes || before.lengthBytes + gap + 1 > limits.requestBytesMax - 40)
      }
    }),
  )
})
