/**
 * From which rows a flame graph of one dataset is summed: rollups where they stand for exactly what is asked, samples for
 * the rest. Pure: the head alone decides, so that ranges are known before anything is read.
 *
 * 1. Headers are cut into runs of one series and data hour. A run is whole if each of its headers that has a value of the
 *    type is selected: then nothing of it lies outside the time range or on the skip list.
 * 2. If all runs of an hour are whole, the rollup over all series answers the hour.
 * 3. Else each whole run is answered by its own rollup, if there is one.
 * 4. What is left, at most two edge hours and what has no rollup, is read from samples.
 * Rollups have no spans: where rows are tested, samples answer everything.
 */
import { ALL_SERIES, groupByHour, type HourRun, hourRuns, type RollupIndex } from '../block/rollup.ts'
import type { DatasetHead, FunctionTotal } from '../block/read.ts'
import type { Symbols } from '../symbols/symbols.ts'
import type { SelectedProfiles } from './aggregate.ts'
import type { SelectedType } from './select-series.ts'
import type { NamedStacks } from './call-site.ts'
import type { RowTest } from './sample-selector.ts'

export interface StacktraceSource extends Pick<SelectedProfiles, 'selected'> {
  /** Ascending. */
  readonly rollups: readonly number[]
  /** Header positions whose samples are read, ascending. */
  readonly positions: Uint32Array
}

export interface StacktraceWish {
  /** A flame graph wants functions, a pprof lines. */
  readonly symbols: 'functions' | 'lines'
  /** Which rows count; undefined: all. */
  readonly row: RowTest | undefined
}

/** Symbols of the dataset that a reader has from an earlier query, and where it keeps those of this one. */
export interface KeptSymbols {
  readonly named: NamedStacks | undefined
  readonly lines: Symbols | undefined
  keepNamed(named: NamedStacks): void
  keepLines(lines: Symbols): void
}

export interface StacktracePlan extends StacktraceWish {
  readonly head: DatasetHead
  /** The types whose totals over the dataset answer, if it is wanted whole; then there are no sources. */
  readonly whole?: readonly SelectedType[] | undefined
  /** Theirs, when they were read. */
  readonly totals?: readonly FunctionTotal[]
  readonly sources: readonly StacktraceSource[]
  /** Absent: nothing is kept. */
  readonly kept?: KeptSymbols | undefined
}

const FLAME_GRAPH: StacktraceWish = { symbols: 'functions', row: undefined }

export function planStacktraces(
  head: DatasetHead,
  profiles: readonly SelectedProfiles[],
  wish: StacktraceWish = FLAME_GRAPH,
): StacktracePlan {
  if (profiles.length === 0) return { ...wish, head, sources: [] }
  const { rollups } = head
  if (rollups === undefined || rollups.count === 0 || wish.row !== undefined) {
    return { ...wish, head, sources: profiles.map((each) => ({ ...each, rollups: [] })) }
  }
  const cells = headRollups(head, rollups)
  return { ...wish, head, sources: profiles.map((each) => planType(head, each, cells)) }
}

/** Of heads that a reader keeps: cutting headers into hours costs more than choosing among them. */
const KNOWN = new WeakMap<DatasetHead, HeadRollups>()

function headRollups(head: DatasetHead, rollups: RollupIndex): HeadRollups {
  const known = KNOWN.get(head)
  if (known !== undefined) return known
  const rollupOf = new Map<string, number>()
  for (let r = 0; r < rollups.count; r++)
    rollupOf.set(rollupKey(rollups.group[r]!, rollups.hour[r]!, rollups.scope[r]!), r)
  const cells = { byHour: groupByHour(hourRuns(head.headers)), rollupOf }
  KNOWN.set(head, cells)
  return cells
}

interface HeadRollups {
  readonly byHour: readonly (readonly HourRun[])[]
  readonly rollupOf: ReadonlyMap<string, number>
}

function rollupKey(group: number, hour: number, scope: number): string {
  return `${group},${hour},${scope}`
}

function planType(head: DatasetHead, profiles: SelectedProfiles, { byHour, rollupOf }: HeadRollups): StacktraceSource {
  const { selected, positions } = profiles
  const isSelected = new Uint8Array(head.headers.count)
  for (let i = 0; i < positions.length; i++) isSelected[positions[i]!] = 1
  const totals = head.headers.totals[selected.type]!
  const isWhole = ({ first, end }: HourRun): boolean => {
    for (let h = first; h < end; h++) if (isSelected[h] === 0 && (totals.lo[h]! | totals.hi[h]!) !== 0) return false
    return true
  }
  const rollups: number[] = []
  const take = (runs: readonly HourRun[], scope: number): boolean => {
    const { group, hour } = runs[0]!
    const rollup = rollupOf.get(rollupKey(group, hour, scope))
    if (rollup === undefined) return false
    rollups.push(rollup)
    for (const { first, end } of runs) isSelected.fill(0, first, end)
    return true
  }
  for (const runs of byHour) {
    if (runs[0]!.group !== selected.group) continue
    const asked = runs.filter(({ first, end }) => hasOne(isSelected, first, end))
    if (asked.length === 0) continue
    const whole = asked.filter(isWhole)
    if (whole.length === asked.length && runs.every(isWhole) && take(runs, ALL_SERIES)) continue
    for (const run of whole) take([run], run.series + 1)
  }
  return { selected, rollups, positions: positions.filter((h) => isSelected[h] === 1) }
}

function hasOne(flags: Uint8Array, first: number, end: number): boolean {
  for (let i = first; i < end; i++) if (flags[i] === 1) return true
  return false
}
