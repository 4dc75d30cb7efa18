import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import {
  buildOtlp,
  type OtlpFrame,
  type OtlpModel,
  type OtlpProfile,
  type OtlpSample,
  type OtlpVersion,
} from '../otlp.ts'
import { convertOtlp, type OtlpConversion } from './convert.ts'
import { arbitraryOtlp } from '../arbitrary-otlp.ts'
import { decodeReference } from '../reference-pprof.ts'

const BYTES_MAX = 1024 * 1024

interface ReadSample {
  /** Names of functions, leaf first. */
  readonly stack: readonly string[]
  readonly values: readonly bigint[]
  readonly labels: Record<string, string>
}

function readPprof(bytes: Uint8Array) {
  const { types, periodType, scalars, samples } = decodeReference(bytes)
  return {
    sampleTypes: types.map((type) => JSON.parse(type)),
    periodType: periodType === undefined ? undefined : JSON.parse(periodType),
    scalars,
    samples: samples.map(
      ({ stack, values, labels }): ReadSample => ({
        stack: stack.flatMap((location) => location!.lines.map((line) => JSON.parse(line!.function)[0])),
        values,
        labels: Object.fromEntries(labels.map((label) => JSON.parse(label).slice(0, 2))),
      }),
    ),
  }
}

function convert(model: OtlpModel, version?: OtlpVersion): OtlpConversion {
  return convertOtlp(readOtlpRequest(buildOtlp(model, version)), { bytesMax: BYTES_MAX })
}

const CPU: OtlpProfile = {
  type: ['samples', 'count'],
  periodType: ['cpu', 'nanoseconds'],
  period: 10_000_000n,
  timeNanos: 1_700_000_000_000_000_000n,
  durationNanos: 15_000_000_000n,
  samples: [],
}

function oneProfile(profile: Partial<OtlpProfile>, attributes = {}): OtlpModel {
  return { resources: [{ attributes, scopes: [{ profiles: [{ ...CPU, ...profile }] }] }] }
}

const labelsOf = (conversion: OtlpConversion, i = 0) =>
  Object.fromEntries(conversion.profiles[i]!.labels.map(({ name, value }) => [name, value]))

test('counted CPU samples become CPU time', () => {
  const converted = convert(
    oneProfile({ samples: [{ stack: ['leaf', 'main'], values: [3n] }] }, { 'service.name': 'shop' }),
  )
  const [profile] = converted.profiles
  const read = readPprof(profile!.bytes)
  assert.deepEqual(read.sampleTypes, [['cpu', 'nanoseconds']])
  assert.deepEqual(read.periodType, ['cpu', 'nanoseconds'])
  const { timeNanos, durationNanos, period } = CPU
  assert.deepEqual(read.scalars, { timeNanos, durationNanos, period })
  assert.deepEqual(read.samples, [{ stack: ['leaf', 'main'], values: [30_000_000n], labels: {} }])
  assert.deepEqual(labelsOf(converted), {
    __name__: 'process_cpu',
    service_name: 'shop',
    __otel__: 'true',
    __delta__: 'false',
    'service.name': 'shop',
  })
  assert.equal(profile!.id, '')
})

test('what a profile is called follows from its types', () => {
  const samples = [{ stack: ['f'], values: [4n, 11n] }]
  const cases: [Partial<OtlpProfile>, string, readonly [string, string], bigint][] = [
    [
      { type: ['off_cpu', 'nanoseconds'], periodType: ['', ''], period: 0n },
      'off_cpu',
      ['off_cpu', 'nanoseconds'],
      15n,
    ],
    [{ type: ['samples', 'count'], period: 0n }, 'cpu', ['samples', 'count'], 15n],
    [{ type: ['alloc_space', 'bytes'], periodType: ['space', 'bytes'] }, 'space', ['alloc_space', 'bytes'], 15n],
    [{ type: ['alloc_space', 'bytes'], periodType: ['', ''] }, 'memory', ['alloc_space', 'bytes'], 15n],
    [{ type: ['wall', 'nanoseconds'], periodType: ['', ''] }, 'wall', ['wall', 'nanoseconds'], 15n],
    [{ type: ['tokens', 'count'], periodType: ['', ''] }, 'tokens', ['tokens', 'count'], 15n],
  ]
  for (const [profile, name, type, value] of cases) {
    const converted = convert(oneProfile({ ...profile, samples }))
    const read = readPprof(converted.profiles[0]!.bytes)
    assert.equal(labelsOf(converted).__name__, name)
    assert.deepEqual(read.sampleTypes, [type])
    assert.deepEqual(read.samples[0]!.values, [value], name)
  }
})

test('a service is named by the sample, the resource, the executable, in this order', () => {
  const samples: OtlpSample[] = [
    { stack: ['a'], values: [1n] },
    { stack: ['b'], values: [2n], attributes: { 'service.name': 'other', 'thread.name': 't' } },
    { stack: ['c'], values: [4n] },
  ]
  const converted = convert(oneProfile({ samples }, { 'service.name': 'shop' }))
  assert.deepEqual(
    converted.profiles.map((profile, i) => [
      labelsOf(converted, i).service_name,
      readPprof(profile.bytes).samples.length,
    ]),
    [
      ['shop', 2],
      ['other', 1],
    ],
  )
  assert.deepEqual(readPprof(converted.profiles[1]!.bytes).samples[0]!.labels, { 'thread.name': 't' })
  const nameless = (attributes: Record<string, string>) =>
    labelsOf(convert(oneProfile({ samples: [samples[0]!] }, attributes))).service_name
  assert.equal(nameless({}), 'unknown_service')
  assert.equal(nameless({ 'process.executable.name': 'nginx' }), 'unknown_service:nginx')
  assert.equal(nameless({ 'service.name': '', 'process.executable.name': 'nginx' }), 'unknown_service:nginx')
})

test('attributes become labels: the first of a key counts, references are resolved, lists of one are their value', () => {
  const model: OtlpModel = {
    resources: [
      {
        attributes: {
          'k8s.pod.name': { reference: 'pod-1' },
          int: 7n,
          negative: -3n,
          bool: true,
          double: 1.5,
          one: ['x'],
          two: ['x', 'y'],
          __name__: 'evil',
          service_name: 'evil',
        },
        scopes: [
          { attributes: { int: 9n, scope: 's' }, profiles: [{ ...CPU, samples: [{ stack: ['f'], values: [1n] }] }] },
        ],
      },
    ],
  }
  const { __name__, service_name, __otel__, __delta__, ...rest } = labelsOf(convert(model))
  assert.deepEqual([__name__, service_name, __otel__, __delta__], ['process_cpu', 'unknown_service', 'true', 'false'])
  assert.deepEqual(rest, {
    'k8s.pod.name': 'pod-1',
    int: '7',
    negative: '-3',
    bool: 'true',
    double: '1.5',
    one: 'x',
    scope: 's',
  })
})

test('links are span and trace, timestamps without values are counted, an id is a UUID', () => {
  const traceId = Uint8Array.from({ length: 16 }, (_, i) => i)
  const spanId = Uint8Array.from({ length: 8 }, (_, i) => 0xf0 + i)
  const samples: OtlpSample[] = [
    { stack: ['f'], timestamps: [1n, 2n, 3n], link: { traceId, spanId } },
    { stack: ['g'], values: [1n], link: { traceId: new Uint8Array(3), spanId } },
  ]
  const converted = convert(oneProfile({ samples, id: traceId }))
  assert.equal(converted.profiles[0]!.id, '00010203-0405-0607-0809-0a0b0c0d0e0f')
  assert.deepEqual(readPprof(converted.profiles[0]!.bytes).samples, [
    {
      stack: ['f'],
      values: [30_000_000n],
      labels: { span_id: 'f0f1f2f3f4f5f6f7', trace_id: '000102030405060708090a0b0c0d0e0f' },
    },
    { stack: ['g'], values: [10_000_000n], labels: { span_id: 'f0f1f2f3f4f5f6f7' } },
  ])
})

test('a profile that cannot be read is refused alone and by its reason; values that cannot be recovered are refused', () => {
  const good: OtlpProfile = { ...CPU, samples: [{ stack: ['f'], values: [1n] }] }
  const empty: OtlpProfile = { ...CPU, samples: [{ stack: ['f'] }] }
  const typeless: OtlpProfile = { samples: [{ stack: ['f'], values: [1n] }] }
  const converted = convert({ resources: [{ scopes: [{ profiles: [good, empty, typeless, good, empty] }] }] })
  assert.equal(converted.profiles.length, 2)
  assert.equal(converted.refusedCount, 3)
  assert.equal(converted.refusals.length, 2)
  assert.match(converted.refusals[0]!, /sample value is required/)
  assert.match(converted.refusals[1]!, /neither a sample type nor a period type/)
})

test('a small request does not become more bytes than allowed', () => {
  const stack = Array.from({ length: 200 }, (_, i) => `function-${i}-${'x'.repeat(100)}`)
  const profile: OtlpProfile = { ...CPU, samples: [{ stack, values: [1n] }] }
  const model = { resources: [{ scopes: [{ profiles: Array.from({ length: 100 }, () => profile) }] }] }
  const bytes = buildOtlp(model)
  assert.ok(bytes.length < 60_000, String(bytes.length))
  assert.throws(
    () => convertOtlp(readOtlpRequest(bytes), { bytesMax: BYTES_MAX }),
    (error) => error instanceof CinderError && error.message.includes(`the allowed ${BYTES_MAX} bytes`),
  )
})

/** What the rules say, sample by sample, with nothing shared. */
function expectedSamples(model: OtlpModel): string[] {
  const lines: string[] = []
  for (const { attributes, scopes } of model.resources) {
    for (const { type, periodType, period, samples } of scopes.flatMap(({ profiles }) => profiles)) {
      const isCpu = type![0] === 'samples' && periodType![0] === 'cpu' && period !== 0n
      for (const { stack, values, attributes: own, link } of samples) {
        const { 'service.name': named, ...labels } = own as Record<string, string>
        if (link !== undefined) {
          labels.span_id = Buffer.from(link.spanId).toString('hex')
          labels.trace_id = Buffer.from(link.traceId).toString('hex')
        }
        const service = named ?? (attributes as Record<string, string>)['service.name'] ?? 'unknown_service'
        const value = values!.reduce((sum, each) => sum + each, 0n) * (isCpu ? period! : 1n)
        const frames = stack.map((frame) => {
          const { lines: own, mapping, address } = frame as OtlpFrame
          const functions = own.map(({ name, file, line }) => `${name}@${file}:${line}`)
          return `${mapping?.file} ${mapping?.buildId} ${address} ${functions}`
        })
        lines.push(describe(service, { stack: frames, values: [BigInt.asIntN(64, value)], labels }))
      }
    }
  }
  return lines.sort()
}

function describe(
  service: string,
  { stack, values, labels }: { stack: readonly string[]; values: readonly bigint[]; labels: Record<string, string> },
): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${service} | ${stack.join(';')} | ${values} | ${sorted.map(([name, value]) => `${name}=${value}`)}`
}

function convertedSamples(conversion: OtlpConversion): string[] {
  const lines = conversion.profiles.flatMap(({ bytes }, i) =>
    decodeReference(bytes).samples.map(({ stack, values, labels }) => {
      const frames = stack.map((location) => {
        const mapping = location!.mapping === undefined ? undefined : JSON.parse(location!.mapping)
        const functions = location!.lines.map((line) => {
          const [name, , file] = JSON.parse(line!.function)
          return `${name}@${file}:${line!.line}`
        })
        return `${mapping?.[3]} ${mapping?.[4]} ${location!.address} ${functions}`
      })
      const pairs = Object.fromEntries(labels.map((label) => JSON.parse(label).slice(0, 2)))
      return describe(labelsOf(conversion, i).service_name!, { stack: frames, values, labels: pairs })
    }),
  )
  return lines.sort()
}

test('any request in either layout becomes the samples that its model says', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(arbitraryOtlp, (model) => {
      const [old, current] = [convert(model, '1.9'), convert(model, '1.10')]
      assert.deepEqual(convertedSamples(current), expectedSamples(model))
      assert.deepEqual(current.refusals, [])
      assert.deepEqual(old.profiles, current.profiles)
    }),
    { numRuns: 60 },
  )
})
