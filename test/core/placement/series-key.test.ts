/** What places a series. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seriesHashOf, seriesKeyOf, serviceOfSeries } from '#core/placement/series-key.ts'

const NOTHING = { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0) }
const named = (value: string) => [{ name: 'service_name', value }]

test('the service is the label, else the application without its suffix, else the fallback', () => {
  assert.equal(serviceOfSeries({ labels: named('shop') }), 'shop')
  assert.equal(serviceOfSeries({ labels: named('shop'), ingest: { ...NOTHING, app: 'other.cpu' } }), 'shop')
  assert.equal(serviceOfSeries({ labels: [], ingest: { ...NOTHING, app: 'shop.alloc_space' } }), 'shop')
  assert.equal(serviceOfSeries({ labels: [], ingest: { ...NOTHING, app: 'shop.unheard' } }), 'shop.unheard')
  assert.equal(serviceOfSeries({ labels: [], ingest: NOTHING }), 'unknown_service')
  assert.equal(serviceOfSeries({ labels: [{ name: 'pod', value: 'x' }] }), 'unknown_service')
})

test('the order of labels places nothing, their names and values do', () => {
  const label = fc.record({ name: fc.string({ maxLength: 3 }), value: fc.string({ maxLength: 3 }) })
  const property = fc.property(
    fc.array(label, { maxLength: 5 }),
    fc.array(fc.nat(1_000), { maxLength: 5 }),
    (labels, by) => {
      const shuffled = labels
        .map((one, i) => ({ one, at: by[i] ?? 0 }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ one }) => one)
      assert.equal(seriesKeyOf(shuffled), seriesKeyOf(labels))
    },
  )
  fc.assert(property)
  const ab = seriesKeyOf([{ name: 'a', value: 'b' }])
  const others = [[], named('b'), [{ name: 'ab', value: '' }], [{ name: '', value: 'ab' }]]
  for (const other of others) assert.notEqual(seriesKeyOf(other), ab)
})

test('a series of many labels is read once and not put in order', () => {
  const count = 10_000
  let reads = 0
  const labels = Array.from({ length: count }, (_, i) => ({
    get name() {
      reads++
      return `l${(i * 7_919) % count}`
    },
    value: 'v',
  }))
  const key = seriesKeyOf(labels)
  assert.ok(reads <= 2 * count, String(reads))
  assert.equal(seriesKeyOf(labels), key)
  const many = Array.from({ length: 256 }, (_, i) => ({ name: `l${i}`, value: 'v' }))
  assert.equal(seriesKeyOf(many), seriesKeyOf(many.toReversed()), 'the most that are')
})

test('hashes are the same for ever, and spread', () => {
  assert.equal(seriesHashOf(seriesKeyOf(named('shop'))), 2_578_736_259)
  const buckets = new Array<number>(16).fill(0)
  for (let i = 0; i < 16_000; i++) {
    const hash = seriesHashOf(seriesKeyOf([...named('shop'), { name: 'pod', value: `pod-${i}` }]))
    assert.equal(hash, hash >>> 0)
    buckets[hash >>> 28]!++
  }
  for (const count of buckets) assert.ok(count > 800 && count < 1_200, buckets.join(' '))
})
