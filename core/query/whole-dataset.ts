/**
 * Datasets that a flame graph wants whole, answered by their stored total (block/function-totals.ts): a month of days costs
 * a total each, not 24 rollups, and of the head the labels are decoded and no header.
 *
 * 1. `selectWhole`: the profiles of the dataset lie inside the range, none is on the skip list, and of each selected type
 *    every series that has profiles of its group is selected. The conservation sums say which these are: each (group,
 *    series, type) has one.
 * 2. `addWhole`: the values of the totals, node by node.
 * Samples cannot be tested there, nor stacks: who selects some of them reads rows.
 */
import { corrupt, sectionSubject } from '../block/format.ts'
import { type DatasetHead, type FetchedRanges, type FunctionTotal, readFunctionTotals } from '../block/read.ts'
import { findSection } from '../block/section-table.ts'
import type { FunctionTree } from '../flamegraph/tree.ts'
import { addInt64At, allocateInt64Column } from '../wire/int64.ts'
import type { ProfileQuery } from './aggregate.ts'
import type { NamedStacks } from './call-site.ts'
import { selectSeries, type SelectedType } from './select-series.ts'
import { addNodesToTree } from './stack-sums.ts'

/** Undefined if the total cannot answer; empty if the dataset has nothing for the query. */
export function selectWhole(head: DatasetHead, query: ProfileQuery): SelectedType[] | undefined {
  const { minTimeMs, maxTimeMs, tenant } = head.descriptor
  if (findSection(head.table, 'functionTotals') === undefined || query.skip.length > 0) return undefined
  // Both are floors: the last profile may lie up to a millisecond above its one.
  if (minTimeMs < query.startMs || maxTimeMs >= query.endMs) return undefined
  const { series, groups } = head
  const selected = selectSeries({ series, groups, tenant }, query)
  const isWhole = selected.every((each) =>
    head.sums.every(
      ({ group, type, series: of }) => group !== each.group || type !== each.type || each.series[of] === 1,
    ),
  )
  return isWhole ? selected : undefined
}

/** Those of the selected types. */
export function wholeTotals(
  head: DatasetHead,
  fetched: FetchedRanges,
  selected: readonly SelectedType[],
): FunctionTotal[] {
  return readFunctionTotals(head, fetched).filter(({ group, type }) =>
    selected.some((each) => each.group === group && each.type === type),
  )
}

/** Returns how many values were added. */
export function addWhole(
  tree: FunctionTree,
  { head, totals }: { readonly head: DatasetHead; readonly totals: readonly FunctionTotal[] },
  named: NamedStacks,
): number {
  const { level } = named
  const self = allocateInt64Column(level.nodeCount)
  const needed = new Uint8Array(level.nodeCount)
  let rows = 0
  for (const { nodes, values } of totals) {
    // They ascend.
    if ((nodes.at(-1) ?? 0) >= level.nodeCount)
      throw corrupt(sectionSubject(head.subject, 'functionTotals'), `node ${nodes.at(-1)} of ${level.nodeCount}`)
    nodes.forEach((node, row) => {
      // Node 0 has the samples without a stack, which have no place in a flame graph.
      if (node === 0) return
      needed[node] = 1
      addInt64At(self, node, values.lo[row]!, values.hi[row]!)
    })
    rows += nodes.length
  }
  addNodesToTree(tree, { ...named, self, needed })
  return rows
}
