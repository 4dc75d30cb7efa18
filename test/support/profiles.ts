/**
 * Profiles for tests: a short spec, a seeded builder of real-shaped ones, a fast-check arbitrary, and the same profile
 * written in other legal ways. Everything is deterministic.
 */
import * as fc from 'fast-check'
import {
  encodePprof,
  type LocationModel,
  type MappingModel,
  type ProfileModel,
  type SampleLabelModel,
} from '#core/pprof/encode.ts'
import { ProtobufReader, ProtobufWriter, WIRE_LENGTH } from '#core/wire/protobuf.ts'

/** A function name, or name, file and line. */
export type FrameSpec = string | readonly [name: string, file: string, line: number]

export interface SampleSpec {
  /** Leaf first. */
  readonly stack: readonly FrameSpec[]
  readonly values: readonly (number | bigint)[]
  readonly labels?: Readonly<Record<string, string | number | bigint>>
}

export interface ProfileSpec {
  readonly types?: readonly (readonly [type: string, unit: string])[]
  readonly periodType?: readonly [type: string, unit: string]
  readonly period?: number | bigint
  readonly timeNanos?: bigint
  readonly durationNanos?: bigint
  readonly samples: readonly SampleSpec[]
}

const SPEC_MAPPING: MappingModel = { filename: 'app', hasFunctions: true }

/** Defaults: one type samples/count, one mapping that has functions. */
export function profileModel(spec: ProfileSpec): ProfileModel {
  const [periodType, periodUnit] = spec.periodType ?? ['cpu', 'nanoseconds']
  return {
    types: (spec.types ?? [['samples', 'count']]).map(([type, unit]) => ({ type, unit })),
    periodType: { type: periodType, unit: periodUnit },
    period: BigInt(spec.period ?? 10_000_000),
    timeNanos: spec.timeNanos ?? 0n,
    durationNanos: spec.durationNanos ?? 0n,
    samples: spec.samples.map((sample) => ({
      stack: sample.stack.map(locationOf),
      values: sample.values.map(BigInt),
      labels: Object.entries(sample.labels ?? {}).map(
        ([key, value]): SampleLabelModel =>
          typeof value === 'string' ? { key, value } : { key, number: BigInt(value) },
      ),
    })),
  }
}

export function buildPprof(spec: ProfileSpec): Uint8Array {
  return encodePprof(profileModel(spec))
}

function locationOf(frame: FrameSpec): LocationModel {
  const [name, filename, line] = typeof frame === 'string' ? ([frame, '', 0] as const) : frame
  return { mapping: SPEC_MAPPING, lines: [{ name, systemName: name, filename, line: BigInt(line) }] }
}

/** A small generator of numbers below 2^32 (mulberry32): same seed, same numbers, on every runtime. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

export interface RealShape {
  readonly seed?: number
  readonly samples?: number
  readonly functions?: number
  readonly depth?: number
}

/** Two types (samples, cpu time), stacks that share their roots, file names, lines and inlined frames, like a CPU profile. */
export function realShapedSpec({ seed = 1, samples = 300, functions = 120, depth = 24 }: RealShape = {}): ProfileSpec {
  const random = seededRandom(seed)
  const frame = (level: number): FrameSpec => {
    // Near the root few functions occur, near the leaf many: that is what makes stacks share prefixes.
    const id = random(Math.min(functions, 1 + level * 3))
    return [`github.com/acme/shop/pkg${id % 17}.(*Worker${id}).run`, `/src/pkg${id % 17}/worker.go`, 10 + (id % 5) * 7]
  }
  return {
    types: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    timeNanos: 1_700_000_000_000_000_000n,
    durationNanos: 10_000_000_000n,
    samples: Array.from({ length: samples }, () => {
      const length = 2 + random(depth)
      const count = 1 + random(40)
      const stack = Array.from({ length }, (_, i) => frame(length - i))
      return { stack, values: [count, count * 10_000_000] }
    }),
  }
}

const INT64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const UINT64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const TEXT = fc.oneof(
  fc.constantFrom('', 'a', 'main', 'größe', '関数', 'x'.repeat(200)),
  fc.string({ unit: 'grapheme' }),
)

/** Any profile that a decoder must read back exactly: all fields, all of int64, shared and distinct frames. */
export function arbitraryProfileSpec(): fc.Arbitrary<ProfileModel> {
  const mapping = fc.record({
    start: UINT64,
    limit: UINT64,
    offset: UINT64,
    filename: TEXT,
    buildId: TEXT,
    hasFunctions: fc.boolean(),
    hasFilenames: fc.boolean(),
    hasLineNumbers: fc.boolean(),
    hasInlineFrames: fc.boolean(),
  })
  const line = fc.record({ name: TEXT, systemName: TEXT, filename: TEXT, startLine: INT64, line: INT64 })
  const label = fc.oneof(
    fc.record({ key: TEXT, value: TEXT.filter((text) => text !== '') }),
    fc.record({ key: TEXT, number: INT64, unit: TEXT }),
  )
  const location = fc.oneof(
    fc.record({ mapping, address: UINT64, folded: fc.boolean(), lines: fc.array(line, { maxLength: 3 }) }),
    fc.record({ lines: fc.array(line, { maxLength: 2 }) }),
  )
  const valueType = fc.record({ type: TEXT, unit: TEXT })
  return fc.array(location, { minLength: 1, maxLength: 8 }).chain((locations) =>
    fc.array(valueType, { minLength: 1, maxLength: 4 }).chain((types) =>
      fc.record({
        types: fc.constant(types),
        periodType: valueType,
        period: INT64,
        timeNanos: INT64,
        durationNanos: INT64,
        defaultSampleType: TEXT,
        dropFrames: TEXT,
        keepFrames: TEXT,
        comments: fc.array(TEXT, { maxLength: 3 }),
        samples: fc.array(
          fc.record({
            stack: fc.array(fc.constantFrom(...locations), { maxLength: 12 }),
            values: fc.array(INT64, { minLength: types.length, maxLength: types.length }),
            labels: fc.array(label, { maxLength: 3 }),
          }),
          { maxLength: 12 },
        ),
      }),
    ),
  )
}

export type BuildMessage = (writer: ProtobufWriter) => void

export function message(build: BuildMessage): ProtobufWriter {
  const writer = new ProtobufWriter()
  build(writer)
  return writer
}

/** A pprof written field by field: one sample type before what `build` adds, the string table after it. */
export function byHand(build: BuildMessage, strings = ['', 'samples', 'count']): Uint8Array {
  const type = message((writer) => {
    writer.varintField(1, 1)
    writer.varintField(2, 2)
  })
  return message((writer) => {
    writer.messageField(1, type)
    build(writer)
    for (const text of strings) writer.stringField(6, text)
  }).copyBytes()
}

/** Fields of a message as they lie there: number, wire type, and the bytes with the tag. */
function splitFields(raw: Uint8Array): { field: number; wireType: number; bytes: Uint8Array; payload: Uint8Array }[] {
  const reader = new ProtobufReader(raw)
  const fields: { field: number; wireType: number; bytes: Uint8Array; payload: Uint8Array }[] = []
  for (let start = 0; reader.next(); start = reader.position) {
    const { field, wireType } = reader
    const payload = wireType === WIRE_LENGTH ? reader.bytes() : (reader.skip(), new Uint8Array(0))
    fields.push({ field, wireType, bytes: raw.slice(start, reader.position), payload })
  }
  if (reader.fault !== undefined) throw new Error(reader.fault)
  return fields
}

/**
 * The same profile, written as another encoder might: kinds of fields in another order (the order inside a kind is
 * meaning), repeated numbers unpacked, and unknown fields of every wire type in between.
 */
export function rewritePprof(raw: Uint8Array, seed: number): Uint8Array {
  const random = seededRandom(seed)
  const rank = Array.from({ length: 16 }, () => random(1_000_000))
  const fields = splitFields(raw)
  fields.sort((a, b) => rank[a.field]! - rank[b.field]!)
  const out = new ProtobufWriter()
  for (const { field, bytes, payload } of fields) {
    addUnknownField(out, random)
    if (field === 2) out.bytesField(2, unpackSample(payload, random))
    else if (field === 13) unpackVarints(out, 13, payload)
    else out.rawBytes(bytes)
  }
  addUnknownField(out, random)
  return out.copyBytes()
}

function unpackSample(sample: Uint8Array, random: (below: number) => number): Uint8Array {
  const out = new ProtobufWriter()
  for (const { field, bytes, payload } of splitFields(sample)) {
    if (field === 3 || random(3) === 0) out.rawBytes(bytes)
    else unpackVarints(out, field, payload)
    addUnknownField(out, random)
  }
  return out.copyBytes()
}

function unpackVarints(out: ProtobufWriter, field: number, packed: Uint8Array): void {
  const reader = new ProtobufReader(packed)
  while (reader.position < packed.length && reader.varint()) {
    out.tag(field, 0)
    out.varintBigInt(reader.uint64())
  }
}

function addUnknownField(out: ProtobufWriter, random: (below: number) => number): void {
  const field = 15 + random(1000)
  switch (random(6)) {
    case 0:
      return out.varintField(field, 1 + random(1_000_000))
    case 1:
      out.tag(field, 1)
      return out.fixed64(BigInt(random(2 ** 31)))
    case 2:
      out.tag(field, 5)
      return out.fixed32(random(2 ** 31))
    case 3:
      return out.bytesField(field, new Uint8Array(random(9)).fill(0xff))
  }
}
