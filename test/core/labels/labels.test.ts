import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  buildLabels,
  compareLabels,
  compareUtf8,
  equalLabels,
  getLabel,
  isLegacyLabelName,
  labelsFromPairs,
  labelsKey,
  labelsToPairs,
  projectLabels,
} from '#core/labels/labels.ts'

const text = fc.string({ unit: 'binary', maxLength: 6 })
const labelPairs = fc.array(fc.record({ name: text, value: text }, { noNullPrototype: true }), { maxLength: 6 })

describe('compareUtf8', () => {
  it('sorts as the bytes of UTF-8 do', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
    )
  })

  it('puts U+FFFD before U+10000, though its UTF-16 unit is greater', () => {
    assert.ok(compareUtf8('\ufffd', '\u{10000}') < 0)
  })
})

describe('buildLabels', () => {
  it('sorts by name, drops empty values, lets the last of equal names win', () => {
    const labels = buildLabels([
      { name: 'b', value: '1' },
      { name: 'é', value: '4' },
      { name: 'a', value: 'first' },
      { name: 'gone', value: '' },
      { name: 'B', value: '2' },
      { name: 'a', value: 'last' },
    ])
    assert.deepEqual(labelsToPairs(labels), ['B', '2', 'a', 'last', 'b', '1', 'é', '4'])
  })

  it('a later empty value removes an earlier one', () => {
    assert.deepEqual(
      buildLabels([
        { name: 'a', value: '1' },
        { name: 'a', value: '' },
      ]),
      [],
    )
  })
})

describe('labels', () => {
  it('reads a value, or the empty string', () => {
    const labels = labelsFromPairs(['a', '1', 'b', '2'])
    assert.equal(getLabel(labels, 'b'), '2')
    assert.equal(getLabel(labels, 'c'), '')
  })

  it('compares pair by pair, a prefix first', () => {
    const ordered = [[], ['a', '1'], ['a', '1', 'b', '1'], ['a', '2'], ['b', '0']].map(labelsFromPairs)
    for (let i = 0; i < ordered.length; i++) {
      for (let j = 0; j < ordered.length; j++) {
        assert.equal(Math.sign(compareLabels(ordered[i]!, ordered[j]!)), Math.sign(i - j), `${i} against ${j}`)
      }
    }
  })

  it('has equal keys exactly where sets are equal', () => {
    fc.assert(
      fc.property(labelPairs, labelPairs, (a, b) => {
        assert.equal(labelsKey(a) === labelsKey(b), equalLabels(a, b))
      }),
    )
    const crafted = [
      ['a', '1:b1'],
      ['a1:', 'b1'],
      ['a', '', '1', 'b'],
      ['a1', 'b'],
    ].map(labelsFromPairs)
    assert.equal(new Set(crafted.map(labelsKey)).size, crafted.length)
  })

  it('keeps flat pairs through both conversions', () => {
    fc.assert(fc.property(labelPairs, (pairs) => assert.deepEqual(labelsFromPairs(labelsToPairs(pairs)), pairs)))
  })

  it('projects in the order asked for, repeats repeats, leaves absent ones out', () => {
    const labels = labelsFromPairs(['region', 'eu', 'service_name', 'api'])
    const projected = projectLabels(labels, ['service_name', 'nope', 'region', 'region'])
    assert.deepEqual(labelsToPairs(projected), ['service_name', 'api', 'region', 'eu', 'region', 'eu'])
  })

  it('knows legacy names', () => {
    for (const name of ['a', '_', '__name__', 'A9_z']) assert.equal(isLegacyLabelName(name), true, name)
    for (const name of ['', '9a', 'a.b', 'a:b', 'é', 'a\n', 'a-b']) assert.equal(isLegacyLabelName(name), false, name)
  })
})
