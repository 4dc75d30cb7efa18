/**
 * Datasets for tests: `makeDataset` builds one from a readable spec, `arbitraryDataset` draws them by fast-check.
 * Both sort headers and rows as the contract in core/block/dataset.ts demands and compute totals from the rows.
 */
import fc from 'fast-check'
import type { Dataset, GroupRows, ProfileHeaders, SampleGroup } from '#core/block/dataset.ts'
import type { Labels } from '#core/labels/labels.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { allocateInt64Column, getBigInt, setBigInt, type Int64Column } from '#core/wire/int64.ts'

export interface SampleSpec {
  /** Function names, leaf first. Empty = the empty stack. */
  readonly stack: readonly string[]
  /** One per type of the group. */
  readonly values: readonly bigint[]
  readonly span?: bigint
  readonly trace?: readonly [high: bigint, low: bigint]
}

export interface ProfileSpec {
  readonly series: number
  readonly group: number
  readonly timeNanos: bigint
  readonly durationNanos?: bigint
  /** The id's last four bytes; the rest is 0. */
  readonly id: number
  readonly samples: readonly SampleSpec[]
}

export interface DatasetSpec {
  readonly tenant?: string
  readonly service?: string
  readonly windowStartMs?: number
  readonly windowMs?: number
  readonly series: readonly Labels[]
  readonly groups: readonly SampleGroup[]
  readonly profiles: readonly ProfileSpec[]
}

export const CPU_GROUP: SampleGroup = {
  types: [
    { type: 'samples', unit: 'count' },
    { type: 'cpu', unit: 'nanoseconds' },
  ],
  periodType: 'cpu',
  periodUnit: 'nanoseconds',
  period: 10_000_000n,
}

export function makeLabels(record: Readonly<Record<string, string>>): Labels {
  return Object.keys(record)
    .sort()
    .map((name) => ({ name, value: record[name]! }))
}

/** 2024-06-01T10:00:00Z. */
export const WINDOW_START_MS = 1_717_236_000_000
export const WINDOW_START_NANOS = BigInt(WINDOW_START_MS) * 1_000_000n

interface Row {
  readonly stackId: number
  readonly values: bigint[]
  readonly span: bigint
  readonly trace: readonly [bigint, bigint]
}

/** Functions, lines, addresses and mappings that follow from the name, so that equal names are equal frames. */
class SpecSymbols {
  readonly builder = new SymbolsBuilder()
  readonly #location = new Map<string, number>()

  string(text: string): number {
    const bytes = new TextEncoder().encode(text)
    return this.builder.strings.intern(bytes, 0, bytes.length)
  }

  stack(names: readonly string[]): number {
    const locations = Uint32Array.from(names, (name) => this.#locationOf(name))
    return this.builder.stacks.internStack(locations, 0, locations.length)
  }

  #locationOf(name: string): number {
    const known = this.#location.get(name)
    if (known !== undefined) return known
    const seed = [...name].reduce((sum, char) => sum + char.codePointAt(0)!, 0)
    const lineCount = seed % 7 === 0 ? 2 : 1
    const functionRow = this.builder.internFunction({
      name: this.string(name),
      systemName: seed % 5 === 0 ? this.string(`${name}.system`) : this.string(name),
      filename: this.string(`src/${name.length}.go`),
      startLineLo: seed,
      startLineHi: 0,
    })
    const mapping = this.builder.internMapping({
      startLo: 0x40_0000,
      startHi: 0,
      limitLo: 0x80_0000,
      limitHi: 1,
      offsetLo: 0,
      offsetHi: 0,
      filename: this.string('/bin/app'),
      buildId: this.string(`build-${seed % 2}`),
      flags: 15,
    })
    const location = this.builder.internLocation({
      mapping: seed % 3 === 0 ? 0 : mapping + 1,
      addressLo: (0x40_0000 + seed * 16) >>> 0,
      addressHi: seed % 4 === 0 ? 0xffff_ffff : 0,
      folded: seed % 11 === 0 ? 1 : 0,
      lineCount,
      lineFunction: Uint32Array.from([functionRow, functionRow]),
      lineLo: Uint32Array.from([seed + 3, seed + 9]),
      lineHi: Uint32Array.from([0, 0]),
    })
    this.#location.set(name, location)
    return location
  }
}

function compareBigInt(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function compareRows(a: Row, b: Row): number {
  return (
    a.stackId - b.stackId ||
    compareBigInt(a.span, b.span) ||
    compareBigInt(a.trace[0], b.trace[0]) ||
    compareBigInt(a.trace[1], b.trace[1])
  )
}

/** Equal (stack, span, trace) are one row. */
function uniqueRows(samples: readonly SampleSpec[], symbols: SpecSymbols): Row[] {
  const byKey = new Map<string, Row>()
  for (const sample of samples) {
    const stackId = symbols.stack(sample.stack)
    const span = sample.span ?? 0n
    const trace = sample.trace ?? [0n, 0n]
    const key = [stackId, span, ...trace].join()
    const known = byKey.get(key)
    if (known === undefined) byKey.set(key, { stackId, values: [...sample.values], span, trace })
    else sample.values.forEach((value, t) => (known.values[t] = BigInt.asUintN(63, known.values[t]! + value)))
  }
  return [...byKey.values()].sort(compareRows)
}

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => setBigInt(column, i, value))
  return column
}

function groupRows(rows: readonly Row[], group: SampleGroup): GroupRows {
  const hasContext = rows.some((row) => row.span !== 0n || row.trace[0] !== 0n || row.trace[1] !== 0n)
  return {
    rowCount: rows.length,
    stackId: Uint32Array.from(rows, (row) => row.stackId),
    values: group.types.map((_, t) => columnOf(rows.map((row) => row.values[t]!))),
    spanId: hasContext ? columnOf(rows.map((row) => row.span)) : undefined,
    traceIdHigh: hasContext ? columnOf(rows.map((row) => row.trace[0])) : undefined,
    traceIdLow: hasContext ? columnOf(rows.map((row) => row.trace[1])) : undefined,
  }
}

export function makeDataset(spec: DatasetSpec): Dataset {
  const symbols = new SpecSymbols()
  const profiles = [...spec.profiles].sort(
    (a, b) => a.group - b.group || a.series - b.series || compareBigInt(a.timeNanos, b.timeNanos) || a.id - b.id,
  )
  const rowsOfProfile = profiles.map((profile) => uniqueRows(profile.samples, symbols))
  const rowsOfGroup = spec.groups.map((_, g) => rowsOfProfile.filter((_rows, p) => profiles[p]!.group === g).flat())
  const typesMax = Math.max(0, ...spec.groups.map((group) => group.types.length))
  const rowStart = new Uint32Array(profiles.length)
  const seen = spec.groups.map(() => 0)
  profiles.forEach((profile, p) => {
    rowStart[p] = seen[profile.group]!
    seen[profile.group]! += rowsOfProfile[p]!.length
  })
  const profileId = new Uint8Array(profiles.length * 16)
  profiles.forEach((profile, p) => new DataView(profileId.buffer).setUint32(p * 16 + 12, profile.id))
  const total = (p: number, t: number): bigint =>
    rowsOfProfile[p]!.reduce((sum, row) => sum + (row.values[t] ?? 0n), 0n)
  const headers: ProfileHeaders = {
    count: profiles.length,
    profileId,
    group: Uint32Array.from(profiles, (profile) => profile.group),
    series: Uint32Array.from(profiles, (profile) => profile.series),
    timeNanos: columnOf(profiles.map((profile) => profile.timeNanos)),
    durationNanos: columnOf(profiles.map((profile) => profile.durationNanos ?? 0n)),
    totals: Array.from({ length: typesMax }, (_, t) => columnOf(profiles.map((_profile, p) => total(p, t)))),
    rowStart,
    rowLength: Uint32Array.from(rowsOfProfile, (rows) => rows.length),
  }
  return {
    tenant: spec.tenant ?? 'tenant-a',
    service: spec.service ?? 'checkout',
    windowStartMs: spec.windowStartMs ?? WINDOW_START_MS,
    windowMs: spec.windowMs ?? 3_600_000,
    symbols: symbols.builder.build(),
    series: spec.series,
    groups: spec.groups,
    rows: spec.groups.map((group, g) => groupRows(rowsOfGroup[g]!, group)),
    headers,
  }
}

const arbitraryName = fc.constantFrom(
  'main',
  'serve',
  'encode',
  'decode',
  'gc',
  'read',
  'write',
  'λ.apply',
  'net/http.(*conn)',
)
const arbitraryValue = fc.oneof(
  fc.nat({ max: 40 }).map(BigInt),
  fc.nat({ max: 1000 }).map((n) => BigInt(n) * 10_000_000n),
  fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
)
const arbitraryContext = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record({
      span: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
      trace: fc.tuple(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.bigInt({ min: 0n, max: 3n })),
    }),
  },
)

function arbitrarySample(types: number, withContext: boolean): fc.Arbitrary<SampleSpec> {
  const sample = fc.record({
    stack: fc.array(arbitraryName, { maxLength: 5 }),
    values: fc.array(arbitraryValue, { minLength: types, maxLength: types }),
  })
  if (!withContext) return sample
  return fc.tuple(sample, arbitraryContext).map(([plain, context]) => ({ ...plain, ...context }))
}

function arbitraryProfile(groups: readonly SampleGroup[], seriesCount: number): fc.Arbitrary<ProfileSpec> {
  return fc.nat({ max: groups.length - 1 }).chain((group) =>
    fc.record({
      group: fc.constant(group),
      series: fc.nat({ max: seriesCount - 1 }),
      timeNanos: fc.bigInt({ min: WINDOW_START_NANOS, max: WINDOW_START_NANOS + 3_599_999_999_999n }),
      durationNanos: fc.constantFrom(0n, 15_000_000_000n),
      id: fc.nat(),
      samples: fc.array(arbitrarySample(groups[group]!.types.length, group === 1), { maxLength: 8 }),
    }),
  )
}

export const ARBITRARY_GROUPS: readonly SampleGroup[] = [
  CPU_GROUP,
  { types: [{ type: 'wall', unit: 'nanoseconds' }], periodType: '', periodUnit: '', period: -1n },
  {
    types: ['alloc_objects', 'alloc_space', 'inuse_objects'].map((type) => ({ type, unit: 'count' })),
    periodType: 'space',
    periodUnit: 'bytes',
    period: 524_288n,
  },
]

/** Up to three groups, four series and twelve profiles in one hour; spans and traces in group 1 alone. */
export function arbitraryDataset(): fc.Arbitrary<Dataset> {
  const shape = fc.record({ groupCount: fc.integer({ min: 1, max: 3 }), seriesCount: fc.integer({ min: 1, max: 4 }) })
  return shape.chain(({ groupCount, seriesCount }) => {
    const groups = ARBITRARY_GROUPS.slice(0, groupCount)
    const series = Array.from({ length: seriesCount }, (_, i) => makeLabels({ pod: `pod-${i}`, region: 'eu' }))
    return fc
      .array(arbitraryProfile(groups, seriesCount), { minLength: 1, maxLength: 12 })
      .map((profiles) => makeDataset({ series, groups, profiles }))
  })
}

function plainColumn(column: Int64Column | undefined, count: number): string[] | undefined {
  if (column === undefined) return undefined
  return Array.from({ length: count }, (_, i) => String(getBigInt(column, i)))
}

function plainSymbols(symbols: Symbols): unknown {
  const text = new TextDecoder()
  const string = (i: number): string =>
    text.decode(symbols.stringBytes.subarray(symbols.stringOffset[i], symbols.stringOffset[i + 1]))
  return {
    strings: Array.from({ length: symbols.stringCount }, (_, i) => string(i)),
    functions: [
      [...symbols.functionName],
      [...symbols.functionSystemName],
      [...symbols.functionFilename],
      plainColumn(symbols.functionStartLine, symbols.functionCount),
    ],
    mappings: [
      plainColumn(symbols.mappingStart, symbols.mappingCount),
      plainColumn(symbols.mappingLimit, symbols.mappingCount),
      plainColumn(symbols.mappingOffset, symbols.mappingCount),
      [...symbols.mappingFilename],
      [...symbols.mappingBuildId],
      [...symbols.mappingFlags],
    ],
    locations: [
      [...symbols.locationMapping],
      plainColumn(symbols.locationAddress, symbols.locationCount),
      [...symbols.locationFolded],
      [...symbols.locationLineStart],
      [...symbols.lineFunction],
      plainColumn(symbols.lineNumber, symbols.lineFunction.length),
    ],
    tree: [[...symbols.nodeParent], [...symbols.nodeLocation]],
    stacks: [...symbols.stackNode],
  }
}

/** Everything of a dataset as JSON values, for equality and golden dumps: int64 as text, ids as hex. */
export function plainDataset(dataset: Dataset): unknown {
  const { headers } = dataset
  const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return {
    tenant: dataset.tenant,
    service: dataset.service,
    windowStartMs: dataset.windowStartMs,
    windowMs: dataset.windowMs,
    series: dataset.series,
    groups: dataset.groups.map((group) => ({ ...group, period: String(group.period) })),
    headers: Array.from({ length: headers.count }, (_, h) => ({
      id: hex(headers.profileId.subarray(h * 16, h * 16 + 16)),
      group: headers.group[h],
      series: headers.series[h],
      timeNanos: String(getBigInt(headers.timeNanos, h)),
      durationNanos: String(getBigInt(headers.durationNanos, h)),
      totals: dataset.groups[headers.group[h]!]!.types.map((_type, t) => String(getBigInt(headers.totals[t]!, h))),
      rows: [headers.rowStart[h], headers.rowLength[h]],
    })),
    rows: dataset.rows.map((rows) => ({
      stackId: [...rows.stackId],
      values: rows.values.map((column) => plainColumn(column, rows.rowCount)),
      spanId: plainColumn(rows.spanId, rows.rowCount) ?? null,
      traceIdHigh: plainColumn(rows.traceIdHigh, rows.rowCount) ?? null,
      traceIdLow: plainColumn(rows.traceIdLow, rows.rowCount) ?? null,
    })),
    symbols: plainSymbols(dataset.symbols),
  }
}
