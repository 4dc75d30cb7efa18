import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { findOrderFault } from '#core/block/order.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { Head } from '#core/segment/head.ts'
import { ProfileSymbols } from '#core/segment/profile-symbols.ts'
import { GrowingUint32 } from '#core/wire/growing.ts'
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

/** Throws at the read of a property of profile or split, or at a push to a column of the head, whichever is the `n`-th. */
function failingAppend(head: Head, spec: ProfileSpec, n: number): boolean {
  const decoded = decoder.decode(buildPprof(spec), DEFAULT_LIMITS)
  assert.ok(decoded.ok)
  const split = splitProfile(decoded.profile, LABELS, DEFAULT_LIMITS)
  let left = n
  let isInDictionary = false
  const step = (): void => {
    if (!isInDictionary && --left === 0) throw new RangeError('out of memory')
  }
  const watched = <T extends object>(of: T): T =>
    new Proxy(of, {
      get(target, name) {
        step()
        return Reflect.get(target, name, target)
      },
    })
  const { push } = GrowingUint32.prototype
  const spied = mock.method(GrowingUint32.prototype, 'push', function (this: GrowingUint32, value: number) {
    step()
    push.call(this, value)
  })
  const { stackOf } = ProfileSymbols.prototype
  const mapped = mock.method(
    ProfileSymbols.prototype,
    'stackOf',
    function (this: ProfileSymbols, ...args: [number, number]) {
      isInDictionary = true
      const id = stackOf.apply(this, args)
      isInDictionary = false
      return id
    },
  )
  try {
    const profileId = new Uint8Array(16).fill(9)
    const input = { profileId, timeNanos: 7n, stackDepthMax: 0 }
    head.append({ ...input, profile: watched(decoded.profile), split: watched(split) })
    return false
  } catch (error) {
    assert.match(String(error), /out of memory/)
    return true
  } finally {
    spied.mock.restore()
    mapped.mock.restore()
  }
}

test('an append that throws, wherever it does, leaves nothing of its profile in the head', () => {
  const span = '00000000000000ff'
  const types: [string, string][] = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ]
  const split = (region: string, value: number, more = {}) => ({
    stack: [`${region} ${value}`, 'main'],
    values: [value, value],
    labels: { region, ...more },
  })
  const first = { samples: [{ stack: ['a', 'main'], values: [1] }] }
  const broken = { types, samples: [split('eu', 2), split('us', 3, { span_id: span }), split('jp', 4)] }
  const rest = [
    { spec: { samples: [{ stack: ['us 5', 'main'], values: [5], labels: { region: 'us' } }] }, id: 20 },
    { spec: { types, samples: [split('jp', 6)] }, id: 21 },
  ]
  const expected = headOf({ spec: first }, ...rest).finish()
  let points = 0
  for (;;) {
    const head = headOf({ spec: first })
    if (!failingAppend(head, broken, points + 1)) break
    points++
    assert.equal(head.profileCount, 1)
    for (const each of rest) append(head, each)
    assert.deepEqual(head.finish(), expected, `failure at step ${points}`)
  }
  assert.ok(points > 100, `${points} points`)
})
