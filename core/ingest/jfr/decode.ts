/**
 * A JFR recording (async-profiler, JDK, whatever writes versions 1 and 2) to profiles, chunk by chunk:
 *
 * 1. a walk over the events finds metadata and checkpoints (chunks.ts);
 * 2. metadata says how values lie in the bytes (metadata.ts, layout.ts); checkpoints fill the pools (pools.ts);
 * 3. the events of the table (event-types.ts) are read in their order, and become samples: a stack (frames.ts), a context
 *    (contexts.ts) and one or two values, summed over events that are equal in both;
 * 4. samples become profiles (profiles.ts).
 *
 * Nothing is made for an event but numbers in columns. Counts are held against the bytes that are left, and what small
 * inputs could blow up has a bound. A fault is thrown, with its byte, and the whole recording is refused. The work comes in
 * slices, so that a loop can serve others between them.
 *
 * Must not: keep the recording, or read a clock (times come from the request, as agents mean it).
 */
import { CinderError } from '../../errors.ts'
import { MIB } from '../../units.ts'
import { CHUNK_HEADER_BYTES, type Chunk, findParts, readChunkHeader, readEventHeader, scaleTicks } from './chunks.ts'
import { beginContexts, contextOf } from './contexts.ts'
import { JfrCursor } from './cursor.ts'
import {
  CPU,
  EVENT_SLOTS,
  EVENT_TYPES,
  type EventType,
  PROFILE_TYPES,
  SAMPLES,
  SETTING_NAME,
  SETTING_VALUE,
  slotsOf,
  STACK_TRACE,
  STATE,
  VALUE,
  WALL,
} from './event-types.ts'
import { Frames } from './frames.ts'
import { LabelsSnapshot } from './labels-snapshot.ts'
import { Captured, type Layout, type Layouts } from './layout.ts'
import { MetadataCache } from './metadata-cache.ts'
import { ConstantPools, RUNNABLE, SLEEPING, SLICE_BYTES } from './pools.ts'
import { buildProfiles, type RecordedProfile } from './profiles.ts'
import { SampleTable } from './samples.ts'
import { TupleRows } from './tuple-rows.ts'

/** An agent sends one or two; a file of a day has hundreds. */
const CHUNKS_MAX = 4_096

/** Columns grown by a giant are dropped before the next recording, or one push would hold its memory for ever. */
const POOLED_BYTES_MAX = 32 * MIB

const NANOS_PER_SECOND = 1_000_000_000

export interface RecordingInput {
  readonly bytes: Uint8Array
  /** The part `labels`, inflated; empty if there is none. */
  readonly labels: Uint8Array
  readonly timeNanos: bigint
  readonly durationNanos: bigint
  /** Samples per second; 0 = not known, which makes times of sampled events 0. */
  readonly sampleRate: number
  /** Of one profile; 0 = any number. */
  readonly maxSamples: number
  /** 0 = all. */
  readonly maxStackDepth: number
  /** 0 = any. */
  readonly maxSymbolBytes: number
}

export interface Recording {
  /** What the profiler sampled, as it says itself: cpu, itimer, wall, …; empty if it does not. */
  readonly event: string
  /** Borrowed until the next recording. */
  readonly profiles: readonly RecordedProfile[]
}

interface EventReader {
  readonly type: EventType
  readonly layout: Layout
}

class Tables {
  readonly cursor = new JfrCursor()
  readonly pools = new ConstantPools()
  readonly frames = new Frames()
  readonly contexts = new TupleRows()
  readonly samples = PROFILE_TYPES.map(() => new SampleTable())

  begin(bytes: Uint8Array): void {
    this.cursor.begin(bytes, 0, bytes.length)
    this.frames.begin(bytes.length)
    beginContexts(this.contexts)
    for (const table of this.samples) table.begin()
  }

  get sizeBytes(): number {
    const samples = this.samples.reduce((sum, table) => sum + table.sizeBytes, 0)
    return samples + this.frames.sizeBytes + this.contexts.sizeBytes + this.pools.sizeBytes
  }
}

export class RecordingDecoder {
  readonly #metadata = new MetadataCache()
  readonly #captured = new Captured(EVENT_SLOTS)
  /** Of a value, while it is worked on. */
  readonly #lanes = { lo: 0, hi: 0 }
  #tables = new Tables()
  #event = ''
  #samplesMax = 0

  /** In one go. Fails with `invalid_argument`. */
  decode(input: RecordingInput): Recording {
    const steps = this.decodeInSlices(input)
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }

  /** Yields between slices. One recording at a time. */
  *decodeInSlices(input: RecordingInput): Generator<void, Recording> {
    const { bytes } = input
    if (this.#tables.sizeBytes > POOLED_BYTES_MAX) this.#tables = new Tables()
    const tables = this.#tables
    const { cursor } = tables
    this.#event = ''
    this.#samplesMax = input.maxSamples || Number.POSITIVE_INFINITY
    const labels = new LabelsSnapshot(input.labels)
    tables.begin(bytes)
    if (bytes.length === 0) cursor.fail('it has no bytes')
    let chunks = 0
    for (let start = 0; start < bytes.length; ) {
      if (++chunks > CHUNKS_MAX) cursor.fail(`it has more than ${CHUNKS_MAX} chunks`)
      const chunk = readChunkHeader(cursor, start)
      yield* this.#readChunk(chunk)
      start = chunk.end
    }
    const profiles = yield* buildProfiles({
      frames: tables.frames,
      contexts: tables.contexts,
      samples: tables.samples,
      labels,
      recordingBytes: bytes.length,
      timeNanos: input.timeNanos,
      durationNanos: input.durationNanos,
      periodNanos: input.sampleRate > 0 ? Math.trunc(NANOS_PER_SECOND / input.sampleRate) : 0,
      maxStackDepth: input.maxStackDepth,
      maxSymbolBytes: input.maxSymbolBytes,
    })
    return { event: this.#event, profiles }
  }

  *#readChunk(chunk: Chunk): Generator<void> {
    const { cursor, pools, frames } = this.#tables
    cursor.isCompressed = chunk.isCompressed
    const { metadata, checkpoints } = findParts(cursor, chunk)
    cursor.begin(cursor.bytes, metadata.start, metadata.end)
    const layouts = this.#metadata.layoutsOf(cursor)
    yield
    cursor.begin(cursor.bytes, chunk.start, chunk.end)
    pools.begin(cursor, layouts)
    for (const { start, end } of checkpoints) {
      cursor.begin(cursor.bytes, start, end)
      yield* pools.readCheckpoint()
    }
    frames.beginChunk(cursor, pools)
    const readers = readersOf(layouts, cursor)
    cursor.begin(cursor.bytes, chunk.start + CHUNK_HEADER_BYTES, chunk.end)
    let sliceEnd = cursor.at + SLICE_BYTES
    while (cursor.at < chunk.end) {
      const end = readEventHeader(cursor)
      const reader = readers.get(cursor.hi * 2 ** 32 + cursor.lo)
      if (reader !== undefined) this.#readEvent(reader, { layouts, chunk, end })
      cursor.at = end
      if (end < sliceEnd) continue
      sliceEnd = end + SLICE_BYTES
      yield
    }
  }

  #readEvent({ type, layout }: EventReader, of: { layouts: Layouts; chunk: Chunk; end: number }): void {
    const { cursor, pools, frames, contexts } = this.#tables
    const captured = this.#captured
    const { lo, hi } = captured
    of.layouts.read(cursor, layout, captured)
    cursor.expectWithin(of.end, `an event ${type.name}`)
    if (type.role === 'setting') {
      this.#readSetting()
      return
    }
    const stack = frames.stackOf(lo[STACK_TRACE]!, hi[STACK_TRACE]!)
    if (stack < 0) return
    const context = contextOf(contexts, captured)
    if (type.role === 'counted') {
      this.#count(type, of.chunk, { stack, context })
      return
    }
    const isWall = this.#event === 'wall'
    const state = pools.stateOf(lo[STATE]!, hi[STATE]!)
    if (type.role === 'execution') {
      if (state !== SLEEPING) this.#addFirst(CPU, { stack, context })
      if (isWall) this.#addFirst(WALL, { stack, context })
      return
    }
    this.#addFirst(WALL, { stack, context }, lo[SAMPLES])
    if (isWall && state === RUNNABLE) this.#addFirst(CPU, { stack, context }, lo[SAMPLES])
  }

  #addFirst(profile: number, at: { stack: number; context: number }, samples = 1): void {
    const table = this.#tables.samples[profile]!
    const row = table.rowOf(at.stack, at.context)
    if (row >= this.#samplesMax) throw tooManySamples(profile, this.#samplesMax)
    table.addFirst(row, samples, 0)
  }

  #count({ profile, isTicks, valueField }: EventType, chunk: Chunk, at: { stack: number; context: number }): void {
    const table = this.#tables.samples[profile]!
    const row = table.rowOf(at.stack, at.context)
    if (row >= this.#samplesMax) throw tooManySamples(profile, this.#samplesMax)
    table.addFirst(row, 1, 0)
    if (valueField === '') return
    const lanes = this.#lanes
    lanes.lo = this.#captured.lo[VALUE]!
    lanes.hi = this.#captured.hi[VALUE]!
    if (isTicks) scaleTicks(lanes, chunk.ticksPerSecond)
    table.addSecond(row, lanes.lo, lanes.hi)
  }

  #readSetting(): void {
    const { cursor, pools } = this.#tables
    if (pools.text(cursor, this.#captured, SETTING_NAME) !== 'event') return
    this.#event = pools.text(cursor, this.#captured, SETTING_VALUE)
  }
}

/** Before the rest of them is held: a sample in a context of its own takes ten times its bytes. */
function tooManySamples(profile: number, allowed: number): CinderError {
  const { name, types } = PROFILE_TYPES[profile]!
  return new CinderError(
    'invalid_argument',
    `the profile ${name} (${types[0]!.type}) of the recording exceeds the samples count limit (maxSamples, actual: more than ${allowed}, limit: ${allowed})`,
    { reason: 'samples_limit' },
  )
}

function readersOf(layouts: Layouts, cursor: JfrCursor): ReadonlyMap<number, EventReader> {
  const readers = new Map<number, EventReader>()
  for (const type of EVENT_TYPES) {
    const of = layouts.classNamed(type.name)
    if (of !== undefined) readers.set(of.id, { type, layout: layouts.of(of, slotsOf(type), cursor) })
  }
  return readers
}
