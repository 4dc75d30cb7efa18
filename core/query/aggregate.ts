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
  planDatasetRead,
  type ReadNeed,
  selectFrames,
  selectHeaders,
  selectRollupFrames,
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

function stacktracesNeed({ head, sources, symbols, row, kept }: StacktracePlan): ReadNeed {
  const headers = Uint32Array.from(sources.flatMap(({ positions }) => [...positions])).sort()
  const rollups = sources.flatMap((source) => source.rollups).sort((a, b) => a - b)
  const columns = sources.map(({ selected }) => ({ group: selected.group, type: selected.type }))
  // Segments have no function level: frames without lines are named by mapping and address, so everything is read.
  const stored = symbols === 'functions' && hasFunctionLevel(head) ? 'functions' : 'all'
  const isHeld = (symbols === 'functions' ? kept?.named : kept?.lines) !== undefined
  return { symbols: isHeld ? 'held' : stored, headers, rollups, columns, spans: row !== undefined }
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
  const { sums, rows } = sumStacks(plan, fetched, named.stackNode.length)
  if (stackTest !== undefined) sums.retain(stackTest(named))
  sums.addToTree(tree, named.stackNode, named.level, named.viewName)
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

function addSamples({ head, fetched, sums, source: { selected, positions }, row }: RowSource): number {
  const { rowStart, rowLength } = head.headers
  let at = 0
  let samples = 0
  for (const frame of selectFrames(head, positions)) {
    if (frame.group !== selected.group) continue
    const stackCount = sums.stackCount
    const spans = row !== undefined
    const columns = decodeFrameColumns(head, fetched, { frame, types: [selected.type], stackCount, spans })
    const end = frame.firstHeader + frame.headerCount
    while (at < positions.length && positions[at]! < end) {
      // Runs of neighbouring headers are one range of rows.
      const start = rowStart[positions[at]!]! - frame.rowStart
      let stop = start + rowLength[positions[at]!]!
      at++
      while (at < positions.length && positions[at]! < end && rowStart[positions[at]!]! - frame.rowStart === stop)
        stop += rowLength[positions[at++]!]!
      if (row === undefined) sums.add(columns.stackId, columns.values[0]!, start, stop)
      else sums.addWhere(columns.stackId, columns.values[0]!, { start, end: stop }, (at) => row(columns, at))
      samples += stop - start
    }
  }
  return samples
}

function addRollups({ head, fetched, sums, source: { selected, rollups } }: RowSource): number {
  let at = 0
  let rows = 0
  for (const frame of selectRollupFrames(head, rollups)) {
    const columns = decodeRollupColumns(head, fetched, { frame, types: [selected.type], stackCount: sums.stackCount })
    for (; at < rollups.length && rollups[at]! < frame.firstHeader + frame.headerCount; at++) {
      const start = head.rollups!.rowStart[rollups[at]!]! - frame.rowStart
      const end = start + head.rollups!.rowLength[rollups[at]!]!
      sums.add(columns.stackId, columns.values[0]!, start, end)
      rows += end - start
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
    const totals = headers.totals[selected.type]!
    for (const h of positions) {
      const step = stepIndexOf(range, floorMs(headers.timeNanos.hi[h]! | 0, headers.timeNanos.lo[h]!))
      if (step >= 0) builder.add(outputOf[headers.series[h]!]!, step, totals.lo[h]!, totals.hi[h]!)
    }
  }
}
