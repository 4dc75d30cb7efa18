/**
 * Merges dataset regions into one region, frame by frame: what a worker does with a group of a job.
 *
 * 1. Heads of all inputs: headers, series, groups, sums. Symbols input by input: decoded, mapped into the tables of the
 *    service (service-symbols.ts), dropped. If the tables pass the budget, the inputs so far are a piece of their own, and the rest is for the next call:
 *    datasets of equal tenant, service and window may follow each other in an object.
 * 2. Then, for each frame of the output: its rows are gathered from the frames of the inputs (of each input one is
 *    decoded at a time, for headers come in the same order everywhere), summed, rolled up and encoded.
 * 3. Conservation: the sums of the output, computed from its rows, must equal the stored sums of the inputs less those of
 *    their skipped profiles, and the total of each header the sum of its rows, else the merge fails with series and type.
 *
 * Memory: the regions, the symbols of the merge, one frame of each input and of the output, the encoded output. Rows of a
 * whole dataset are never in memory. Must not: drop a profile that is not skipped, or trust an input's order.
 */
import type { ConservationSum, GroupRows } from '../block/dataset.ts'
import {
  addSums,
  compareSums,
  type PreparedHashes,
  describeDifference,
  renumberSums,
  subtractSums,
  sumHeaders,
} from '../block/conservation.ts'
import { columnFactors } from '../block/column-factor.ts'
import { FrameEncoder, type FramePlan, planFrames, rowsOfLargest } from '../block/frames.ts'
import { FUNCTION_TOTALS_FRACTION, FUNCTION_TOTALS_GROUPS_MAX } from '../block/function-totals.ts'
import { functionTotalsBytesMax, packFunctionTotals } from '../block/function-totals-build.ts'
import { findHeaderFault } from '../block/order.ts'
import { ROLLUP_BYTES_FRACTION, packRollups } from '../block/rollup-section.ts'
import { RollupBuilder } from '../block/rollup-build.ts'
import { encodeRegion, type ObjectDataset } from '../block/write.ts'
import { assert } from '../assert.ts'
import { endOfRuns, gatherJoined, planJoins, RowJoiner } from './aggregation.ts'
import type { Codec } from '../ports/codec.ts'
import { hourOfNanos } from '../units.ts'
import { mergeHeaders, type MergedHeaders, mergeNumbering } from './merge-headers.ts'
import { gatherRows, RowScratch } from './merge-rows.ts'
import type { MergeScratch } from './merge-scratch.ts'
import type { RegionInput, RegionSource } from './merge-source.ts'
import { findTotalFault } from './merge-totals.ts'
import { NotConserved } from './not-conserved.ts'
import { checkMembers, type MergeWindow } from './merge.ts'
import { MergeMemory, type PreparedSymbols } from './service-symbols.ts'
import { type SourcesWithSymbols, takeSymbols } from './take-symbols.ts'

export interface MergedRegion {
  readonly dataset: ObjectDataset
  /** How many of the inputs, from the first on, it holds. */
  readonly inputs: number
  /** Rows that were added to others of the same stack, span and trace. */
  readonly joinedSamples: number
  /** Why its totals by function are left out although they would pay; undefined: nothing was wrong with them. */
  readonly totalsFault: string | undefined
}

export interface MergeRegionsOptions {
  readonly codec: Codec
  readonly window: MergeWindow
  /** Of symbol tables; an input that passes it alone fails with reason `over_budget`. */
  readonly budgetBytes: number
  /** What the caller's earlier merges left; without it symbols are numbered by the inputs alone. */
  readonly memory?: MergeMemory
  /** A dataset with fewer rows gets no rollups. */
  readonly rollupRowsMin?: number
  /** Profiles of one series within a window become one (aggregation.ts); 0: none. Whole windows make an hour. */
  readonly aggregationWindowMs?: number
  /** Told after each frame: the share of the rows that are merged, 0 to 1. */
  readonly onShare?: (share: number) => void
}

export function mergeRegions(inputs: readonly RegionInput[], options: MergeRegionsOptions): MergedRegion {
  const { codec, window, budgetBytes, memory = new MergeMemory(), rollupRowsMin = 0, aggregationWindowMs = 0 } = options
  const onShare = options.onShare ?? (() => undefined)
  checkMembers(
    inputs.map(({ descriptor }) => descriptor),
    window,
  )
  const taken = takeSymbols(inputs, { codec, budgetBytes, memory })
  const tools = { codec, window, memory, rollupRowsMin, aggregationWindowMs, onShare }
  try {
    return mergeTaken(taken, tools)
  } catch (error) {
    if (!taken.byKeys) throw error
    // Keys are a hint: without them it is the sources that are at fault.
    const { tenant, service } = inputs[0]!.descriptor
    memory.take(tenant, service)
    return mergeTaken(takeSymbols(inputs, { codec, budgetBytes, memory: new MergeMemory(), ignoreKeys: true }), tools)
  }
}

function mergeTaken(
  taken: SourcesWithSymbols,
  tools: Required<Omit<MergeRegionsOptions, 'budgetBytes'>>,
): MergedRegion {
  const { codec, window, memory } = tools
  const { sources, symbols } = taken
  const merged = mergeHeaders(sources)
  const { scratch } = memory
  const rows = mergeRows({ sources, stackOf: taken.stackOf, merged, taken: symbols }, { ...tools, scratch })
  const fault = rows.totalFault ?? sumFault(sources, merged, rows.gathered)
  const { tenant, service } = sources[0]!.head.descriptor
  const named = { tenant, service, ...merged }
  const allowedBytes = rows.frames.sizeBytes * ROLLUP_BYTES_FRACTION
  let totalsFault: string | undefined
  const encode = (): ObjectDataset => {
    const rollups = rows.rollups && packRollups(named, rows.rollups, { codec, allowedBytes, scratch: scratch.frames })
    // A bad output has none: they would be refused, and with them what somebody wants to look at.
    const hasTotals = fault === undefined && rows.totals.length > 0
    const allowance = { fraction: hasTotals ? FUNCTION_TOTALS_FRACTION : 0, hasRollups: rollups !== undefined }
    const totalsBytes = functionTotalsBytesMax(rows.frames.sizeBytes, allowance)
    let functionTotals: Uint8Array | undefined
    try {
      functionTotals = packFunctionTotals({ ...named, ...symbols }, rows.totals, totalsBytes)
    } catch (error) {
      // They save reads and no more: the merge goes on without. By keys it is tried without them first.
      if (taken.byKeys) throw error
      totalsFault = error instanceof Error ? error.message : String(error)
    }
    const { sums, frames } = rows
    const encoded = encodeRegion(
      { ...named, ...symbols, symbolSections: symbols.sections, sums, frames, rollups, functionTotals },
      codec,
    )
    return { tenant, service, ...window, encoded }
  }
  if (fault !== undefined) throw new NotConserved(`merge does not conserve: ${fault}`, encode)
  const dataset = encode()
  scratch.trim()
  return { dataset, inputs: sources.length, joinedSamples: rows.joinedSamples, totalsFault }
}

interface RowsContext {
  readonly sources: readonly RegionSource[]
  readonly stackOf: readonly Uint32Array[]
  readonly merged: MergedHeaders
  readonly taken: PreparedSymbols
}

interface RowsTools {
  readonly codec: Codec
  readonly scratch: MergeScratch
  readonly rollupRowsMin: number
  readonly aggregationWindowMs: number
  readonly onShare: (share: number) => void
}

interface MergedRows {
  /** In words; undefined if every total is right. */
  readonly totalFault: string | undefined
  readonly sums: readonly ConservationSum[]
  /** Of the rows before any were added to others. */
  readonly gathered: readonly ConservationSum[]
  readonly frames: ReturnType<FrameEncoder['finish']>
  readonly rollups: ReturnType<RollupBuilder['finish']> | undefined
  /** Of the whole dataset by group; empty where they would save nothing. */
  readonly totals: ReturnType<RollupBuilder['takeTotals']>
  readonly joinedSamples: number
}

function mergeRows(
  { sources, stackOf, merged, taken }: RowsContext,
  { codec, scratch, rollupRowsMin, aggregationWindowMs, onShare }: RowsTools,
): MergedRows {
  const { headers, groups, series, refs } = merged
  const fault = findHeaderFault(headers, { groups: groups.length, series: series.length })
  assert(fault === undefined, `dataset out of order: ${fault}`)
  const joins = aggregationWindowMs === 0 ? undefined : planJoins(headers, { windowMs: aggregationWindowMs })
  const plans = planFrames(headers)
  const encoder = new FrameEncoder(groups, { codec, scratch: scratch.frames }, rowsOfLargest(plans))
  const rowCount = plans.reduce((count, plan) => count + plan.rowCount, 0)
  const { stackCount } = taken.symbols
  const rollups = rowCount < rollupRowsMin ? undefined : rollupBuilder(merged, stackCount)
  const gatherer = {
    refs,
    stackOf,
    sorter: scratch.sorter,
    spanOf: (input: number, position: number) => sources[input]!.spanOf(position),
  }
  scratch.rows.reserve(rowsOfLargest(plans))
  const mayHaveContext = sources.some((source) => source.hasAnyContext)
  const join = joins && { gatherer, joins, joiner: new RowJoiner(), scratch: new RowScratch(), hashes: taken.hashes }
  const parts: ConservationSum[][] = []
  const lacking: (readonly ConservationSum[])[] = []
  let wrongTotal: string | undefined
  let storedRows = 0
  let gatheredRows = 0
  for (let plan of plans) {
    const { firstHeader: first, headerCount, rowCount: plannedRows } = plan
    const end = first + headerCount
    const group = groups[plan.group]!
    const read = { first, end: joins === undefined ? end : endOfRuns(joins, { first, end }) }
    const hasContext = mayHaveContext && anyContext(sources, merged, read)
    const gathered = scratch.rows.take(group, plan.rowCount, hasContext)
    if (join === undefined) gatherRows(gatherer, { first, end }, gathered)
    else {
      const joined = gatherJoined(join, { first, end, group, hasContext }, headers, gathered)
      plan = joinedFrame(plan, joined.rowCount, headers)
      lacking.push(joined.lacking)
    }
    storedRows += plan.rowCount
    const rows = { ...gathered, factors: columnFactors(gathered.values, plan.rowCount) }
    wrongTotal ??= totalFault(merged, { first, end, group: plan.group }, rows)
    const lengths = headers.rowLength.subarray(first, end)
    parts.push(sumFrame(merged, { first, end, group: plan.group }, rows, taken.hashes))
    rollups?.addHeaders({ first, end }, rows, 0)
    encoder.add(plan, { rows, start: 0, lengths })
    gatheredRows += plannedRows
    onShare(gatheredRows / rowCount)
  }
  return {
    totalFault: wrongTotal,
    sums: addSums(parts),
    gathered: addSums([...parts, ...lacking]),
    frames: encoder.finish(),
    rollups: rollups?.finish(),
    totals: rollups?.takeTotals() ?? [],
    joinedSamples: rowCount - storedRows,
  }
}

/** The frame as it came out: its headers, with the lengths that they have now, begin where those before them end. */
function joinedFrame(
  plan: FramePlan,
  rowCount: number,
  { group, rowStart, rowLength }: MergedHeaders['headers'],
): FramePlan {
  const { firstHeader: first, headerCount } = plan
  const isFirst = first === 0 || group[first - 1] !== plan.group
  const start = isFirst ? 0 : rowStart[first - 1]! + rowLength[first - 1]!
  let at = start
  for (let h = first; h < first + headerCount; h++) {
    rowStart[h] = at
    at += rowLength[h]!
  }
  return { ...plan, rowStart: start, rowCount }
}

/** The total of the dataset is kept where it spans more than an hour: of one hour the rollup over all series is the total. */
function rollupBuilder({ groups, headers }: MergedHeaders, stackCount: number): RollupBuilder {
  const { hi, lo } = headers.timeNanos
  const hourOf = (h: number): number => hourOfNanos(hi[h]! | 0, lo[h]!)
  let keepsTotals = false
  if (groups.length <= FUNCTION_TOTALS_GROUPS_MAX)
    for (let h = 1; h < headers.count && !keepsTotals; h++) keepsTotals = hourOf(h) !== hourOf(0)
  return new RollupBuilder({ groups, headers, stackCount, keepsTotals })
}

function anyContext(
  sources: readonly RegionSource[],
  { refs }: MergedHeaders,
  { first, end }: { readonly first: number; readonly end: number },
): boolean {
  for (let h = first; h < end; h++) if (sources[refs.input[h]!]!.hasContext(refs.position[h]!)) return true
  return false
}

function sumFrame(
  { headers }: MergedHeaders,
  of: { readonly first: number; readonly end: number; readonly group: number },
  rows: GroupRows,
  hashes: PreparedHashes,
): ConservationSum[] {
  const { first, end } = of
  const base = headers.rowStart[first]!
  const part = {
    count: end - first,
    group: headers.group.subarray(first, end),
    series: headers.series.subarray(first, end),
    rowStart: headers.rowStart.slice(first, end).map((start) => start - base),
    rowLength: headers.rowLength.subarray(first, end),
    // They have been compared with their rows: one that is wrong fails the merge, whatever the sums are.
    totals: headers.totals.map(({ lo, hi }) => ({ lo: lo.subarray(first, end), hi: hi.subarray(first, end) })),
  }
  const ofGroup: GroupRows[] = []
  ofGroup[of.group] = rows
  return sumHeaders({ rows: ofGroup, headers: part }, hashes)
}

function totalFault(
  { headers, groups, series }: MergedHeaders,
  of: { readonly first: number; readonly end: number; readonly group: number },
  rows: GroupRows,
): string | undefined {
  const fault = findTotalFault(headers, of, rows)
  if (fault === undefined) return undefined
  const { type, unit } = groups[of.group]!.types[fault.type]!
  const labels = series[headers.series[fault.header]!]!.map(({ name, value }) => `${name}=${JSON.stringify(value)}`)
  return `a header of series {${labels.join(', ')}} type ${type}:${unit} has a total that is not the sum of its rows`
}

function sumFault(
  sources: readonly RegionSource[],
  merged: MergedHeaders,
  sums: readonly ConservationSum[],
): string | undefined {
  const numbering = mergeNumbering(sources, merged)
  const expected = sources.map((source, i) =>
    renumberSums(subtractSums(source.head.sums, source.skippedSums), numbering[i]!),
  )
  const difference = compareSums(addSums(expected), sums)
  return difference === undefined ? undefined : describeDifference(difference, merged)
}
