/**
 * Points of one dataset: its selected profiles, or their spans, and time series of the samples under a call site.
 *
 * A pushed profile whose samples have labels of their own lies in several series, each with a header; all share the first
 * 14 bytes of their id. As a point it is one: values are summed, and only the labels that all parts have are shown.
 * A span is a point per profile that saw it.
 */
import {
  type DatasetHead,
  decodeFrameColumns,
  type FetchedRanges,
  type FrameColumns,
  selectFrames,
} from '../block/read.ts'
import { floorMs } from '../block/write.ts'
import { invalidArgument } from '../errors.ts'
import { type Labels, labelsKey, projectLabels } from '../labels/labels.ts'
import { getBigInt } from '../wire/int64.ts'
import { marksOfSeries, namedStacks, type SelectedProfiles } from './aggregate.ts'
import type { PointRows } from './point-rows.ts'
import { profileIdText } from './profile-ids.ts'
import type { StackTest } from './stack-test.ts'
import type { StacktracePlan } from './stacktrace-plan.ts'
import { type StepRange, stepIndexOf, type TimeSeriesBuilder } from './time-series.ts'
import { WholeProfiles } from './whole-profiles.ts'

/** Steps count from the origin; the step at index i ends at origin + i * step. */
export interface PointGrid {
  readonly originMs: number
  readonly stepMs: number
  readonly groupBy: readonly string[]
}

/** What a column of the answer holds: 49 days in steps of 1 ms. */
const STEP_MAX = 0xffffffff

function stepOf({ originMs, stepMs }: PointGrid, timeMs: number): number {
  const step = Math.max(0, Math.ceil((timeMs - originMs) / stepMs))
  if (step <= STEP_MAX) return step
  throw invalidArgument(`step ${step} of the range is over the limit ${STEP_MAX}: use a longer step`, 'invalid_step')
}

/** Sums of the samples that are meant, by type and header; a header without any is not there. */
export type MeantTotals = ReadonlyMap<string, bigint>

function totalKey(type: number, header: number): string {
  return `${type},${header}`
}

/** `ids`: of all headers, in order. `meant`: instead of the totals of headers. */
export function addProfilePoints(
  head: DatasetHead,
  profiles: readonly SelectedProfiles[],
  ids: Uint8Array,
  {
    grid,
    rows,
    meant,
  }: { readonly grid: PointGrid; readonly rows: PointRows; readonly meant?: MeantTotals | undefined },
): void {
  const { headers } = head
  for (const { selected, positions } of profiles) {
    const groupOf = selected.labels.map((labels) => labels && projectLabels(labels, grid.groupBy))
    const { timeNanos: times, series } = headers
    const wholes = new WholeProfiles({ ids, times, series, groupOf: numbersOf(groupOf) }, positions.length)
    /** By whole; the header of the part that has most gives its id. */
    const values: bigint[] = []
    const bestValue: bigint[] = []
    const best: number[] = []
    const labelsOf: Labels[] = []
    for (const h of positions) {
      const value =
        meant === undefined ? getBigInt(headers.totals[selected.type]!, h) : meant.get(totalKey(selected.type, h))
      if (value === undefined) continue
      const labels = selected.labels[series[h]!]!
      const w = wholes.wholeOf(h)
      if (w === values.length) {
        values.push(value)
        bestValue.push(value)
        best.push(h)
        labelsOf.push(labels)
        continue
      }
      values[w] = BigInt.asIntN(64, values[w]! + value)
      labelsOf[w] = intersect(labelsOf[w]!, labels)
      if (value > bestValue[w]!) {
        bestValue[w] = value
        best[w] = h
      }
    }
    for (let w = 0; w < wholes.count; w++) {
      const timeMs = timeOf(head, wholes.first[w]!)
      rows.add(groupOf[series[wholes.first[w]!]!]!, { step: stepOf(grid, timeMs), value: values[w]! }, () => ({
        timeMs,
        profileId: profileIdText(ids, best[w]!),
        spanId: '',
        traceId: '',
        labels: labelsOutside(labelsOf[w]!, grid.groupBy),
      }))
    }
  }
}

/** Equal label sets have equal numbers. */
function numbersOf(groups: readonly (Labels | undefined)[]): number[] {
  const byKey = new Map<string, number>()
  return groups.map((labels) => {
    if (labels === undefined) return -1
    const key = labelsKey(labels)
    const known = byKey.get(key)
    if (known !== undefined) return known
    byKey.set(key, byKey.size)
    return byKey.size - 1
  })
}

/** Of a plan with spans. */
export function addSpanPoints(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  {
    grid,
    rows,
    stackTest,
  }: { readonly grid: PointGrid; readonly rows: PointRows; readonly stackTest?: StackTest | undefined },
): number {
  const { head } = plan
  const named = namedStacks(plan, fetched)
  const stackCount = named.stackNode.length
  const meant = stackTest?.(named)
  let read = 0
  for (const source of plan.sources) {
    const { selected } = source
    const groupOf = selected.labels.map((labels) => labels && projectLabels(labels, grid.groupBy))
    read += visitProfiles({ head, fetched, source, stackCount, spans: true }, (h, columns, start, end) => {
      const spans = spansOf(columns, { start, end, meant })
      const series = head.headers.series[h]!
      const timeMs = timeOf(head, h)
      for (const [spanId, { value, traceId }] of spans) {
        rows.add(groupOf[series]!, { step: stepOf(grid, timeMs), value }, () => ({
          timeMs,
          profileId: '',
          spanId,
          traceId,
          labels: labelsOutside(selected.labels[series]!, grid.groupBy),
        }))
      }
    })
  }
  return read
}

/** As `addTimeSeries`, of the samples whose stacks are meant. Returns how many rows were read. */
export function addCallSiteSeries(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  stackTest: StackTest,
  { range, builder }: { readonly range: StepRange; readonly builder: TimeSeriesBuilder },
): number {
  const { head } = plan
  const named = namedStacks(plan, fetched)
  const under = stackTest(named)
  const stackCount = named.stackNode.length
  let read = 0
  for (const source of plan.sources) {
    const outputOf = source.selected.labels.map((labels) => (labels === undefined ? -1 : builder.seriesOf(labels)))
    const marksOf = marksOfSeries(source.selected, builder)
    read += visitProfiles({ head, fetched, source, stackCount, spans: false }, (h, columns, start, end) => {
      const step = stepIndexOf(range, timeOf(head, h))
      if (step < 0) return
      const total = sumMeant(columns, under, { start, end })
      if (total === undefined) return
      const lanes = BigInt.asUintN(64, total)
      const series = head.headers.series[h]!
      builder.add(outputOf[series]!, step, Number(lanes & 0xffffffffn), Number(lanes >> 32n))
      if (marksOf !== undefined && marksOf[series]! >= 0) builder.mark(marksOf[series]!, step)
    })
  }
  return read
}

/** Of a plan with every row: what each profile has in the stacks that are meant. */
export function meantTotals(
  plan: StacktracePlan,
  fetched: FetchedRanges,
  stackTest: StackTest,
): { readonly totals: MeantTotals; readonly rows: number } {
  const { head } = plan
  const named = namedStacks(plan, fetched)
  const meant = stackTest(named)
  const stackCount = named.stackNode.length
  const totals = new Map<string, bigint>()
  let rows = 0
  for (const source of plan.sources) {
    rows += visitProfiles({ head, fetched, source, stackCount, spans: false }, (h, columns, start, end) => {
      const total = sumMeant(columns, meant, { start, end })
      if (total !== undefined) totals.set(totalKey(source.selected.type, h), BigInt.asIntN(64, total))
    })
  }
  return { totals, rows }
}

/** undefined: no row is meant. */
function sumMeant(
  columns: FrameColumns,
  meant: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
): bigint | undefined {
  let total: bigint | undefined
  for (let row = start; row < end; row++) {
    if (meant[columns.stackId[row]!] === 1) total = (total ?? 0n) + getBigInt(columns.values[0]!, row)
  }
  return total
}

interface Visit {
  readonly head: DatasetHead
  readonly fetched: FetchedRanges
  readonly source: StacktracePlan['sources'][number]
  readonly stackCount: number
  readonly spans: boolean
}

/** Calls for every position with its rows [start, end) of a frame; returns how many rows there were. */
function visitProfiles(
  { head, fetched, source, stackCount, spans }: Visit,
  visit: (position: number, columns: FrameColumns, start: number, end: number) => void,
): number {
  const { selected, positions } = source
  const { rowStart, rowLength } = head.headers
  let at = 0
  let rows = 0
  for (const frame of selectFrames(head, positions)) {
    if (frame.group !== selected.group) continue
    const columns = decodeFrameColumns(head, fetched, { frame, types: [selected.type], stackCount, spans })
    for (; at < positions.length && positions[at]! < frame.firstHeader + frame.headerCount; at++) {
      const start = rowStart[positions[at]!]! - frame.rowStart
      const end = start + rowLength[positions[at]!]!
      visit(positions[at]!, columns, start, end)
      rows += end - start
    }
  }
  return rows
}

/** Sums by span id in hex. A row without a span has id 0; a sum of 0 is no point. */
function spansOf(
  columns: FrameColumns,
  { start, end, meant }: { readonly start: number; readonly end: number; readonly meant: Uint8Array | undefined },
): Map<string, { value: bigint; traceId: string }> {
  const spans = new Map<string, { value: bigint; traceId: string }>()
  const { spanId, traceIdHigh, traceIdLow, values } = columns
  if (spanId === undefined) return spans
  for (let row = start; row < end; row++) {
    if (spanId.lo[row] === 0 && spanId.hi[row] === 0) continue
    if (meant !== undefined && meant[columns.stackId[row]!] !== 1) continue
    const value = getBigInt(values[0]!, row)
    if (value === 0n) continue
    const id = hexOf(getBigInt(spanId, row))
    const known = spans.get(id)
    if (known !== undefined) known.value = BigInt.asIntN(64, known.value + value)
    else {
      const high = traceIdHigh === undefined ? 0n : getBigInt(traceIdHigh, row)
      const low = traceIdLow === undefined ? 0n : getBigInt(traceIdLow, row)
      spans.set(id, { value, traceId: high === 0n && low === 0n ? '' : hexOf(high) + hexOf(low) })
    }
  }
  return spans
}

function hexOf(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16).padStart(16, '0')
}

function timeOf({ headers }: DatasetHead, h: number): number {
  return floorMs(headers.timeNanos.hi[h]! | 0, headers.timeNanos.lo[h]!)
}

function intersect(a: Labels, b: Labels): Labels {
  return a.filter(({ name, value }) => b.some((other) => other.name === name && other.value === value))
}

/** Without those that the series shows already. */
function labelsOutside(labels: Labels, groupBy: readonly string[]): Labels[number][] {
  return labels.filter(({ name }) => !groupBy.includes(name))
}
