/**
 * Merges datasets of one tenant and service that are in memory into one, whose window holds theirs. The worker merges
 * regions frame by frame with the same parts (merge-regions.ts); this is the whole at once, for readers of small inputs.
 *
 * 1. Headers (merge-headers.ts): all but those on skip lists, in order.
 * 2. Symbols (merge-symbols.ts): stacks get their numbers input by input.
 * 3. Rows (merge-rows.ts): mapped and sorted within their header; values are never added.
 */
import { assert } from '../assert.ts'
import type { Dataset } from '../block/dataset.ts'
import { FRAME_ROWS_TARGET } from '../block/format.ts'
import { emptyRows } from '../block/frames.ts'
import type { FunctionLevel } from '../symbols/function-level.ts'
import { mergeHeaders } from './merge-headers.ts'
import { gatherRows, type RowGatherer, RowSorter } from './merge-rows.ts'
import { MergedSymbols } from './merge-symbols.ts'
import { FIRST_LEVEL } from './policy.ts'

export interface MergeInput {
  readonly dataset: Dataset
  /** Header positions to leave out, ascending. */
  readonly skip: readonly number[]
}

export interface MergedDataset {
  readonly dataset: Dataset
  /** Of the merged stacks; its names are rows of the dataset's strings. */
  readonly functionLevel: FunctionLevel
}

export interface MergeWindow {
  readonly windowStartMs: number
  readonly windowMs: number
}

/**
 * Rows that a dataset must have to get rollups. A first block of less than a frame gets none: queries read its one frame in a
 * request either way, it is merged again within the hour, and rollups of so few profiles took a ninth of its merge.
 */
export function rollupRowsMinOf(level: number): number {
  return level === FIRST_LEVEL ? FRAME_ROWS_TARGET : 0
}

/** What a merge must have in common. */
type MergeMember = Pick<Dataset, 'tenant' | 'service' | 'windowStartMs' | 'windowMs'>

export function checkMembers(members: readonly MergeMember[], { windowStartMs, windowMs }: MergeWindow): void {
  const first = members[0]!
  for (const member of members) {
    assert(member.tenant === first.tenant, 'a merge has one tenant')
    assert(member.service === first.service, 'a merge has one service')
    assert(member.windowStartMs >= windowStartMs, 'the output window starts no later than its inputs')
    assert(
      member.windowStartMs + member.windowMs <= windowStartMs + windowMs,
      'the output window ends no earlier than its inputs',
    )
  }
}

/** Without a window the output has that of the inputs, which are equal then. */
export function mergeDatasets(inputs: readonly MergeInput[], output?: MergeWindow): MergedDataset {
  const first = inputs[0]!.dataset
  const { windowStartMs, windowMs } = output ?? first
  const datasets = inputs.map(({ dataset }) => dataset)
  checkMembers(datasets, { windowStartMs, windowMs })
  const { series, groups, headers, refs } = mergeHeaders(inputs.map(({ dataset, skip }) => ({ ...dataset, skip })))
  const merged = new MergedSymbols(first.symbols)
  const gatherer: RowGatherer = {
    refs,
    sorter: new RowSorter(),
    stackOf: inputs.map((input) => merged.addSource(input.dataset.symbols, usedStacks(input))),
    spanOf(input, position) {
      const { headers: from, rows } = datasets[input]!
      const group = rows[from.group[position]!]!
      return { rows: group, start: from.rowStart[position]!, length: from.rowLength[position]! }
    },
  }
  const { symbols, functionLevel } = merged.take()
  let next = 0
  const rows = groups.map((group, g) => {
    const start = next
    let rowCount = 0
    let hasContext = false
    while (next < refs.count && refs.group[next] === g) {
      rowCount += headers.rowLength[next]!
      hasContext ||= gatherer.spanOf(refs.input[next]!, refs.position[next]!).rows.spanId !== undefined
      next++
    }
    const out = emptyRows(group, rowCount, hasContext)
    gatherRows(gatherer, { first: start, end: next }, out)
    return out
  })
  const { tenant, service } = first
  return {
    dataset: { tenant, service, windowStartMs, windowMs, symbols, series, groups, rows, headers },
    functionLevel,
  }
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
