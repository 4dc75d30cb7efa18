import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { encodePart } from '#core/query/part-columns.ts'
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

test('points of a peer that do not fit together are damage', () => {
  const whole = { labels: [[]], lengths: [1], named: [1], labelSets: [[]], ids: 'p s t' }
  const columns = (set: number) => [
    new Float64Array(1),
    new BigInt64Array(1),
    new Float64Array(1),
    new Float64Array(1),
    Float64Array.of(set),
  ]
  assert.equal(decodePointsPart(encodePart(whole, columns(0)))[0]!.exemplars[0]!.profileId, 'p')
  const heads = [
    { ...whole, named: [2] },
    { ...whole, named: [-1] },
    { ...whole, lengths: [1e9] },
    { ...whole, ids: '' },
    { ...whole, ids: 'p s' },
    { ...whole, ids: 'p s t,p s t' },
    { ...whole, ids: 7 },
    { ...whole, labelSets: [] },
    { ...whole, labelSets: [[{ name: 1, value: 'b' }]] },
    { ...whole, labels: undefined },
  ]
  const isDamage = (error: unknown) => error instanceof CinderError && error.kind === 'data_loss'
  for (const head of heads) {
    assert.throws(() => decodePointsPart(encodePart(head, columns(0))), isDamage, JSON.stringify(head))
  }
  for (const set of [1, -1, 0.5, Number.NaN]) {
    assert.throws(() => decodePointsPart(encodePart(whole, columns(set))), isDamage, String(set))
  }
})
