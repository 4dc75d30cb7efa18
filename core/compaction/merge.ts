/**
 * Merges datasets of one tenant and service into one, whose window holds theirs.
 *
 * 1. Headers of all inputs but those on skip lists (they lost against an earlier profile with the same id), with their
 *    series and groups mapped by content, sorted by (group, series, time, id).
 * 2. In that order, rows are mapped: stacks get new ids at first use, so that the ids of one profile stay near each
 *    other; the rows of a header are sorted again by (stack, span, trace).
 * 3. Totals are carried over, never computed anew: the conservation check compares them with the rows afterwards.
 *
 * Values are never added here: what was one row stays one row (two stacks of one input are two stacks of the output),
 * so a merge of merges equals the merge of everything. Must not: drop a header that is not on a skip list.
 */
import { assert } from '../assert.ts'
import type { Dataset, GroupRows, ProfileHeaders, SampleGroup } from '../block/dataset.ts'
import { compareLabels, labelsKey, type Labels } from '../labels/labels.ts'
import type { FunctionLevel } from '../symbols/function-level.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { MergedSymbols, type SourceStacks } from './merge-symbols.ts'

export interface MergeInput {
  readonly dataset: Dataset
  /** Header positions to leave out, ascending. */
  readonly skip: readonly number[]
}

interface HeaderRefs {
  readonly count: number
  readonly input: Uint32Array
  readonly position: Uint32Array
  readonly group: Uint32Array
  readonly series: Uint32Array
}

const ID_BYTES = 16

export interface MergedDataset {
  readonly dataset: Dataset
  /** Of the merged stacks; its names are rows of the dataset's strings. */
  readonly functionLevel: FunctionLevel
}

export interface MergeWindow {
  readonly windowStartMs: number
  readonly windowMs: number
}

/** Without a window the output has that of the inputs, which are equal then. */
export function mergeDatasets(inputs: readonly MergeInput[], output?: MergeWindow): MergedDataset {
  const first = inputs[0]!.dataset
  const { windowStartMs, windowMs } = output ?? first
  for (const { dataset } of inputs) {
    assert(dataset.tenant === first.tenant, 'a merge has one tenant')
    assert(dataset.service === first.service, 'a merge has one service')
    assert(dataset.windowStartMs >= windowStartMs, 'the output window starts no later than its inputs')
    assert(
      dataset.windowStartMs + dataset.windowMs <= windowStartMs + windowMs,
      'the output window ends no earlier than its inputs',
    )
  }
  const series = unionSeries(inputs)
  const groups = unionGroups(inputs)
  const refs = sortedRefs(inputs, series.rank, groups.rank)
  const merged = new MergedSymbols(inputs.map(({ dataset }) => dataset.symbols))
  const stacks = inputs.map((input) => merged.addSource(input.dataset.symbols, usedStacks(input)))
  const headers = gatherHeaders(inputs, refs, groups.groups)
  const rows = groups.groups.map((group, g) => gatherRows({ inputs, refs, stacks }, group, g))
  const { symbols, functionLevel } = merged.take()
  return {
    dataset: {
      tenant: first.tenant,
      service: first.service,
      windowStartMs,
      windowMs,
      symbols,
      series: series.series,
      groups: groups.groups,
      rows,
      headers,
    },
    functionLevel,
  }
}

/** Of each input: its groups and series in the numbering of the merged dataset; what has no header left maps to 0. */
export function mergeNumbering(
  inputs: readonly MergeInput[],
  merged: Pick<Dataset, 'groups' | 'series'>,
): { groupOf: Uint32Array; seriesOf: Uint32Array }[] {
  const groups = new Map(merged.groups.map((group, i) => [groupKey(group), i]))
  const series = new Map(merged.series.map((labels, i) => [labelsKey(labels), i]))
  return inputs.map(({ dataset }) => ({
    groupOf: Uint32Array.from(dataset.groups, (group) => groups.get(groupKey(group)) ?? 0),
    seriesOf: Uint32Array.from(dataset.series, (labels) => series.get(labelsKey(labels)) ?? 0),
  }))
}

/** Distinct series of the headers that stay, sorted; rank[input][series] = new index. */
function unionSeries(inputs: readonly MergeInput[]): { series: Labels[]; rank: Uint32Array[] } {
  const byKey = new Map<string, Labels>()
  for (const { dataset, skip } of inputs) {
    const used = usedRows(dataset.headers.series, dataset.headers.count, skip, dataset.series.length)
    dataset.series.forEach((labels, i) => {
      if (used[i] === 1) byKey.set(labelsKey(labels), labels)
    })
  }
  const series = [...byKey.values()].sort(compareLabels)
  const index = new Map(series.map((labels, i) => [labelsKey(labels), i]))
  return {
    series,
    rank: inputs.map(({ dataset }) => Uint32Array.from(dataset.series, (labels) => index.get(labelsKey(labels)) ?? 0)),
  }
}

function unionGroups(inputs: readonly MergeInput[]): { groups: SampleGroup[]; rank: Uint32Array[] } {
  const byKey = new Map<string, SampleGroup>()
  for (const { dataset, skip } of inputs) {
    const used = usedRows(dataset.headers.group, dataset.headers.count, skip, dataset.groups.length)
    dataset.groups.forEach((group, i) => {
      if (used[i] === 1) byKey.set(groupKey(group), group)
    })
  }
  const keys = [...byKey.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const index = new Map(keys.map((key, i) => [key, i]))
  return {
    groups: keys.map((key) => byKey.get(key)!),
    rank: inputs.map(({ dataset }) => Uint32Array.from(dataset.groups, (group) => index.get(groupKey(group)) ?? 0)),
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

/** 1 for every stack that a sample of a kept header names. */
function usedStacks({ dataset, skip }: MergeInput): Uint8Array {
  const used = new Uint8Array(dataset.symbols.stackCount)
  const { group, rowStart, rowLength, count } = dataset.headers
  let s = 0
  for (let h = 0; h < count; h++) {
    if (skip[s] === h) {
      s++
      continue
    }
    const { stackId } = dataset.rows[group[h]!]!
    const end = rowStart[h]! + rowLength[h]!
    for (let row = rowStart[h]!; row < end; row++) used[stackId[row]!] = 1
  }
  return used
}

function sortedRefs(inputs: readonly MergeInput[], seriesRank: Uint32Array[], groupRank: Uint32Array[]): HeaderRefs {
  let count = 0
  for (const { dataset, skip } of inputs) count += dataset.headers.count - skip.length
  const input = new Uint32Array(count)
  const position = new Uint32Array(count)
  const group = new Uint32Array(count)
  const series = new Uint32Array(count)
  let at = 0
  inputs.forEach(({ dataset: { headers }, skip }, i) => {
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
    return compareTimeAndId(
      inputs[input[a]!]!.dataset.headers,
      position[a]!,
      inputs[input[b]!]!.dataset.headers,
      position[b]!,
    )
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
  inputs: readonly MergeInput[],
  refs: HeaderRefs,
  groups: readonly SampleGroup[],
): ProfileHeaders {
  const { count } = refs
  const of = (i: number): ProfileHeaders => inputs[refs.input[i]!]!.dataset.headers
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

interface RowSources {
  readonly inputs: readonly MergeInput[]
  readonly refs: HeaderRefs
  readonly stacks: readonly SourceStacks[]
}

function gatherRows(sources: RowSources, group: SampleGroup, groupIndex: number): GroupRows {
  const { inputs, refs, stacks } = sources
  let rowCount = 0
  let hasContext = false
  for (let i = 0; i < refs.count; i++) {
    if (refs.group[i] !== groupIndex) continue
    const { dataset } = inputs[refs.input[i]!]!
    rowCount += dataset.headers.rowLength[refs.position[i]!]!
    hasContext ||= dataset.rows[dataset.headers.group[refs.position[i]!]!]!.spanId !== undefined
  }
  const out: GroupRows = {
    rowCount,
    stackId: new Uint32Array(rowCount),
    values: group.types.map(() => allocateInt64Column(rowCount)),
    spanId: hasContext ? allocateInt64Column(rowCount) : undefined,
    traceIdHigh: hasContext ? allocateInt64Column(rowCount) : undefined,
    traceIdLow: hasContext ? allocateInt64Column(rowCount) : undefined,
  }
  const sorter = new RowSorter()
  let at = 0
  for (let i = 0; i < refs.count; i++) {
    if (refs.group[i] !== groupIndex) continue
    const { dataset } = inputs[refs.input[i]!]!
    const h = refs.position[i]!
    const source = dataset.rows[dataset.headers.group[h]!]!
    const start = dataset.headers.rowStart[h]!
    const length = dataset.headers.rowLength[h]!
    const order = sorter.order(source, start, length, stacks[refs.input[i]!]!)
    for (let k = 0; k < length; k++) {
      out.stackId[at + k] = sorter.mapped[order[k]!]!
      order[k]! += start
    }
    copyRows(out, at, source, order.subarray(0, length))
    at += length
  }
  return out
}

/** Order of the rows of one header after their stacks are mapped. Scratch, reused. */
class RowSorter {
  /** New stack id of row start + k. */
  mapped = new Uint32Array(1024)
  #order = new Uint32Array(1024)
  #rowOfStack = new Uint32Array(1024)

  order(source: GroupRows, start: number, length: number, stacks: SourceStacks): Uint32Array {
    if (this.mapped.length < length) {
      this.mapped = new Uint32Array(length * 2)
      this.#order = new Uint32Array(length * 2)
    }
    const { mapped } = this
    const order = this.#order
    let ascending = true
    let unique = true
    let max = 0
    for (let k = 0; k < length; k++) {
      const id = stacks.stackOf(source.stackId[start + k]!)
      if (k > 0 && id < mapped[k - 1]!) ascending = false
      if (k > 0 && source.stackId[start + k] === source.stackId[start + k - 1]) unique = false
      mapped[k] = id
      order[k] = k
      if (id > max) max = id
    }
    if (ascending) return order
    if (!unique) return this.#sortWithContext(source, start, length)
    // Unique stacks: sort the ids natively, then look each one's row up.
    if (this.#rowOfStack.length <= max) this.#rowOfStack = new Uint32Array((max + 1) * 2)
    const rowOfStack = this.#rowOfStack
    for (let k = 0; k < length; k++) {
      rowOfStack[mapped[k]!] = k
      order[k] = mapped[k]!
    }
    order.subarray(0, length).sort()
    for (let k = 0; k < length; k++) order[k] = rowOfStack[order[k]!]!
    return order
  }

  /** Rows of equal stacks are already sorted by (span, trace), and their stack maps to one stack: keep their order. */
  #sortWithContext(source: GroupRows, start: number, length: number): Uint32Array {
    const { mapped } = this
    const rowsOfSource = source.stackId
    const order = this.#order
    order.subarray(0, length).sort((a, b) => {
      if (mapped[a] !== mapped[b]) return mapped[a]! - mapped[b]!
      return rowsOfSource[start + a]! - rowsOfSource[start + b]! || a - b
    })
    return order
  }
}

/** Rows `rows` of the source become rows at, at + 1, … of the output; their stacks are already in place. */
function copyRows(out: GroupRows, at: number, source: GroupRows, rows: Uint32Array): void {
  out.values.forEach((column, t) => copyColumn(column, at, source.values[t]!, rows))
  if (out.spanId === undefined || source.spanId === undefined) return
  copyColumn(out.spanId, at, source.spanId, rows)
  copyColumn(out.traceIdHigh!, at, source.traceIdHigh!, rows)
  copyColumn(out.traceIdLow!, at, source.traceIdLow!, rows)
}

function copyColumn(out: Int64Column, at: number, source: Int64Column, rows: Uint32Array): void {
  const { lo, hi } = source
  for (let k = 0; k < rows.length; k++) {
    const row = rows[k]!
    out.lo[at + k] = lo[row]!
    out.hi[at + k] = hi[row]!
  }
}
