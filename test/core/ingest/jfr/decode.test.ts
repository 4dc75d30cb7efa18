/** Recordings to profiles: each event of the table, each choice of a writer, and faults that name their place. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { type Recording, RecordingDecoder, type RecordingInput } from '#core/ingest/jfr/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { getBigInt } from '#core/wire/int64.ts'
import {
  type JfrChunk,
  type JfrEvent,
  type JfrFrame,
  jfrOf,
  type JfrStrings,
  writeJfr,
} from '../../../support/jfr-writer.ts'

const SETTINGS = {
  labels: new Uint8Array(0),
  timeNanos: 5n,
  durationNanos: 7n,
  sampleRate: 100,
  maxSamples: 0,
  maxStackDepth: 1_000,
  maxSymbolBytes: 0,
}

function decode(bytes: Uint8Array, settings: Partial<RecordingInput> = {}): Recording {
  return new RecordingDecoder().decode({ bytes, ...SETTINGS, ...settings })
}

/** `name:type/unit,… period` to its samples: `root;…;leaf:line {labels}` to values. */
function plain({ profiles }: Recording): Record<string, Record<string, string>> {
  return Object.fromEntries(
    profiles.map(({ name, profile }) => {
      const typeText = (of: { type: number; unit: number } | undefined): string =>
        of === undefined ? '' : `${stringAt(profile, of.type)}/${stringAt(profile, of.unit)}`
      const header = `${name}:${profile.sampleTypes.map(typeText).join(',')} ${typeText(profile.periodType)}`
      return [header, samplesOf(profile)]
    }),
  )
}

function samplesOf(profile: DecodedProfile): Record<string, string> {
  const samples: [string, string][] = []
  for (let i = 0; i < profile.sampleCount; i++) {
    const rows = profile.sampleLocation.subarray(profile.sampleLocationStart[i], profile.sampleLocationStart[i + 1])
    const frames = Array.from(rows, (row) => {
      const line = profile.locationLineStart[row]!
      const name = stringAt(profile, profile.functionName[profile.lineFunction[line]!]!)
      return `${name}:${getBigInt(profile.lineNumber, line)}`
    })
    const labels: string[] = []
    for (let at = profile.sampleLabelStart[i]!; at < profile.sampleLabelStart[i + 1]!; at++) {
      labels.push(`${stringAt(profile, profile.labelKey[at]!)}=${stringAt(profile, profile.labelString[at]!)}`)
    }
    const width = profile.sampleTypes.length
    const values = Array.from({ length: width }, (_, t) => String(getBigInt(profile.sampleValue, i * width + t)))
    const key = `${frames.reverse().join(';')}${labels.length === 0 ? '' : ` {${labels.join(',')}}`}`
    assert.ok(!samples.some(([other]) => other === key), `${key} is one sample`)
    samples.push([key, values.join(',')])
  }
  return Object.fromEntries(samples)
}

const STACK: JfrFrame[] = [
  ['app/Leaf', 'run', 12],
  ['app/Main', 'main', 3],
]
const TEXT = 'app/Main.main:3;app/Leaf.run:12'
const CPU = 'process_cpu:cpu/nanoseconds cpu/nanoseconds'
const WALL = 'wall:wall/nanoseconds wall/nanoseconds'

function sample(type: string, values: JfrEvent['values'] = {}, stack: readonly JfrFrame[] = STACK): JfrEvent {
  return { type, stack, values: { contextId: 0, spanId: 0, spanName: 0, traceIdHi: 0, traceIdLo: 0, ...values } }
}

const execution = (values: JfrEvent['values'] = {}): JfrEvent => sample('jdk.ExecutionSample', values)
const setting = (name: string, value: string): JfrEvent => ({ type: 'jdk.ActiveSetting', values: { name, value } })

describe('events become profiles', () => {
  const table: readonly (readonly [string, JfrEvent[], Record<string, Record<string, string>>])[] = [
    ['samples of CPU are periods', [execution(), execution()], { [CPU]: { [TEXT]: '20000000' } }],
    ['a sleeping thread uses none', [execution({ state: 'STATE_SLEEPING' })], {}],
    [
      'while the event is wall, every sample is one of wall time, in any state',
      [setting('event', 'wall'), execution(), execution({ state: 'STATE_SLEEPING' })],
      { [CPU]: { [TEXT]: '10000000' }, [WALL]: { [TEXT]: '20000000' } },
    ],
    [
      'samples of wall time come many in one',
      [sample('profiler.WallClockSample', { samples: 7 })],
      { [WALL]: { [TEXT]: '70000000' } },
    ],
    [
      'those of a running thread are CPU too, if wall time is all that is sampled',
      [
        setting('event', 'wall'),
        sample('profiler.WallClockSample', { samples: 7 }),
        sample('profiler.WallClockSample', { samples: 2, state: 'STATE_SLEEPING' }),
      ],
      { [CPU]: { [TEXT]: '70000000' }, [WALL]: { [TEXT]: '90000000' } },
    ],
    [
      'many samples in one leave later counts alone',
      [sample('profiler.WallClockSample', { samples: 7 }), sample('profiler.LiveObject')],
      { [WALL]: { [TEXT]: '70000000' }, 'memory:live/count objects/count': { [TEXT]: '1' } },
    ],
    [
      'allocations inside of TLABs count the TLAB',
      [sample('jdk.ObjectAllocationInNewTLAB', { tlabSize: 1024, allocationSize: 16 })],
      {
        'memory:alloc_in_new_tlab_objects/count,alloc_in_new_tlab_bytes/bytes space/bytes': { [TEXT]: '1,1024' },
      },
    ],
    [
      'those outside the object',
      [
        sample('jdk.ObjectAllocationOutsideTLAB', { allocationSize: 16 }),
        sample('jdk.ObjectAllocationOutsideTLAB', { allocationSize: 2n ** 40n }),
      ],
      {
        'memory:alloc_outside_tlab_objects/count,alloc_outside_tlab_bytes/bytes space/bytes': {
          [TEXT]: `2,${2n ** 40n + 16n}`,
        },
      },
    ],
    [
      'sampled ones their weight',
      [sample('jdk.ObjectAllocationSample', { weight: 99 })],
      { 'memory:alloc_sample_objects/count,alloc_sample_bytes/bytes space/bytes': { [TEXT]: '1,99' } },
    ],
    [
      'monitors',
      [sample('jdk.JavaMonitorEnter', { duration: 30 }), sample('jdk.JavaMonitorEnter', { duration: 12 })],
      { 'mutex:contentions/count,delay/nanoseconds mutex/count': { [TEXT]: '2,42' } },
    ],
    [
      'parked threads',
      [sample('jdk.ThreadPark', { duration: 30 })],
      { 'block:contentions/count,delay/nanoseconds block/count': { [TEXT]: '1,30' } },
    ],
    [
      'native memory has no period',
      [sample('profiler.Malloc', { size: 4096 })],
      { 'memory:malloc_objects/count,malloc_bytes/bytes ': { [TEXT]: '1,4096' } },
    ],
    ['other events are passed over', [{ type: 'jdk.GCPhasePause' }, execution()], { [CPU]: { [TEXT]: '10000000' } }],
    ['a sample without a stack is none', [{ type: 'jdk.ExecutionSample' }], {}],
  ]
  for (const [title, events, expected] of table) {
    test(title, () => assert.deepEqual(plain(decode(jfrOf(...events))), expected))
  }

  test('without a rate the time of samples is not known (H9)', () => {
    assert.deepEqual(plain(decode(jfrOf(execution()), { sampleRate: 0 })), { [CPU]: { [TEXT]: '0' } })
  })

  test('a recording without samples has no profiles (H9)', () => {
    assert.deepEqual(decode(jfrOf()), { event: '', profiles: [] })
  })

  test('what was sampled is the last setting of its name', () => {
    const { event } = decode(jfrOf(setting('event', 'cpu'), setting('interval', '10'), setting('event', 'itimer')))
    assert.equal(event, 'itimer')
  })

  test('times come from the request', () => {
    const { profile } = decode(jfrOf(execution())).profiles[0]!
    assert.equal(profile.timeNanos, 5n)
    assert.equal(profile.durationNanos, 7n)
  })

  test('durations are scaled by the clock of their chunk', () => {
    const park = (duration: bigint): JfrEvent => sample('jdk.ThreadPark', { duration })
    const of = (ticksPerSecond: bigint, duration: bigint): string =>
      Object.values(Object.values(plain(decode(writeJfr([{ events: [park(duration)], ticksPerSecond }]))))[0]!)[0]!
    assert.equal(of(2_800_000_000n, 2_800_000_000n), '1,1000000000')
    assert.equal(of(1_000n, 1n), '1,1000000')
    assert.equal(of(3_000_000_000n, 10n), '1,3')
    assert.equal(of(1_000_000_000n, 2n ** 62n), `1,${2n ** 62n}`)
    assert.equal(of(2_000_000_000n, 2n ** 60n), `1,${2n ** 59n}`)
  })
})

describe('contexts', () => {
  /** LabelsSnapshot of contexts (name and value by number) and strings. */
  function snapshot(contexts: Record<number, [number, number][]>, strings: Record<number, string>): Uint8Array {
    const out = new ProtobufWriter()
    for (const [id, labels] of Object.entries(contexts)) {
      const context = new ProtobufWriter()
      for (const [name, value] of labels) {
        const label = new ProtobufWriter()
        label.varintField(1, name)
        label.varintField(2, value)
        context.messageField(1, label)
      }
      const entry = new ProtobufWriter()
      entry.varintField(1, Number(id))
      entry.messageField(2, context)
      out.messageField(1, entry)
    }
    for (const [id, text] of Object.entries(strings)) {
      const entry = new ProtobufWriter()
      entry.varintField(1, Number(id))
      entry.stringField(2, text)
      out.messageField(2, entry)
    }
    return out.copyBytes()
  }

  test('labels, span and trace become labels of the sample; equal ones are summed', () => {
    const labels = snapshot({ 1: [[10, 11]], 2: [[10, 12]] }, { 10: 'path', 11: '/a', 12: '/b', 20: 'GET /a' })
    const spanned = { contextId: 1, spanId: 0xabc, spanName: 20, traceIdHi: 1, traceIdLo: 2n ** 63n }
    const events = [execution({ contextId: 1 }), execution({ contextId: 2 }), execution({ contextId: 1 })]
    const recording = decode(jfrOf(...events, execution(spanned), execution({ contextId: 9 })), { labels })
    const trace = `trace_id=0000000000000001${(2n ** 63n).toString(16)}`
    assert.deepEqual(plain(recording), {
      [CPU]: {
        [`${TEXT} {path=/a}`]: '20000000',
        [`${TEXT} {path=/b}`]: '10000000',
        [`${TEXT} {path=/a,profile_id=0000000000000abc,span_name=GET /a,${trace}}`]: '10000000',
        [TEXT]: '10000000',
      },
    })
  })

  test('a span needs no labels part, its name does', () => {
    const recording = decode(jfrOf(execution({ spanId: 2n ** 64n - 1n, spanName: 20 })))
    assert.deepEqual(plain(recording), { [CPU]: { [`${TEXT} {profile_id=ffffffffffffffff}`]: '10000000' } })
  })
})

const arbitraryStack = fc.array(
  fc.tuple(
    fc.constantFrom('a/A', 'b/B', 'c/C$$Lambda$7/0x08', 'größe/Ä'),
    fc.constantFrom('run', 'call', '<init>'),
    fc.constantFrom(0, 1, 300, 70_000),
  ),
  { maxLength: 6 },
) as fc.Arbitrary<JfrFrame[]>

const arbitraryEvent: fc.Arbitrary<JfrEvent> = fc.oneof(
  fc
    .tuple(arbitraryStack, fc.constantFrom(0, 5))
    .map(([stack, spanId]) => sample('jdk.ExecutionSample', { spanId }, stack)),
  fc
    .tuple(arbitraryStack, fc.bigInt(0n, 2n ** 50n))
    .map(([stack, duration]) => sample('jdk.ThreadPark', { duration }, stack)),
)

const arbitraryForm: fc.Arbitrary<Omit<JfrChunk, 'events'>> = fc.record({
  isCompressed: fc.boolean(),
  strings: fc.constantFrom<JfrStrings>('utf8', 'latin1', 'chars', 'pool'),
  firstKey: fc.constantFrom(0n, 1n, 127n, 100_000n, 2n ** 40n, 2n ** 63n),
  checkpoints: fc.integer({ min: 1, max: 3 }),
  isPoolsFirst: fc.boolean(),
})

test('property: how a recording is written, and how it is cut into chunks, changes nothing', () => {
  const decoder = new RecordingDecoder()
  fc.assert(
    fc.property(
      fc.array(arbitraryEvent, { maxLength: 12 }),
      fc.array(arbitraryForm, { minLength: 1, maxLength: 3 }),
      (events, forms) => {
        const expected = plain(decode(jfrOf(...events)))
        const share = Math.ceil(events.length / forms.length)
        const chunks = forms.map((form, i) => ({ ...form, events: events.slice(i * share, (i + 1) * share) }))
        const recording = decoder.decode({ ...SETTINGS, bytes: writeJfr(chunks) })
        assert.deepEqual(plain(recording), expected)
      },
    ),
    { numRuns: 30 },
  )
})

describe('limits', () => {
  test('a depth limit keeps the frames at the root', () => {
    const recording = decode(jfrOf(execution()), { maxStackDepth: 1 })
    assert.deepEqual(plain(recording), { [CPU]: { 'app/Main.main:3': '10000000' } })
  })

  test('a long name keeps its end', () => {
    const recording = decode(jfrOf(execution()), { maxSymbolBytes: 11 })
    assert.deepEqual(plain(recording), { [CPU]: { 'p/Main.main:3;pp/Leaf.run:12': '10000000' } })
  })

  test('a frame of a class that is not defined is left out', () => {
    const recording = decode(writeJfr([{ events: [execution()], undefinedClasses: ['app/Leaf'] }]))
    assert.deepEqual(plain(recording), { [CPU]: { 'app/Main.main:3': '10000000' } })
  })

  test('names of functions are bounded by the size of the recording', () => {
    const name = 'x'.repeat(60_000)
    const stack = Array.from({ length: 300 }, (_, i): JfrFrame => [name, `m${i}`, 1])
    assert.throws(() => decode(jfrOf(sample('jdk.ExecutionSample', {}, stack))), /names of functions pass \d+ bytes/)
  })

  test('frames of samples are bounded by the size of the recording', () => {
    const stack = Array.from({ length: 1_000 }, (_, i): JfrFrame => ['a', 'b', i])
    const events = Array.from({ length: 2_000 }, (_, i) => sample('jdk.ExecutionSample', { spanId: i + 1 }, stack))
    assert.throws(() => decode(jfrOf(...events)), /frames and labels of its samples are more than \d+/)
  })

  test('samples of a profile are bounded while they are read', () => {
    const events = [1, 2, 3].map((spanId) => execution({ spanId }))
    assert.throws(() => decode(jfrOf(...events), { maxSamples: 2 }), {
      reason: 'samples_limit',
      message: /process_cpu \(cpu\) .* \(maxSamples, actual: more than 2, limit: 2\)/,
    })
    assert.equal(decode(jfrOf(...events), { maxSamples: 3 }).profiles.length, 1)
  })

  test('work comes in slices', () => {
    const stacks = Array.from({ length: 6_000 }, (_, i): JfrFrame[] => [['a/A', `m${i}`, i]])
    const bytes = jfrOf(...stacks.map((stack) => sample('jdk.ExecutionSample', {}, stack)))
    const slices = [...new RecordingDecoder().decodeInSlices({ ...SETTINGS, bytes })]
    assert.ok(slices.length >= 4, `${slices.length} slices of ${bytes.length} bytes`)
  })
})

describe('faults', () => {
  const bytes = jfrOf(execution())
  const changed = (at: number, byte: number): Uint8Array => {
    const copy = bytes.slice()
    copy[at] = byte
    return copy
  }
  const table: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['no bytes', new Uint8Array(0), /it has no bytes/],
    ['another format', changed(0, 0xb9), /begins with b94c5200, which is not "FLR"/],
    ['an old version', changed(5, 0), /version 0, known are 1 and 2/],
    ['a cut header', bytes.slice(0, 60), /has 60 bytes, its header alone has 68/],
    ['a cut chunk', bytes.slice(0, 900), /is cut: it says that it has \d+ bytes, 900 are left/],
    ['an unfinished chunk', changed(14, 0).fill(0, 8, 16), /was not finished/],
    ['something behind the last chunk', Buffer.concat([bytes, Uint8Array.of(1)]), /has 1 bytes, its header/],
    ['an event that passes its chunk', changed(68, 0xff), /the event at byte \d+ has \d+ bytes, \d+ are left/],
  ]
  for (const [title, input, message] of table) {
    test(`${title} is an invalid_argument that names it`, () => {
      assert.throws(
        () => decode(input),
        (error: unknown) => {
          assert.ok(error instanceof CinderError)
          assert.equal(error.kind, 'invalid_argument')
          assert.equal(error.reason, 'malformed_profile')
          assert.match(error.message, message)
          return true
        },
      )
    })
  }

  test('a decoder that met a fault reads the next recording', () => {
    const decoder = new RecordingDecoder()
    assert.throws(() => decoder.decode({ ...SETTINGS, bytes: bytes.slice(0, 900) }))
    assert.deepEqual(plain(decoder.decode({ ...SETTINGS, bytes })), { [CPU]: { [TEXT]: '10000000' } })
  })

  test('labels that are no message are named', () => {
    assert.throws(() => decode(bytes, { labels: new TextEncoder().encode('not protobuf') }), /form part "labels"/)
  })
})
