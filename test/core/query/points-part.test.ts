import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodePointsPart, encodePointsPart } from '#core/query/points-part.ts'

const labels = fc.array(
  fc.record({ name: fc.constantFrom('pod', 'é'), value: fc.constantFrom('a', ',', ' ') }, { noNullPrototype: true }),
  {
    maxLength: 2,
  },
)
const id = (digits: number) => fc.constantFrom('', '0123456789abcdef'.repeat(2).slice(0, digits))
const exemplar = fc.record(
  {
    timeMs: fc.constantFrom(0, -1, 1_760_000_000_123.5),
    profileId: id(32),
    spanId: id(16),
    traceId: id(32),
    labels,
  },
  { noNullPrototype: true },
)
const row = fc.record({
  step: fc.constantFrom(0, 1, 2 ** 32 + 1),
  value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  count: fc.nat(),
  exemplar,
})

test('points survive, with what names them and without', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(labels, fc.array(row, { maxLength: 4 }), fc.boolean()), { maxLength: 4 }),
      (drawn) => {
        const series = drawn.map(([of, rows, isNamed]) => ({
          labels: of,
          steps: rows.map(({ step }) => step),
          values: rows.map(({ value }) => value),
          counts: rows.map(({ count }) => count),
          exemplars: isNamed ? rows.map((each) => each.exemplar) : [],
        }))
        assert.deepEqual(decodePointsPart(encodePointsPart(series)), series)
      },
    ),
  )
})

test('a label set is written once, however many rows have it', () => {
  const of = (rows: number) => {
    const list = Array.from({ length: rows }, (_, i) => i)
    const pairs = [{ name: 'pod', value: 'x'.repeat(1_000) }]
    const named = list.map(() => ({ timeMs: 1, profileId: '', spanId: '', traceId: '', labels: pairs }))
    return encodePointsPart([{ labels: [], steps: list, values: list.map(BigInt), counts: list, exemplars: named }])
  }
  assert.ok(of(1_000).length - of(1).length < 999 * 50)
})
