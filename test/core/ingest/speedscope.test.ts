import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readSpeedscope } from '#core/ingest/speedscope.ts'
import { StackFault } from '#core/ingest/stack-counts.ts'
import { countsOf } from '../../support/stack-counts.ts'

const SCHEMA = 'https://www.speedscope.app/file-format-schema.json'
const FRAMES = ['a', 'b', 'c'].map((name) => ({ name }))

function sampled(unit: string, rest: object = {}) {
  return {
    type: 'sampled',
    name: 'p',
    unit,
    startValue: 0,
    samples: [[0, 1], [0, 1, 2], [0]],
    weights: [1, 2, 3],
    ...rest,
  }
}

function file(...profiles: object[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ $schema: SCHEMA, shared: { frames: FRAMES }, profiles }))
}

/** Type, service and counts of every profile. */
function read(body: Uint8Array, app = 'app', rate = 100) {
  return readSpeedscope(body, app, rate).map(({ type, service, counts, countsSamples, profileName }) => ({
    type: `${type.name}:${type.type}:${type.unit}`,
    service,
    profileName,
    counts: countsOf(counts),
    ...(countsSamples ? { countsSamples } : {}),
  }))
}

test('time is stored in nanoseconds, exactly, whatever its unit', () => {
  const cases: [unit: string, nanos: bigint][] = [
    ['nanoseconds', 1n],
    ['microseconds', 1_000n],
    ['milliseconds', 1_000_000n],
    ['seconds', 1_000_000_000n],
  ]
  for (const [unit, nanos] of cases) {
    assert.deepEqual(read(file(sampled(unit))), [
      {
        type: 'process_cpu:cpu:nanoseconds',
        service: 'app',
        profileName: 'p',
        counts: { 'a;b': nanos, 'a;b;c': 2n * nanos, a: 3n * nanos },
      },
    ])
  }
})

test('fractions are added before they are rounded', () => {
  const tenths = sampled('nanoseconds', {
    samples: Array.from({ length: 10 }, () => [0]),
    weights: Array<number>(10).fill(0.1),
  })
  assert.deepEqual(read(file(tenths))[0]!.counts, { a: 1n })
})

test('bytes are memory, weights without a unit are counts, a suffix that fits is believed', () => {
  const cases: [unit: string, app: string, type: string, countsSamples: boolean][] = [
    ['bytes', 'app', 'memory:samples:bytes', false],
    ['bytes', 'app.alloc_space', 'memory:alloc_space:bytes', false],
    ['bytes', 'app.cpu', 'memory:samples:bytes', false],
    ['none', 'app', 'process_cpu:samples:count', true],
    ['none', 'app.cpu', 'process_cpu:cpu:nanoseconds', true],
    ['none', 'app.exceptions', 'exceptions:samples:count', true],
    ['seconds', 'app.wall', 'wall:wall:nanoseconds', false],
  ]
  for (const [unit, app, type, countsSamples] of cases) {
    const [profile] = read(file(sampled(unit)), app)
    assert.deepEqual([profile!.type, profile!.countsSamples ?? false], [type, countsSamples], `${unit} ${app}`)
    assert.equal(profile!.service, 'app')
    if (unit !== 'seconds') assert.deepEqual(profile!.counts, { 'a;b': 1n, 'a;b;c': 2n, a: 3n })
  }
})

test('a rate of one’s own says how long a hundredth of a unit is', () => {
  assert.deepEqual(read(file(sampled('seconds')), 'app', 1_000)[0]!.counts, {
    'a;b': 100_000_000n,
    'a;b;c': 200_000_000n,
    a: 300_000_000n,
  })
})

test('several profiles are told apart by unit and name; equal ones are one', () => {
  const profiles = read(
    file(sampled('seconds'), sampled('seconds', { name: 'q' }), sampled('bytes'), sampled('none'), sampled('seconds')),
    'app.cpu',
  )
  assert.deepEqual(
    profiles.map(({ type, service, profileName, counts }) => [type, service, profileName, counts.a]),
    [
      ['wall:wall:nanoseconds', 'app.cpu', 'p', 6_000_000_000n],
      ['wall:wall:nanoseconds', 'app.cpu', 'q', 3_000_000_000n],
      ['memory:samples:bytes', 'app.cpu', 'p', 3n],
      ['process_cpu:samples:count', 'app.cpu', 'p', 3n],
    ],
  )
})

test('evented: time belongs to the frames that are open, to the end if they never close', () => {
  const events = [
    { type: 'O', frame: 0, at: 10 },
    { type: 'O', frame: 1, at: 12 },
    { type: 'C', frame: 1, at: 15 },
    { type: 'O', frame: 1, at: 15 },
  ]
  const profile = { type: 'evented', name: 'e', unit: 'nanoseconds', startValue: 0, endValue: 20, events }
  assert.deepEqual(read(file(profile))[0]!.counts, { a: 2n, 'a;b': 8n })
})

test('what is broken is named', () => {
  const evented = (events: object[]) => ({ type: 'evented', name: 'e', unit: 'none', startValue: 5, events })
  const cases: [Uint8Array, RegExp][] = [
    [new TextEncoder().encode('{'), /speedscope: /],
    [new TextEncoder().encode('[]'), /the file is not an object/],
    [new TextEncoder().encode('{"$schema":"https://example.com"}'), /Unknown schema: https:\/\/example.com/],
    [file(sampled('hours')), /unknown unit "hours"; known are nanoseconds/],
    [file(sampled('seconds', { samples: [[0, 3], [0], [0]] })), /Invalid frame 3: there are 3/],
    [file(sampled('seconds', { samples: [[-1], [0], [0]] })), /Invalid frame -1/],
    [file(sampled('seconds', { samples: [['0'], [0], [0]] })), /Invalid frame "0"/],
    [file(sampled('seconds', { weights: [1] })), /3 samples and 1 weights/],
    [file(sampled('seconds', { weights: [1, 2, null] })), /weights\[2\] is not a number/],
    [file(sampled('seconds', { weights: [1, 2, 1e300] })), /is too large/],
    [file({ ...sampled('seconds'), type: 'x' }), /unknown profile type "x"/],
    [file(evented([{ type: 'O', frame: 0, at: 4 }])), /events\[0\] lies before/],
    [file(evented([{ type: 'C', frame: 0, at: 6 }])), /closes frame 0/],
    [file(evented([{ type: 'X', frame: 0, at: 6 }])), /type is O or C/],
    [file(sampled('seconds', { name: 5 })), /name is not a text/],
    [file(...Array<object>(1_025).fill(sampled('none'))), /1025 profiles, 1024 are allowed/],
  ]
  for (const [body, message] of cases)
    assert.throws(
      () => read(body),
      (error: unknown) => error instanceof StackFault && message.test(error.message),
      String(message),
    )
  assert.throws(() => read(file(sampled('seconds')), 'my.app'), /unknown profile type: app/)
})

test('weights whose sum no number holds are a fault of the file', () => {
  const stacks = [[0], [0], [0]]
  for (const weights of [
    [1e308, 1e308, 1],
    [-1e308, -1e308, 1],
    [-1e308, 1, 1],
  ]) {
    assert.throws(() => read(file(sampled('seconds', { samples: stacks, weights }))), StackFault)
  }
})

test('property: sampled weights add up to what was written', () => {
  const sample = fc.tuple(fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }), fc.nat(1_000))
  fc.assert(
    fc.property(fc.array(sample), (samples) => {
      const expected: Record<string, bigint> = {}
      for (const [stack, weight] of samples) {
        const key = stack.map((i) => FRAMES[i]!.name).join(';')
        if (weight > 0) expected[key] = (expected[key] ?? 0n) + BigInt(weight) * 1_000n
      }
      const body = file(
        sampled('microseconds', { samples: samples.map(([s]) => s), weights: samples.map(([, w]) => w) }),
      )
      assert.deepEqual(read(body)[0]!.counts, expected)
    }),
    { numRuns: 60 },
  )
})
