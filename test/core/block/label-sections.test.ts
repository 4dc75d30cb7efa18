import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeGroups, decodeSeries, encodeGroups, encodeSeries } from '#core/block/label-sections.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { ARBITRARY_GROUPS, makeLabels } from '../../support/datasets.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const labels = fc.array(fc.record({ name: text, value: text }, { noNullPrototype: true }), { maxLength: 5 })

test('series come back, shared texts are written once', () => {
  fc.assert(
    fc.property(fc.array(labels, { maxLength: 6 }), (series) => {
      const bytes = written((out) => encodeSeries(series, out))
      assert.deepEqual(decodeSeries(new ByteReader(bytes, 'x')), series)
    }),
  )
  const value = 'v'.repeat(50)
  const many = Array.from({ length: 100 }, (_, i) => makeLabels({ name: value, pod: `${i}` }))
  assert.ok(written((out) => encodeSeries(many, out)).length < 100 * 10)
})

test('groups come back, periods exact and signed', () => {
  const period = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
  const types = fc.array(fc.record({ type: text, unit: text }, { noNullPrototype: true }), { maxLength: 4 })
  const group = fc.record({ types, periodType: text, periodUnit: text, period }, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(group, { maxLength: 4 }), (groups) => {
      const bytes = written((out) => encodeGroups(groups, out))
      assert.deepEqual(decodeGroups(new ByteReader(bytes, 'x')), groups)
    }),
  )
})

test('any bytes are labels or data loss', () => {
  const series = [makeLabels({ pod: 'a', region: 'eu' }), makeLabels({ pod: 'b' })]
  assertSafeDecoder(
    written((out) => encodeSeries(series, out)),
    decodeSeries,
  )
  assertSafeDecoder(
    written((out) => encodeGroups(ARBITRARY_GROUPS, out)),
    decodeGroups,
  )
})
