/**
 * What was read of a recording as profiles: the columns that intake takes from a pprof, with one set of tables (strings,
 * functions, locations) for all profiles of the recording. They borrow the decoder's columns until its next recording.
 *
 * Stacks are written out once a sample, so a small recording could ask for much: their frames and labels have a bound.
 */
import { invalidArgument } from '../../errors.ts'
import { type DecodedProfile } from '../../pprof/profile.ts'
import { shortenStrings } from '../../pprof/string-table.ts'
import { MIB } from '../../units.ts'
import { allocateInt64Column, type Int64Column, setBigInt } from '../../wire/int64.ts'
import { MALFORMED_RECORDING } from './cursor.ts'
import { PROFILE_TYPES, type ProfileType } from './event-types.ts'
import type { Frames } from './frames.ts'
import type { LabelsSnapshot } from './labels-snapshot.ts'
import type { SampleTable } from './samples.ts'
import { CONTEXT_WORDS } from './contexts.ts'
import type { TupleRows } from './tuple-rows.ts'

/** Real recordings have two frames a byte at most (dense stacks of 200 frames, an event of 20 bytes in each context). */
const ROWS_FACTOR = 16
const ROWS_MIN = MIB

export interface RecordedProfile {
  /** The `__name__` of its series. */
  readonly name: string
  readonly profile: DecodedProfile
}

export interface ProfilesInput {
  readonly frames: Frames
  readonly contexts: TupleRows
  /** By row of `PROFILE_TYPES`. */
  readonly samples: readonly SampleTable[]
  readonly labels: LabelsSnapshot
  readonly recordingBytes: number
  readonly timeNanos: bigint
  readonly durationNanos: bigint
  readonly periodNanos: number
  /** 0 = all. */
  readonly maxStackDepth: number
  readonly maxSymbolBytes: number
}

/** Yields after each; the last has all strings, which is why none is of use before. */
export function* buildProfiles(input: ProfilesInput): Generator<void, readonly RecordedProfile[]> {
  const labels = new ContextLabels(input)
  const budget = { rows: ROWS_MIN + ROWS_FACTOR * input.recordingBytes }
  const parts: { readonly type: ProfileType; readonly columns: SampleColumns }[] = []
  for (const [i, type] of PROFILE_TYPES.entries()) {
    const table = input.samples[i]!
    if (table.count === 0) continue
    parts.push({ type, columns: buildSamples(input, { type, table, labels, budget }) })
    yield
  }
  const named = parts.map(({ type }) => typeStrings(input.frames, type))
  const tables = buildTables(input)
  return parts.map(({ type, columns }, i) => ({
    name: type.name,
    profile: { ...tables, ...columns, ...named[i]! },
  }))
}

function typeStrings({ strings }: Frames, { types, periodType }: ProfileType) {
  const rows = ({ type, unit }: { readonly type: string; readonly unit: string }) => ({
    type: strings.rowOf(type),
    unit: strings.rowOf(unit),
  })
  return { sampleTypes: types.map(rows), periodType: periodType === undefined ? undefined : rows(periodType) }
}

type Tables = Omit<DecodedProfile, keyof SampleColumns | 'sampleTypes' | 'periodType'>

function buildTables({ frames, timeNanos, durationNanos, maxSymbolBytes }: ProfilesInput): Tables {
  const { strings, functions, locations } = frames
  const functionCount = functions.count
  const locationCount = locations.count
  const stringCount = strings.start.count
  const table = {
    raw: strings.raw.array,
    stringCount,
    stringStart: strings.start.copy(),
    stringLength: strings.length.copy(),
  }
  const none = new Uint32Array(functionCount)
  const lineFunction = new Uint32Array(locationCount)
  const lineNumber = allocateInt64Column(locationCount)
  const locationLineStart = new Uint32Array(locationCount + 1)
  for (let i = 0; i < locationCount; i++) {
    lineFunction[i] = locations.values.array[2 * i]!
    lineNumber.lo[i] = locations.values.array[2 * i + 1]!
    locationLineStart[i + 1] = i + 1
  }
  const tables: Tables = {
    ...table,
    tableRuns: [],
    timeNanos,
    durationNanos,
    // Values are nanoseconds and bytes already: there is nothing to multiply by.
    period: 0n,
    defaultSampleType: 0,
    dropFrames: 0,
    keepFrames: 0,
    comments: [],
    functionCount,
    functionName: functions.array,
    functionSystemName: none,
    functionFilename: none,
    functionStartLine: allocateInt64Column(functionCount),
    ...ONE_MAPPING,
    locationCount,
    locationMapping: new Uint32Array(locationCount),
    locationAddress: allocateInt64Column(locationCount),
    locationFolded: new Uint8Array(locationCount),
    locationLineStart,
    lineFunction,
    lineNumber,
    zeroFunctionIds: 0,
    valueCountMismatches: 0,
  }
  if (maxSymbolBytes > 0) shortenStrings(tables as DecodedProfile, maxSymbolBytes)
  return tables
}

const HAS_FUNCTIONS = 1
const ONE_MAPPING = {
  mappingCount: 1,
  mappingStart: allocateInt64Column(1),
  mappingLimit: allocateInt64Column(1),
  mappingOffset: allocateInt64Column(1),
  mappingFilename: new Uint32Array(1),
  mappingBuildId: new Uint32Array(1),
  mappingFlags: Uint8Array.of(HAS_FUNCTIONS),
}

type SampleColumns = Pick<
  DecodedProfile,
  | 'sampleCount'
  | 'sampleLocationStart'
  | 'sampleLocation'
  | 'sampleValue'
  | 'sampleLabelStart'
  | 'labelKey'
  | 'labelString'
  | 'labelNumber'
  | 'labelUnit'
  | 'sampleLabelsMax'
  | 'sampleDepthMax'
>

interface SamplesOf {
  readonly type: ProfileType
  readonly table: SampleTable
  readonly labels: ContextLabels
  /** Of all profiles of the recording. */
  readonly budget: { rows: number }
}

function buildSamples(input: ProfilesInput, { type, table, labels, budget }: SamplesOf): SampleColumns {
  const { stacks } = input.frames
  const { maxStackDepth } = input
  const count = table.count
  const sampleLocationStart = new Uint32Array(count + 1)
  const sampleLabelStart = new Uint32Array(count + 1)
  let sampleDepthMax = 0
  let sampleLabelsMax = 0
  for (let i = 0; i < count; i++) {
    const stack = table.stack.array[i]!
    const whole = stacks.start.array[stack + 1]! - stacks.start.array[stack]!
    const depth = maxStackDepth > 0 ? Math.min(whole, maxStackDepth) : whole
    const labelCount = labels.of(table.context.array[i]!).length / 2
    sampleLocationStart[i + 1] = sampleLocationStart[i]! + depth
    sampleLabelStart[i + 1] = sampleLabelStart[i]! + labelCount
    sampleDepthMax = Math.max(sampleDepthMax, depth)
    sampleLabelsMax = Math.max(sampleLabelsMax, labelCount)
    budget.rows -= depth + labelCount
    if (budget.rows < 0) throw tooManyRows(input.recordingBytes)
  }
  const sampleLocation = new Uint32Array(sampleLocationStart[count]!)
  const labelKey = new Uint32Array(sampleLabelStart[count]!)
  const labelString = new Uint32Array(sampleLabelStart[count]!)
  for (let i = 0; i < count; i++) {
    const start = sampleLocationStart[i]!
    const depth = sampleLocationStart[i + 1]! - start
    // The leaf comes first: a depth limit keeps the frames at the root.
    const end = stacks.start.array[table.stack.array[i]! + 1]!
    sampleLocation.set(stacks.values.array.subarray(end - depth, end), start)
    const pairs = labels.of(table.context.array[i]!)
    for (let k = 0, at = sampleLabelStart[i]!; k < pairs.length; k += 2, at++) {
      labelKey[at] = pairs[k]!
      labelString[at] = pairs[k + 1]!
    }
  }
  return {
    sampleCount: count,
    sampleLocationStart,
    sampleLocation,
    sampleValue: valuesOf(type, table, input.periodNanos),
    sampleLabelStart,
    labelKey,
    labelString,
    labelNumber: allocateInt64Column(labelKey.length),
    labelUnit: new Uint32Array(labelKey.length),
    sampleLabelsMax,
    sampleDepthMax,
  }
}

function valuesOf({ types, isSampled }: ProfileType, table: SampleTable, periodNanos: number): Int64Column {
  const width = types.length
  const values = allocateInt64Column(table.count * width)
  const { first, second } = table
  for (let i = 0; i < table.count; i++) {
    const lo = first.lo.array[i]!
    const hi = first.hi.array[i]!
    if (isSampled) setProduct(values, i, { lo, hi, factor: periodNanos })
    else {
      values.lo[i * width] = lo
      values.hi[i * width] = hi
    }
    if (width === 1) continue
    values.lo[i * width + 1] = second.lo.array[i]!
    values.hi[i * width + 1] = second.hi.array[i]!
  }
  return values
}

function setProduct(column: Int64Column, row: number, of: { lo: number; hi: number; factor: number }): void {
  const product = (of.hi * 2 ** 32 + of.lo) * of.factor
  if (product > Number.MAX_SAFE_INTEGER) {
    setBigInt(column, row, ((BigInt(of.hi) << 32n) | BigInt(of.lo)) * BigInt(of.factor))
    return
  }
  column.lo[row] = product % 2 ** 32
  column.hi[row] = Math.floor(product / 2 ** 32)
}

function tooManyRows(recordingBytes: number): Error {
  const allowed = ROWS_MIN + ROWS_FACTOR * recordingBytes
  return invalidArgument(
    `the JFR recording cannot be stored: frames and labels of its samples are more than ${allowed}, which is allowed for its ${recordingBytes} bytes`,
    MALFORMED_RECORDING,
  )
}

/** Name and string, name and string, by context. */
class ContextLabels {
  readonly #input: ProfilesInput
  readonly #pairs: (readonly number[] | undefined)[] = []

  constructor(input: ProfilesInput) {
    this.#input = input
  }

  of(context: number): readonly number[] {
    if (context === 0) return NO_LABELS
    return (this.#pairs[context] ??= this.#make(context))
  }

  #make(context: number): readonly number[] {
    const { contexts, frames, labels } = this.#input
    const { strings } = frames
    const at = context * CONTEXT_WORDS
    const word = (i: number): number => contexts.values.array[at + i]!
    const pairs: number[] = []
    for (const { name, value } of labels.labelsOf(word(0), word(1)) ?? NO_NAMES) {
      pairs.push(strings.rowOf(name), strings.rowOf(value))
    }
    const isSpan = (word(2) | word(3)) !== 0
    if (isSpan) pairs.push(strings.rowOf('profile_id'), strings.rowOf(hex(word(2), word(3))))
    const spanName = labels.string(word(4), word(5))
    if (spanName !== '') pairs.push(strings.rowOf('span_name'), strings.rowOf(spanName))
    const isTrace = (word(6) | word(7) | word(8) | word(9)) !== 0
    if (isTrace) pairs.push(strings.rowOf('trace_id'), strings.rowOf(hex(word(6), word(7)) + hex(word(8), word(9))))
    return pairs
  }
}

const NO_LABELS: readonly number[] = []
const NO_NAMES: readonly { readonly name: string; readonly value: string }[] = []

/** Sixteen digits. */
function hex(lo: number, hi: number): string {
  return hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')
}
