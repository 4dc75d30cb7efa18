/**
 * From one dataset to partial answers, without I/O: which headers a query selects, which bytes that needs, and what
 * they add to a tree or to time series.
 *
 *   selectProfiles(head, query)        headers by type
 *   planStacktraces(head, profiles)    rollups and samples that answer a flame graph (stacktrace-plan.ts)
 *   stacktracesRanges(plan)            what to read for it (time series need the head alone)
 *   addStacktraces / addProfile / addTimeSeries     the partial answer
 */
import { assert } from '../assert.ts'
import type { ByteRange } from '../block/coalesce.ts'
import {
  type DatasetHead,
  decodeFrameColumns,
  decodeFunctionSymbols,
  decodeRollupColumns,
  decodeSymbols,
  type FetchedRanges,
  type Frame,
  planDatasetRead,
  type ReadNeed,
  selectFrames,
  selectHeaders,
  selectRollupFrames,
  sumFrameRows,
} from '../block/read.ts'
import { findSection } from '../block/section-table.ts'
import { floorMs } from '../block/write.ts'
import type { FunctionTree } from '../flamegraph/tree.ts'
import { buildFunctionLevel } from '../symbols/function-level.ts'
import { StringTable } from '../symbols/string-table.ts'
import type { Symbols } from '../symbols/symbols.ts'
import type { NamedStacks } from './call-site.ts'
import type { RowTest } from './sample-selector.ts'
import { selectSeries, type SelectedType, type SeriesQuery } from './select-series.ts'
import type { StackProfile } from './stack-profile.ts'
import type { StackTest } from './stack-test.ts'
import { StackSums } from './stack-sums.ts'
import type { StacktracePlan, StacktraceSource } from './stacktrace-plan.ts'
import { type StepRange, stepIndexOf, type TimeSeriesBuilder } from './time-series.ts'
import { addWhole } from './whole-dataset.ts'

export interface ProfileQuery extends SeriesQuery {
  /** Inclusive. */
  readonly startMs: number
  readonly endMs: number
  /** The dataset's skip list. */
  readonly skip: readonly number[]
}

export interface SelectedProfiles {
  readonly selected: SelectedType
  /** Header positions, ascending. */
  readonly positions: Uint32Array
}

/** One entry per (group, type) that has a profile to read; empty if the dataset has nothing for the query. */
export function selectProfiles(head: DatasetHead, query: ProfileQuery): SelectedProfiles[] {
  const profiles: SelectedProfiles[] = []
  const { series, groups, descriptor } = head
  for (const selected of selectSeries({ series, groups, tenant: descriptor.tenant }, query)) {
    const positions = selectHeaders(head, {
      columns: [{ group: selected.group, type: selected.type }],
      seriesMatches: (series) => selected.series[series] === 1,
      startMs: query.startMs,
      endMs: query.endMs,
      skip: query.skip,
    })
    if (positions.length > 0) profiles.push({ selected, positions })
  }
  return profiles
}

export function stacktracesRanges(plan: StacktracePlan): ByteRange[] {
  return planDatasetRead(plan.head, stacktracesNeed(plan))
}

function stacktracesNeed({ head, sources, symbols, row, kept, whole }: StacktracePlan): ReadNeed {
  const headers = headersOf(sources)
  const rollups = sources.flatMap((source) => source.rollups).sort((a, b) => a - b)
  const columns = sources.map(({ selected }) => ({ group: selected.group, type: selected.type }))
  // Segments have no function level: frames without lines are named by mapping and address, so everything is read.
  const stored = symbols === 'functions' && hasFunctionLevel(head) ? 'functions' : 'all'
  const isHeld = (symbols === 'functions' ? kept?.named : kept?.lines) !== undefined
  const functionTotals = whole !== undefined
  return { symbols: isHeld ? 'held' : stored, headers, rollups, columns, spans: row !== undefined, functionTotals }
}

/** Ascending. Of one source, which is the rule, as they are. */
function headersOf(sources: readonly StacktraceSource[]): Uint32Array {
  if (sources.length === 1) return sources[0]!.positions
  const headers = new Uint32Array(sources.reduce((sum, { positions }) => sum + positions.length, 0))
  let count = 0
  for (const { positions } of sources) {
    headers.set(positions, count)
    count += positions.length
  }
  return headers.sort()
}

function hasFunctionLevel(head: DatasetHead): boolean {
  return findSection(head.table, 'functionLevel') !== undefined
}

/** Adds what the plan names to the tree; returns how many rows of samples and rollups were read. */
export function addStacktraces(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  tree: FunctionTree,
  stackTest?: StackTest,
): number {
  const named = namedStacks(plan, fetched)
  if (plan.totals !== undefined) return addWhole(tree, { head: plan.head, totals: plan.totals }, named)
  const { sums, rows } = sumStacks(plan, fetched, named.stackNode.length)
  if (stackTest !== undefined) sums.retain(stackTest(named))
  sums.addToTree(tree, named)
  return rows
}

/** As `addStacktraces`, of a plan for lines. */
export function addProfile(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  profile: StackProfile,
  stackTest?: StackTest,
): number {
  const symbols = plan.kept?.lines ?? decodeSymbols(plan.head, fetched)
  if (plan.kept?.lines === undefined) plan.kept?.keepLines(symbols)
  const { sums, rows } = sumStacks(plan, fetched, symbols.stackCount)
  if (stackTest !== undefined) sums.retain(stackTest(namedByLines(symbols)))
  profile.add({ symbols, sums: sums.view() })
  return rows
}

function sumStacks(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  stackCount: number,
): { readonly sums: StackSums; readonly rows: number } {
  const { head, row } = plan
  const sums = new StackSums(stackCount)
  let rows = 0
  for (const source of plan.sources) {
    rows += addSamples({ head, fetched, sums, source, row })
    rows += addRollups({ head, fetched, sums, source, row })
  }
  return { sums, rows }
}

interface RowSource {
  readonly row: RowTest | undefined
  readonly head: DatasetHead
  readonly fetched: FetchedRanges
  readonly sums: StackSums
  readonly source: StacktraceSource
}

function addSamples({ head, fetched, sums, source, row }: RowSource): number {
  const { selected, positions } = source
  const frames = selectFrames(head, positions).filter(({ group }) => group === selected.group)
  if (frames.length === 0) return 0
  const { rowLength } = head.headers
  const wanted = new Uint8Array(head.headers.count)
  let samples = 0
  for (let i = 0; i < positions.length; i++) {
    const h = positions[i]!
    wanted[h] = 1
    samples += rowLength[h]!
  }
  const { type } = selected
  const wish = { type, wanted, section: 'frames', stackCount: sums.stackCount } as const
  for (const frame of frames) {
    const isSummed =
      row === undefined &&
      sumFrameRows(head, fetched, { ...wish, frame }, (divisor, rows) => sums.residualsFor(divisor, rows))
    if (!isSummed) addDecoded({ head, fetched, sums, source, row }, frame, wanted)
  }
  return samples
}

/** Rows that are tested, and wide ones: the whole frame is decoded. */
function addDecoded({ head, fetched, sums, source, row }: RowSource, frame: Frame, wanted: Uint8Array): void {
  const { rowStart, rowLength } = head.headers
  const { stackCount } = sums
  const types = [source.selected.type]
  const columns = decodeFrameColumns(head, fetched, { frame, types, stackCount, spans: row !== undefined })
  for (let h = frame.firstHeader; h < frame.firstHeader + frame.headerCount; h++) {
    if (wanted[h] !== 1) continue
    const start = rowStart[h]! - frame.rowStart
    const end = start + rowLength[h]!
    if (row === undefined) sums.add(columns.stackId, columns.values[0]!, start, end)
    else sums.addWhere(columns.stackId, columns.values[0]!, { start, end }, (at) => row(columns, at))
  }
}

function addRollups({ head, fetched, sums, source: { selected, rollups } }: RowSource): number {
  const frames = selectRollupFrames(head, rollups)
  if (frames.length === 0) return 0
  const index = head.rollups!
  const wanted = new Uint8Array(index.count)
  let rows = 0
  for (const rollup of rollups) {
    wanted[rollup] = 1
    rows += index.rowLength[rollup]!
  }
  const { stackCount } = sums
  const { type } = selected
  const wish = { type, wanted, section: 'rollups', stackCount } as const
  for (const frame of frames) {
    if (sumFrameRows(head, fetched, { ...wish, frame }, (divisor, count) => sums.residualsFor(divisor, count))) continue
    const columns = decodeRollupColumns(head, fetched, { frame, types: [type], stackCount })
    for (let r = frame.firstHeader; r < frame.firstHeader + frame.headerCount; r++) {
      if (wanted[r] !== 1) continue
      const start = index.rowStart[r]! - frame.rowStart
      sums.add(columns.stackId, columns.values[0]!, start, start + index.rowLength[r]!)
    }
  }
  return rows
}

function namedByLines(symbols: Symbols): NamedStacks {
  const names = new StringTable()
  const level = buildFunctionLevel(symbols, names)
  return { level, stackNode: symbols.stackNode, viewName: (name) => names.viewBytes(name) }
}

/** Of a plan for functions: what is kept, or what is read and then kept. */
export function namedStacks({ head, kept }: StacktracePlan, fetched: FetchedRanges): NamedStacks {
  if (kept?.named !== undefined) return kept.named
  const named = functionSymbols(head, fetched)
  kept?.keepNamed(named)
  return named
}

function functionSymbols(head: DatasetHead, fetched: FetchedRanges): NamedStacks {
  if (!hasFunctionLevel(head)) return namedByLines(decodeSymbols(head, fetched))
  const stored = decodeFunctionSymbols(head, fetched)
  assert(stored.kind === 'function-level', 'the section is there')
  const { stringBytes, stringOffset } = stored.strings
  return {
    level: stored.level,
    stackNode: stored.stacks.stackNode,
    viewName: (name) => stringBytes.subarray(stringOffset[name]!, stringOffset[name + 1]!),
    nameTable: { bytes: stringBytes, offset: stringOffset },
  }
}

/** Adds totals of the selected profiles: the head alone is read. */
export function addTimeSeries(
  head: DatasetHead,
  profiles: readonly SelectedProfiles[],
  range: StepRange,
  builder: TimeSeriesBuilder,
): void {
  const { headers } = head
  for (const { selected, positions } of profiles) {
    const outputOf = selected.labels.map((labels) => (labels === undefined ? -1 : builder.seriesOf(labels)))
    const marksOf = marksOfSeries(selected, builder)
    const totals = headers.totals[selected.type]!
    // Not `of`: in the first questions of a process its iterator is a call a header.
    for (let i = 0; i < positions.length; i++) {
      const h = positions[i]!
      const step = stepIndexOf(range, floorMs(headers.timeNanos.hi[h]! | 0, headers.timeNanos.lo[h]!))
      if (step < 0) continue
      const series = headers.series[h]!
      builder.add(outputOf[series]!, step, totals.lo[h]!, totals.hi[h]!)
      if (marksOf !== undefined && marksOf[series]! >= 0) builder.mark(marksOf[series]!, step)
    }
  }
}

/** By series the marks of its points, -1 = it was not sampled; undefined: none was. */
export function marksOfSeries(
  { labels, sampledBy }: SelectedType,
  builder: TimeSeriesBuilder,
): readonly number[] | undefined {
  return sampledBy?.map((value, s) => {
    const typed = labels[s]
    return value === '' || typed === undefined ? -1 : builder.marksOf(typed, value)
  })
}
