import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { splitProfile, type SplitProfile } from '#core/pprof/split.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { buildPprof, rewritePprof, type SampleSpec } from '../../support/profiles.ts'

const PUSHED = [
  { name: '__name__', value: 'process_cpu' },
  { name: 'service_name', value: 'svc' },
]

function split(samples: SampleSpec[], pushed = PUSHED, types?: [string, string][]): SplitProfile {
  return splitRaw(buildPprof({ samples, ...(types && { types }) }), pushed)
}

function splitRaw(raw: Uint8Array, pushed = PUSHED): SplitProfile {
  const result = new ProfileDecoder().decode(raw, { ...DEFAULT_LIMITS, maxSamples: 0 })
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return splitProfile(result.profile, pushed, DEFAULT_LIMITS)
}

function series(result: SplitProfile): string[] {
  return result.series.map((labels) => labels.map(({ name, value }) => `${name}=${value}`).join(' '))
}

const kept = (result: SplitProfile) => Array.from(result.keptSample.subarray(0, result.keptCount))
const keptSeries = (result: SplitProfile) => Array.from(result.keptSeries.subarray(0, result.keptCount))

test('samples with a negative value or zeros alone are dropped', () => {
  const types: [string, string][] = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ]
  const result = split(
    [
      { stack: ['a'], values: [0, 0] },
      { stack: ['b'], values: [-1, 5] },
      { stack: ['c'], values: [0, 7] },
      { stack: ['d'], values: [2, -(2n ** 63n)] },
      { stack: ['e'], values: [2n ** 32n, 0] },
      { stack: ['f'], values: [2n ** 63n - 1n, 2n ** 63n - 1n] },
    ],
    PUSHED,
    types,
  )
  assert.deepEqual(kept(result), [2, 4, 5])
  assert.deepEqual(series(result), ['__name__=process_cpu service_name=svc'])
  assert.equal(result.spanId, undefined)
})

test('nothing left to store is no series', () => {
  for (const samples of [[], [{ stack: ['a'], values: [0] }], [{ stack: ['a'], values: [-3], labels: { a: 'b' } }]]) {
    const result = split(samples)
    assert.deepEqual([result.keptCount, result.series.length], [0, 0])
  }
})

test('string labels make series, numeric ones do not, pushed ones win', () => {
  const result = split([
    { stack: ['a'], values: [1], labels: { http: 'GET', zone: 'a' } },
    { stack: ['a'], values: [2], labels: { http: 'POST', zone: 'a' } },
    { stack: ['b'], values: [3] },
    { stack: ['b'], values: [4], labels: { bytes: 5, service_name: 'other' } },
    { stack: ['b'], values: [5], labels: { zone: 'a', http: 'GET' } },
  ])
  assert.deepEqual(series(result), [
    '__name__=process_cpu http=GET service_name=svc zone=a',
    '__name__=process_cpu http=POST service_name=svc zone=a',
    '__name__=process_cpu service_name=svc',
  ])
  assert.deepEqual(keptSeries(result), [0, 1, 2, 2, 0])
})

test('a label that is empty, or dropped by relabelling, makes no series of its own', () => {
  const result = split([
    { stack: ['a'], values: [1] },
    { stack: ['a'], values: [1], labels: { __delta__: 'false' } },
    { stack: ['a'], values: [1], labels: { '': 'x' } },
  ])
  assert.equal(result.series.length, 2)
  assert.deepEqual(keptSeries(result), [0, 0, 1])
  // The empty name is for validation to refuse.
  assert.equal(result.series[1]![0]!.name, '')
})

test('a pushed label with an empty value is absent, so the sample may bring one', () => {
  const result = split([{ stack: ['a'], values: [1], labels: { zone: 'z' } }], [...PUSHED, { name: 'zone', value: '' }])
  assert.deepEqual(series(result), ['__name__=process_cpu service_name=svc zone=z'])
})

test('span and trace ids are numbers of the sample, never labels; what is not hexadecimal is ignored', () => {
  const trace = '0123456789abcdefFEDCBA9876543210'
  const result = split([
    { stack: ['a'], values: [1], labels: { span_id: '00000000000000aa', trace_id: trace, span_name: 'GET /' } },
    { stack: ['a'], values: [2], labels: { span_id: 'fedcba9876543210' } },
    { stack: ['a'], values: [0], labels: { span_id: '00000000000000ee' } },
    { stack: ['a'], values: [4], labels: { profile_id: '00000000000000dd' } },
    { stack: ['a'], values: [8], labels: { span_id: 'nothex', trace_id: trace.slice(1) } },
    { stack: ['a'], values: [8], labels: { span_id: '00000000000000zz' } },
    { stack: ['a'], values: [8], labels: { span_id: 7 } },
  ])
  assert.deepEqual(series(result), [
    '__name__=process_cpu service_name=svc span_name=GET /',
    '__name__=process_cpu service_name=svc',
  ])
  assert.deepEqual(kept(result), [0, 1, 3, 4, 5, 6])
  const unsigned = (column: SplitProfile['spanId'], k: number) => BigInt.asUintN(64, getBigInt(column!, k))
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((k) => unsigned(result.spanId, k)),
    [0xaan, 0xfedcba9876543210n, 0xddn, 0n, 0n, 0n],
  )
  assert.deepEqual(
    [unsigned(result.traceIdHigh, 0), unsigned(result.traceIdLow, 0)],
    [0x0123456789abcdefn, 0xfedcba9876543210n],
  )
  assert.deepEqual([unsigned(result.traceIdHigh, 3), unsigned(result.traceIdLow, 3)], [0n, 0n])
})

test('of a name that a sample repeats the first value counts', () => {
  const model = {
    types: [{ type: 'samples', unit: 'count' }],
    samples: [
      {
        stack: [],
        values: [1n],
        labels: [
          { key: 'a', value: '1' },
          { key: 'a', value: '2' },
        ],
      },
    ],
  }
  assert.deepEqual(series(splitRaw(encodePprof(model))), ['__name__=process_cpu a=1 service_name=svc'])
})

test('duplicate pushed labels survive for validation', () => {
  const result = split(
    [{ stack: ['a'], values: [1] }],
    [...PUSHED, { name: 'a', value: '1' }, { name: 'a', value: '1' }],
  )
  assert.equal(result.series[0]!.filter((label) => label.name === 'a').length, 2)
})

test('property: every kept sample lies in the series that its labels spell', () => {
  const labels = fc.dictionary(
    fc.constantFrom('a', 'b', 'span_name', 'service_name', 'trace_id'),
    fc.oneof(fc.constantFrom('1', '2', ''), fc.nat(5)),
    { maxKeys: 4 },
  )
  const sample = fc.record({ stack: fc.constant(['f']), values: fc.tuple(fc.integer({ min: -1, max: 2 })), labels })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 200 }), fc.nat(1_000), (samples, seed) => {
      const result = splitRaw(rewritePprof(buildPprof({ samples }), seed))
      const names = series(result)
      const expected = samples.flatMap((s, i) => (s.values[0] > 0 ? [i] : []))
      assert.deepEqual(kept(result), expected)
      for (let k = 0; k < result.keptCount; k++) {
        const own = Object.entries(samples[expected[k]!]!.labels).filter(
          ([name, value]) =>
            typeof value === 'string' && value !== '' && name !== 'service_name' && name !== 'trace_id',
        )
        const pairs = [...own, ['__name__', 'process_cpu'], ['service_name', 'svc']].map(([n, v]) => `${n}=${v}`).sort()
        assert.equal(names[result.keptSeries[k]!], pairs.join(' '))
      }
      assert.equal(new Set(names).size, names.length)
      assert.equal(new Set(keptSeries(result)).size, names.length)
    }),
    { numRuns: 100 },
  )
})

test('thousands of label sets find their series through growth', () => {
  const samples = Array.from({ length: 6_000 }, (_, i) => ({
    stack: ['f'],
    values: [1],
    labels: { id: `v${i % 3_000}` },
  }))
  const result = split(samples)
  assert.equal(result.series.length, 3_000)
  for (let k = 0; k < 6_000; k++) assert.equal(result.keptSeries[k], k % 3_000)
})
