import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { ProfileSchema } from '#platform/gen/google/v1/profile_pb.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { createCodec } from '#platform/codec.ts'
import { preparePush, type PushOptions, withTime } from '../../../apps/cli/push-request.ts'
import { buildPprof } from '../../support/profiles.ts'

const codec = createCodec()
const OPTIONS: PushOptions = { service: undefined, labels: [], name: undefined, timeNanos: undefined }

function profile(types: readonly (readonly [string, string])[], timeNanos = 5n): Uint8Array {
  return buildPprof({ types, timeNanos, samples: [{ stack: ['main'], values: types.map(() => 1) }] })
}

function sent(message: Uint8Array) {
  const { series } = fromBinary(PushRequestSchema, message)
  assert.equal(series.length, 1)
  assert.equal(series[0]!.samples.length, 1)
  const labels = Object.fromEntries(series[0]!.labels.map(({ name, value }) => [name, value]))
  return { labels, count: series[0]!.labels.length, raw: series[0]!.samples[0]!.rawProfile }
}

test('the name follows from the sample types', () => {
  const cases: [[string, string][], string][] = [
    [
      [
        ['samples', 'count'],
        ['cpu', 'nanoseconds'],
      ],
      'process_cpu',
    ],
    [
      [
        ['alloc_objects', 'count'],
        ['inuse_space', 'bytes'],
      ],
      'memory',
    ],
    [[['wall', 'nanoseconds']], 'wall'],
    [[['goroutine', 'count']], 'goroutines'],
    [
      [
        ['contentions', 'count'],
        ['delay', 'nanoseconds'],
      ],
      'mutex',
    ],
    [[['fancy', 'count']], 'fancy'],
  ]
  for (const [types, name] of cases) {
    const push = preparePush(profile(types), OPTIONS, codec)
    assert.equal(push.name, name)
    assert.deepEqual(sent(push.message).labels, { __name__: name, service_name: 'cinder-push' })
  }
})

test('what the caller says wins over what is guessed, flags over labels, and nothing is sent twice', () => {
  const labels = [
    { name: 'service_name', value: 'from-label' },
    { name: '__name__', value: 'label_name' },
    { name: 'env', value: 'dev' },
  ]
  const byLabel = sent(preparePush(profile([['cpu', 'nanoseconds']]), { ...OPTIONS, labels }, codec).message)
  assert.deepEqual(byLabel.labels, { __name__: 'label_name', service_name: 'from-label', env: 'dev' })
  const options = { ...OPTIONS, labels, service: 'shop', name: 'mine' }
  const byFlag = sent(preparePush(profile([['cpu', 'nanoseconds']]), options, codec).message)
  assert.deepEqual(byFlag.labels, { __name__: 'mine', service_name: 'shop', env: 'dev' })
  assert.equal(byFlag.count, 3)
})

test('kept time: the file travels byte for byte, gzip or not', () => {
  const raw = profile([['cpu', 'nanoseconds']])
  for (const file of [raw, codec.gzip(raw)]) {
    const push = preparePush(file, OPTIONS, codec)
    assert.deepEqual(sent(push.message).raw, file)
    assert.equal(push.timeNanos, 5n)
  }
})

test('another time replaces the old one and nothing else', () => {
  const raw = profile([['cpu', 'nanoseconds']], 1_700_000_000_123_456_789n)
  const timeNanos = 1_800_000_000_987_654_321n
  const push = preparePush(codec.gzip(raw), { ...OPTIONS, timeNanos }, codec)
  const before = fromBinary(ProfileSchema, raw)
  const after = fromBinary(ProfileSchema, codec.gunzip(sent(push.message).raw, 1 << 20))
  assert.equal(after.timeNanos, timeNanos)
  assert.deepEqual({ ...after, timeNanos: 0n }, { ...before, timeNanos: 0n })
  assert.deepEqual(fromBinary(ProfileSchema, withTime(withTime(raw, 1n), before.timeNanos)), before)
})

test('what is no profile does not travel', () => {
  const text = new TextEncoder().encode('hello, world')
  assert.throws(() => preparePush(text, OPTIONS, codec), /not a pprof: /)
  assert.throws(() => preparePush(new Uint8Array(0), OPTIONS, codec), /not a pprof: the profile has no bytes/)
  assert.throws(
    () => preparePush(codec.gzip(text).subarray(0, 15), OPTIONS, codec),
    /gzip stream of 15 bytes is broken/,
  )
})
