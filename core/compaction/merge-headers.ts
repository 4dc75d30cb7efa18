/**
 * The headers of a merge: which profiles it holds, in which order, from the heads of its inputs alone.
 *
 * 1. Headers of all inputs but those on skip lists (they lost against an earlier profile with the same id), with their
 *    series and groups mapped by content, sorted by (group, series, time, id).
 * 2. Totals are carried over, never computed anew: the conservation check compares them with the rows afterwards.
 *
 * Must not: drop a header that is not on a skip list.
 */
import { assert } from '../assert.ts'
import type { ProfileHeaders, SampleGroup } from '../block/dataset.ts'
import { compareLabels, labelsKey, type Labels } from '../labels/labels.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'

/** What of an input is known without its rows. */
export interface SourceHead {
  readonly headers: ProfileHeaders
  readonly series: readonly Labels[]
  readonly groups: readonly SampleGroup[]
  /** Header positions to leave out, ascending. */
  readonly skip: readonly number[]
}

/** Header i of the merge is header position[i] of input[i]. */
export interface HeaderRefs {
  readonly count: number
  readonly input: Uint32Array
  readonly position: Uint32Array
  readonly group: Uint32Array
  readonly series: Uint32Array
}

export interface MergedHeaders {
  readonly series: readonly Labels[]
  readonly groups: readonly SampleGroup[]
  readonly headers: ProfileHeaders
  readonly refs: HeaderRefs
}

const ID_BYTES = 16

export function mergeHeaders(sources: readonly SourceHead[]): MergedHeaders {
  const series = unionSeries(sources)
  const groups = unionGroups(sources)
  const refs = sortedRefs(sources, series.rank, groups.rank)
  const headers = gatherHeaders(sources, refs, groups.groups)
  return { series: series.series, groups: groups.groups, headers, refs }
}

/** Of each input: its groups and series in the numbering of the merged dataset; what has no header left maps to 0. */
export function mergeNumbering(
  sources: readonly Pick<SourceHead, 'groups' | 'series'>[],
  merged: Pick<MergedHeaders, 'groups' | 'series'>,
): { groupOf: Uint32Array; seriesOf: Uint32Array }[] {
  const groups = new Map(merged.groups.map((group, i) => [groupKey(group), i]))
  const series = new Map(merged.series.map((labels, i) => [labelsKey(labels), i]))
  return sources.map((source) => ({
    groupOf: Uint32Array.from(source.groups, (group) => groups.get(groupKey(group)) ?? 0),
    seriesOf: Uint32Array.from(source.series, (labels) => series.get(labelsKey(labels)) ?? 0),
  }))
}

/** Distinct series of the headers that stay, sorted; rank[input][series] = new index. */
function unionSeries(sources: readonly SourceHead[]): { series: Labels[]; rank: Uint32Array[] } {
  const byKey = new Map<string, Labels>()
  for (const { headers, series, skip } of sources) {
    const used = usedRows(headers.series, headers.count, skip, series.length)
    series.forEach((labels, i) => {
      if (used[i] === 1) byKey.set(labelsKey(labels), labels)
    })
  }
  const series = [...byKey.values()].sort(compareLabels)
  const index = new Map(series.map((labels, i) => [labelsKey(labels), i]))
  return {
    series,
    rank: sources.map((source) => Uint32Array.from(source.series, (labels) => index.get(labelsKey(labels)) ?? 0)),
  }
}

function unionGroups(sources: readonly SourceHead[]): { groups: SampleGroup[]; rank: Uint32Array[] } {
  const byKey = new Map<string, SampleGroup>()
  for (const { headers, groups, skip } of sources) {
    const used = usedRows(headers.group, headers.count, skip, groups.length)
    groups.forEach((group, i) => {
      if (used[i] === 1) byKey.set(groupKey(group), group)
    })
  }
  const keys = [...byKey.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const index = new Map(keys.map((key, i) => [key, i]))
  return {
    groups: keys.map((key) => byKey.get(key)!),
    rank: sources.map((source) => Uint32Array.from(source.groups, (group) => index.get(groupKey(group)) ?? 0)),
  }
}

function groupKey(group: SampleGroup): string {
  const types = group.types.map((t) => [t.type, t.unit])
  return JSON.stringify([types, group.periodType, group.periodUnit, String(group.period)])
}

function usedRows(column: Uint32Array, count: number, skip: readonly number[], rows: number): Uint8Array {
  const used = new Uint8Array(rows)
  let s = 0
  for (let i = 0; i < count; i++) {
    if (skip[s] === i) s++
    else used[column[i]!] = 1
  }
  return used
}

function sortedRefs(sources: readonly SourceHead[], seriesRank: Uint32Array[], groupRank: Uint32Array[]): HeaderRefs {
  let count = 0
  for (const { headers, skip } of sources) count += headers.count - skip.length
  const input = new Uint32Array(count)
  const position = new Uint32Array(count)
  const group = new Uint32Array(count)
  const series = new Uint32Array(count)
  let at = 0
  sources.forEach(({ headers, skip }, i) => {
    let s = 0
    for (let h = 0; h < headers.count; h++) {
      if (skip[s] === h) {
        s++
        continue
      }
      input[at] = i
      position[at] = h
      group[at] = groupRank[i]![headers.group[h]!]!
      series[at] = seriesRank[i]![headers.series[h]!]!
      at++
    }
    assert(s === skip.length, 'every skipped position is a header of its dataset')
  })
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = i
  order.sort((a, b) => {
    if (group[a] !== group[b]) return group[a]! - group[b]!
    if (series[a] !== series[b]) return series[a]! - series[b]!
    return compareTimeAndId(sources[input[a]!]!.headers, position[a]!, sources[input[b]!]!.headers, position[b]!)
  })
  const pick = (column: Uint32Array): Uint32Array => order.map((from) => column[from]!)
  return { count, input: pick(input), position: pick(position), group: pick(group), series: pick(series) }
}

function compareTimeAndId(x: ProfileHeaders, a: number, y: ProfileHeaders, b: number): number {
  const hi = (x.timeNanos.hi[a]! | 0) - (y.timeNanos.hi[b]! | 0)
  if (hi !== 0) return hi
  const lo = x.timeNanos.lo[a]! - y.timeNanos.lo[b]!
  if (lo !== 0) return lo
  for (let i = 0; i < ID_BYTES; i++) {
    const difference = x.profileId[a * ID_BYTES + i]! - y.profileId[b * ID_BYTES + i]!
    if (difference !== 0) return difference
  }
  return 0
}

function gatherHeaders(
  sources: readonly SourceHead[],
  refs: HeaderRefs,
  groups: readonly SampleGroup[],
): ProfileHeaders {
  const { count } = refs
  const of = (i: number): ProfileHeaders => sources[refs.input[i]!]!.headers
  const pick64 = (column: (headers: ProfileHeaders) => Int64Column | undefined): Int64Column => {
    const out = allocateInt64Column(count)
    for (let i = 0; i < count; i++) {
      const source = column(of(i))
      out.lo[i] = source?.lo[refs.position[i]!] ?? 0
      out.hi[i] = source?.hi[refs.position[i]!] ?? 0
    }
    return out
  }
  const profileId = new Uint8Array(count * ID_BYTES)
  const rowLength = new Uint32Array(count)
  const rowStart = new Uint32Array(count)
  const next = new Uint32Array(groups.length)
  for (let i = 0; i < count; i++) {
    const headers = of(i)
    const h = refs.position[i]!
    profileId.set(headers.profileId.subarray(h * ID_BYTES, h * ID_BYTES + ID_BYTES), i * ID_BYTES)
    rowLength[i] = headers.rowLength[h]!
    rowStart[i] = next[refs.group[i]!]!
    next[refs.group[i]!]! += rowLength[i]!
  }
  const typesMax = groups.reduce((max, group) => Math.max(max, group.types.length), 0)
  return {
    count,
    profileId,
    group: refs.group,
    series: refs.series,
    timeNanos: pick64((headers) => headers.timeNanos),
    durationNanos: pick64((headers) => headers.durationNanos),
    totals: Array.from({ length: typesMax }, (_, t) => pick64((headers) => headers.totals[t])),
    rowStart,
    rowLength,
  }
}
