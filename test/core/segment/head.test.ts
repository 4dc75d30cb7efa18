import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findOrderFault } from '#core/block/order.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { Head } from '#core/segment/head.ts'
import { contentsOf } from '../../support/contents.ts'
import { buildPprof, type ProfileSpec, realShapedSpec } from '../../support/profiles.ts'

const LABELS = [
  { name: '__name__', value: 'process_cpu' },
  { name: 'service_name', value: 'shop' },
]
const KEY = { tenant: 'acme', service: 'shop', windowStartMs: 0, windowMs: 3_600_000 }
const decoder = new ProfileDecoder()

interface Append {
  readonly spec: ProfileSpec
  readonly id?: number
  readonly depthMax?: number
}

function append(head: Head, { spec, id = 1, depthMax = 0 }: Append) {
  const decoded = decoder.decode(buildPprof(spec), DEFAULT_LIMITS)
  assert.ok(decoded.ok)
  return head.append({
    profile: decoded.profile,
    split: splitProfile(decoded.profile, LABELS, DEFAULT_LIMITS),
    profileId: new Uint8Array(16).fill(id),
    timeNanos: spec.timeNanos ?? 0n,
    stackDepthMax: depthMax,
  })
}

function headOf(...appends: Append[]): Head {
  const head = new Head(KEY)
  for (const each of appends) append(head, each)
  return head
}

test('equal stacks of one profile are one row, with values summed exactly', () => {
  const { dataset } = headOf({
    spec: {
      samples: [
        { stack: ['leaf', 'main'], values: [2n ** 62n] },
        { stack: ['other', 'main'], values: [5] },
        { stack: ['leaf', 'main'], values: [2n ** 62n - 1n] },
      ],
    },
  }).finish()
  const [content] = contentsOf(dataset)
  assert.deepEqual(content!.samples, [
    `leaf < main span=0 trace=0/0: ${2n ** 63n - 1n}`,
    'other < main span=0 trace=0/0: 5',
  ])
  assert.equal(content!.total, String(BigInt.asIntN(64, 2n ** 63n + 4n)))
})

test('a sample label makes a series of its own; spans stay with their rows and are never summed together', () => {
  const span = '00000000000000ff'
  const { dataset, profileOrdinal } = headOf({
    spec: {
      samples: [
        { stack: ['a'], values: [1], labels: { region: 'eu' } },
        { stack: ['a'], values: [2], labels: { region: 'us' } },
        { stack: ['a'], values: [4], labels: { region: 'eu', span_id: span } },
        { stack: ['a'], values: [8], labels: { region: 'eu', span_id: span } },
      ],
    },
  }).finish()
  assert.equal(findOrderFault(dataset), undefined)
  assert.equal(dataset.series.length, 2)
  assert.deepEqual([...profileOrdinal], [0, 0])
  assert.deepEqual(
    contentsOf(dataset).map(({ samples }) => samples),
    [['a span=0 trace=0/0: 1', 'a span=255 trace=0/0: 12'], ['a span=0 trace=0/0: 2']],
  )
  const ids = contentsOf(dataset).map(({ id }) => id)
  assert.notEqual(ids[0], ids[1])
  assert.equal(ids[0]!.slice(0, 28), ids[1]!.slice(0, 28))
})

test('a depth limit keeps the frames next to the root', () => {
  const { dataset } = headOf({
    spec: { samples: [{ stack: ['leaf', 'middle', 'root'], values: [1] }] },
    depthMax: 2,
  }).finish()
  assert.deepEqual(contentsOf(dataset)[0]!.samples, ['middle < root span=0 trace=0/0: 1'])
})

test('the empty stack counts in the total and is a row', () => {
  const { dataset } = headOf({
    spec: {
      samples: [
        { stack: [], values: [3] },
        { stack: ['a'], values: [4] },
      ],
    },
  }).finish()
  assert.equal(contentsOf(dataset)[0]!.total, '7')
  assert.equal(contentsOf(dataset)[0]!.samples.length, 2)
})

test('headers are ordered by series, time and id whatever the order of arrival, and ordinals follow (H13)', () => {
  const at = (timeNanos: bigint): ProfileSpec => ({
    timeNanos,
    samples: [{ stack: ['a'], values: [Number(timeNanos)] }],
  })
  const { dataset, profileOrdinal } = headOf(
    { spec: at(30n), id: 1 },
    { spec: at(10n), id: 9 },
    { spec: at(10n), id: 2 },
  ).finish()
  assert.equal(findOrderFault(dataset), undefined)
  assert.deepEqual([...profileOrdinal], [2, 1, 0])
})

test('profiles of different types live in groups; totals of short groups are padded', () => {
  const { dataset } = headOf(
    { spec: { types: [['samples', 'count']], samples: [{ stack: ['a'], values: [1] }] } },
    {
      spec: {
        types: [
          ['alloc_objects', 'count'],
          ['alloc_space', 'bytes'],
        ],
        samples: [{ stack: ['a'], values: [2, 64] }],
      },
      id: 2,
    },
    { spec: { types: [['samples', 'count']], samples: [{ stack: ['b'], values: [3] }] }, id: 3 },
  ).finish()
  assert.equal(findOrderFault(dataset), undefined)
  assert.deepEqual(
    contentsOf(dataset)
      .map(({ type, total }) => `${type}=${total}`)
      .sort(),
    ['alloc_objects:count=2', 'alloc_space:bytes=64', 'samples:count=1', 'samples:count=3'],
  )
})

test('nothing left to store is no profile', () => {
  const head = new Head(KEY)
  assert.equal(append(head, { spec: { samples: [{ stack: ['a'], values: [0] }] } }).ordinal, undefined)
  assert.equal(head.profileCount, 0)
})

test('rows and stacks of many real-shaped profiles agree with their samples', () => {
  const head = new Head(KEY)
  let expected = 0n
  for (let seed = 1; seed <= 20; seed++) {
    const spec = realShapedSpec({ seed })
    for (const sample of spec.samples) expected += BigInt(sample.values[0]!)
    assert.equal(append(head, { spec: { ...spec, timeNanos: BigInt(seed) }, id: seed }).ordinal, seed - 1)
  }
  const { dataset } = head.finish()
  assert.equal(findOrderFault(dataset), undefined)
  const totals = contentsOf(dataset)
    .filter(({ type }) => type === 'samples:count')
    .map(({ total }) => BigInt(total))
  assert.equal(
    totals.reduce((sum, total) => sum + total, 0n),
    expected,
  )
})
