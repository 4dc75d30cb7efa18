import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { openOtlp } from '#core/ingest/otlp/envelope.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { buildOtlp, type OtlpModel, type OtlpProfile, type OtlpSample } from '../../../support/otlp.ts'

const CPU: OtlpProfile = {
  type: ['samples', 'count'],
  periodType: ['cpu', 'nanoseconds'],
  period: 10_000_000n,
  samples: [{ stack: ['leaf', 'main'], values: [3n] }],
}

function open(model: OtlpModel, bytesMax = 1e6) {
  return openOtlp(readOtlpRequest(buildOtlp(model)), { bytesMax })
}

function modelOf(profiles: OtlpProfile[], attributes = {}): OtlpModel {
  return { resources: [{ attributes, scopes: [{ profiles }] }] }
}

const serviceOf = ({ labels }: { labels: readonly { name: string; value: string }[] }) =>
  labels.find(({ name }) => name === 'service_name')!.value

test('profiles are bytes of the request, and so is the dictionary', () => {
  const bytes = buildOtlp(modelOf([CPU, CPU], { 'service.name': 'shop' }))
  const { profiles, dictionary, refused, layout } = openOtlp(readOtlpRequest(bytes), { bytesMax: 0 })
  assert.deepEqual([profiles.length, refused.length, layout.name], [2, 0, '1.10'])
  assert.ok([dictionary, ...profiles.map((profile) => profile.bytes)].every(({ buffer }) => buffer === bytes.buffer))
  assert.deepEqual(profiles.map(serviceOf), ['shop', 'shop'])
})

test('a dictionary that comes in parts is one', () => {
  const request = buildOtlp(modelOf([CPU]))
  const once = openOtlp(readOtlpRequest(request), { bytesMax: 0 }).dictionary
  const empty = Uint8Array.of(0x12, 0)
  const parts = new Uint8Array(Buffer.concat([request, empty]))
  assert.deepEqual(openOtlp(readOtlpRequest(parts), { bytesMax: 0 }).dictionary, once)
})

test('samples of several services make as many profiles, within a bound', () => {
  const samples: OtlpSample[] = [
    { stack: ['a'], values: [1n] },
    { stack: ['b'], values: [2n], attributes: { 'service.name': 'other' } },
    { stack: ['c'], values: [4n] },
  ]
  const model = modelOf([{ ...CPU, samples }, CPU], { 'service.name': 'shop' })
  const { profiles } = open(model)
  assert.deepEqual(
    profiles.map((profile) => [serviceOf(profile), profile.position]),
    [
      ['shop', 0],
      ['other', 0],
      ['shop', 1],
    ],
  )
  assert.throws(
    () => open(model, 10),
    (error) => error instanceof CinderError && error.reason === 'otlp_bytes_limit',
  )
})

test('a profile that is split is refused as a whole, one without samples makes none', () => {
  const samples: OtlpSample[] = [
    { stack: ['a'], values: [1n] },
    { stack: ['b'], attributes: { 'service.name': 'other' } },
  ]
  const { profiles, refused } = open(
    modelOf([CPU, { ...CPU, samples }, { ...CPU, samples: [] }, { samples: CPU.samples }]),
  )
  assert.equal(profiles.length, 1)
  assert.deepEqual(
    refused.map(({ position }) => position),
    [1, 3],
  )
  assert.match(refused[0]!.error.message, /sample value is required/)
  assert.match(refused[1]!.error.message, /neither a sample type nor a period type/)
})

test('labels are those of the resource, then of the scope, and never ours', () => {
  const resource = { 'k8s.pod': { reference: 'pod-1' }, both: 'resource', service_name: 'evil', __name__: 'evil' }
  const model: OtlpModel = {
    resources: [{ attributes: resource, scopes: [{ attributes: { both: 'scope', own: 7n }, profiles: [CPU] }] }],
  }
  const labels = Object.fromEntries(open(model).profiles[0]!.labels.map(({ name, value }) => [name, value]))
  assert.deepEqual(labels, {
    __name__: 'process_cpu',
    service_name: 'unknown_service',
    __otel__: 'true',
    __delta__: 'false',
    'k8s.pod': 'pod-1',
    both: 'resource',
    own: '7',
  })
})

test('what profiles of several services become when they are looked at as a whole has the same bound, all together', () => {
  const stack = Array.from({ length: 100 }, (_, i) => `f${i}`)
  const samples: OtlpSample[] = Array.from({ length: 100 }, (_, i) => ({
    stack,
    values: [1n],
    attributes: { 'service.name': `s${i % 2}` },
  }))
  const one = modelOf([{ ...CPU, samples }])
  const three = modelOf([
    { ...CPU, samples },
    { ...CPU, samples, timeNanos: 1n },
    { ...CPU, samples, timeNanos: 2n },
  ])
  // Each 100 * 100 references as pprof, and 1 KB on the wire.
  const bytesMax = 30_000
  assert.ok(buildOtlp(three).length < 10_000)
  assert.equal(open(one, bytesMax).profiles.length, 2)
  assert.throws(
    () => open(three, bytesMax),
    (error) => error instanceof CinderError && error.reason === 'otlp_bytes_limit',
  )
})

test('labels of a resource that many profiles share have the bound too: each profile carries them on', () => {
  const long = 'x'.repeat(1_000)
  const model = (profiles: number) =>
    modelOf(
      Array.from({ length: profiles }, (_, i) => ({ ...CPU, timeNanos: BigInt(i) })),
      { long },
    )
  assert.equal(open(model(5), 10_000).profiles.length, 5)
  const isTooMuch = (error: unknown) => error instanceof CinderError && error.reason === 'otlp_bytes_limit'
  assert.throws(() => open(model(20), 10_000), isTooMuch)
  const scopes = Array.from({ length: 20 }, () => ({ profiles: [CPU] }))
  assert.throws(() => open({ resources: [{ attributes: { long }, scopes }] }, 10_000), isTooMuch)
})
