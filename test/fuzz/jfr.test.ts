/** The decoder of JFR recordings, with the form part that labels them, and the checks of what it makes. */
import { CinderError } from '#core/errors.ts'
import { RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { checkStrings } from '#core/pprof/string-table.ts'
import { validateProfile } from '#core/pprof/validate.ts'
import { type JfrChunk, type JfrEvent, type JfrFrame, writeJfr } from '../support/jfr-writer.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const NOW_MS = 1_700_000_000_000
const LABELS = [{ name: 'service_name', value: 'shop' }]

const STACKS: readonly JfrFrame[][] = [
  [
    ['app/Leaf', 'run', 12],
    ['app/Main$$Lambda$1/0x08', 'main', 300],
  ],
  [['libc.so', 'write', -1]],
]

const EVENTS: readonly JfrEvent[] = [
  { type: 'jdk.ActiveSetting', values: { name: 'event', value: 'wall' } },
  ...[
    'jdk.ExecutionSample',
    'profiler.WallClockSample',
    'jdk.ObjectAllocationInNewTLAB',
    'jdk.JavaMonitorEnter',
    'jdk.ThreadPark',
    'profiler.LiveObject',
  ].flatMap((type) => STACKS.map((stack): JfrEvent => ({ type, stack }))),
  { type: 'jdk.GCPhasePause' },
]

const FORMS: readonly Omit<JfrChunk, 'events'>[] = [
  {},
  { isCompressed: false, strings: 'chars' },
  { strings: 'pool', firstKey: 2n ** 40n, checkpoints: 2, isPoolsFirst: true, ticksPerSecond: 3n },
]

/** LabelsSnapshot with one context and its strings. */
const SNAPSHOT = Uint8Array.of(0x0a, 0x0a, 8, 1, 18, 6, 10, 4, 8, 1, 16, 2, 18, 5, 8, 1, 18, 1, 0x61)

/** One for all inputs, as a shard has it: what an input leaves behind meets the next. */
const decoder = new RecordingDecoder()

function read(bytes: Uint8Array, labels: Uint8Array): string {
  const { event, profiles } = decoder.decode({
    bytes,
    labels,
    timeNanos: BigInt(NOW_MS) * 1_000_000n,
    durationNanos: 1n,
    sampleRate: 100,
    maxSamples: 16_000,
    maxStackDepth: 1_000,
    maxSymbolBytes: 65_535,
  })
  const outcomes = profiles.map(({ name, profile }) => {
    const fault = checkStrings(profile, 0)
    if (fault !== undefined) throw new Error(`a profile that no reader takes: ${fault}`)
    const invalid = validateProfile(profile, DEFAULT_LIMITS, NOW_MS)
    if (invalid !== undefined) return invalid.reason
    return `${name} ${Math.min(9, splitProfile(profile, LABELS, DEFAULT_LIMITS).series.length)}`
  })
  return `${event.length} ${outcomes.join(' ')}`
}

/** What a recording may ask for by few bytes has bounds of its own: names and rows of samples, 1 MiB of each and more. */
const MEMORY = { baseBytes: 6 * 1024 * 1024, multiple: 256 }

const RECORDING = writeJfr([
  { events: STACKS.map((stack) => ({ type: 'jdk.ExecutionSample', stack, values: { contextId: 1, spanName: 1 } })) },
])

const jfr: FuzzTarget = {
  name: 'jfr',
  seeds: [
    ...FORMS.map((form) => writeJfr([{ ...form, events: EVENTS }])),
    writeJfr(FORMS.map((form) => ({ ...form, events: EVENTS.slice(0, 3) }))),
    SNAPSHOT,
  ],
  words: ['STATE_SLEEPING', 'jdk.types.StackTrace', 'java.lang.String', 'constantPool', 'FLR\0'],
  // What does not begin as a recording is its labels.
  read: (input) => (input[0] === RECORDING[0] ? read(input, SNAPSHOT) : read(RECORDING, input)),
  isRefusal: (error) => error instanceof CinderError && error.kind === 'invalid_argument',
  memory: MEMORY,
}

fuzz([jfr])
