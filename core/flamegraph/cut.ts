/**
 * The one cut of a flame graph, at the root of a query, after every partial tree is merged.
 *
 * 1. Threshold = total of the k-th largest node (the root does not count); a tree with k nodes or fewer has none.
 * 2. A node stays if its parent stays, its total reaches the threshold and it is not literally named `other`.
 * 3. What goes is folded, per parent that stays, into one leaf named `other`, the last child.
 * 4. Children are ordered by the bytes of their names.
 *
 * No recursion (stacks are 10,000 deep) and no sort over the whole tree: selection is by digits, ordering by counting.
 * A cut never feeds another merge: cutting twice folds nodes that one cut keeps.
 */
import { assert } from '../assert.ts'
import { invalidArgument } from '../errors.ts'
import { addInt64At, allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { NameTable } from './name-table.ts'
import type { FunctionTree } from './tree.ts'

/** The name of folded nodes; clients know it. */
export const OTHER_NAME = 'other'

/** A cut tree in its final shape. Row 0 is the root; a parent's row is below its child's. */
export interface CutTree {
  readonly names: NameTable
  readonly nodeCount: number
  readonly nodeParent: Uint32Array
  readonly nodeName: Uint32Array
  readonly self: Int64Column
  readonly total: Int64Column
  /** Children of node i in order: children[childStart[i], childStart[i + 1]). */
  readonly childStart: Uint32Array
  readonly children: Uint32Array
}

/** Node limits of a tenant. */
export interface NodeLimits {
  /** Where the request names none. */
  readonly defaultNodes: number
  /** 0 = no limit. */
  readonly maxNodes: number
}

/** The node limit of a request: 0 or absent is the default. Fails with `invalid_argument` when negative or too large. */
export function resolveMaxNodes(requested: bigint | undefined, limits: NodeLimits): number {
  if (requested === undefined || requested === 0n) return limits.defaultNodes
  if (requested < 0n) {
    throw invalidArgument(`max flamegraph nodes limit must be set (max allowed ${limits.maxNodes})`, 'max_nodes')
  }
  if (limits.maxNodes > 0 && requested > BigInt(limits.maxNodes)) {
    throw invalidArgument(
      `max flamegraph nodes limit ${requested} is greater than allowed ${limits.maxNodes}`,
      'max_nodes',
    )
  }
  // Without a limit any int64 may come; beyond 2^32 all mean the whole tree.
  return Number(requested > 0xffffffffn ? 0xffffffffn : requested)
}

/** `maxNodes` is 1 at least. Interns the name `other` in the tree's table; the tree is else unchanged. */
export function cutTree(tree: FunctionTree, maxNodes: number): CutTree {
  assert(maxNodes >= 1, 'a cut keeps one node at least')
  const totals = tree.totals()
  const other = tree.names.internText(OTHER_NAME)
  const count = tree.nodeCount
  const threshold = count - 1 <= maxNodes ? INT64_MIN : kthLargest(totals, { start: 1, end: count, k: maxNodes })

  // Row in the result + 1; 0 = folded.
  const keptAs = new Uint32Array(count)
  const kept = new Uint32Array(count)
  keptAs[0] = 1
  let keptCount = 1
  const folded = allocateInt64Column(count)
  for (let i = 1; i < count; i++) {
    const parentAs = keptAs[tree.nodeParent[i]!]!
    if (parentAs === 0) continue
    if (tree.nodeName[i] !== other && reaches(totals, i, threshold)) {
      kept[keptCount] = i
      keptAs[i] = ++keptCount
    } else addInt64At(folded, parentAs - 1, totals.lo[i]!, totals.hi[i]!)
  }
  return withChildren(copyKept(tree, { totals, kept, keptCount, keptAs, folded, other }))
}

interface KeptRows {
  readonly totals: Int64Column
  readonly kept: Uint32Array
  readonly keptCount: number
  readonly keptAs: Uint32Array
  readonly folded: Int64Column
  readonly other: number
}

export type CutRows = Omit<CutTree, 'childStart' | 'children'> & { readonly other: number }

/** Kept nodes in their order, then one `other` for each parent that lost something. */
function copyKept(tree: FunctionTree, rows: KeptRows): CutRows {
  const { totals, kept, keptCount, keptAs, folded, other } = rows
  let nodeCount = keptCount
  for (let i = 0; i < keptCount; i++) if ((folded.lo[i]! | folded.hi[i]!) !== 0) nodeCount++
  const nodeParent = new Uint32Array(nodeCount)
  const nodeName = new Uint32Array(nodeCount)
  const self = allocateInt64Column(nodeCount)
  const total = allocateInt64Column(nodeCount)
  for (let i = 0; i < keptCount; i++) {
    const from = kept[i]!
    if (i > 0) nodeParent[i] = keptAs[tree.nodeParent[from]!]! - 1
    nodeName[i] = tree.nodeName[from]!
    self.lo[i] = tree.self.lo[from]!
    self.hi[i] = tree.self.hi[from]!
    total.lo[i] = totals.lo[from]!
    total.hi[i] = totals.hi[from]!
  }
  let next = keptCount
  for (let i = 0; i < keptCount; i++) {
    const lo = folded.lo[i]!
    const hi = folded.hi[i]!
    if ((lo | hi) === 0) continue
    nodeParent[next] = i
    nodeName[next] = other
    self.lo[next] = lo
    self.hi[next] = hi
    total.lo[next] = lo
    total.hi[next] = hi
    next++
  }
  return { names: tree.names, nodeCount, nodeParent, nodeName, self, total, other }
}

/** Two stable counting sorts: by rank of the name, then by parent. */
export function withChildren({ other, ...tree }: CutRows): CutTree {
  const { nodeCount, nodeParent, nodeName } = tree
  const { rankOfName, rankCount } = rankNames(tree, other)
  const rankStart = new Uint32Array(rankCount + 1)
  for (let i = 1; i < nodeCount; i++) rankStart[rankOfName[nodeName[i]!]! + 1]!++
  for (let rank = 0; rank < rankCount; rank++) rankStart[rank + 1]! += rankStart[rank]!
  const byName = new Uint32Array(nodeCount)
  for (let i = 1; i < nodeCount; i++) byName[rankStart[rankOfName[nodeName[i]!]!]!++] = i

  const childStart = new Uint32Array(nodeCount + 1)
  for (let i = 1; i < nodeCount; i++) childStart[nodeParent[i]! + 1]!++
  for (let i = 0; i < nodeCount; i++) childStart[i + 1]! += childStart[i]!
  const cursor = childStart.slice(0, nodeCount)
  const children = new Uint32Array(Math.max(0, nodeCount - 1))
  for (let i = 0; i < nodeCount - 1; i++) {
    const node = byName[i]!
    children[cursor[nodeParent[node]!]!++] = node
  }
  return { ...tree, childStart, children }
}

/** Ranks of the names in use by bytes; `other` is after all, because only folded nodes carry it. */
function rankNames(
  tree: Omit<CutRows, 'other'>,
  other: number,
): { readonly rankOfName: Uint32Array; readonly rankCount: number } {
  const used = new Uint32Array(tree.names.count)
  let usedCount = 0
  const rankOfName = new Uint32Array(tree.names.count)
  for (let i = 1; i < tree.nodeCount; i++) {
    const name = tree.nodeName[i]!
    if (name === other || rankOfName[name] !== 0) continue
    rankOfName[name] = 1
    used[usedCount++] = name
  }
  tree.names.sort(used.subarray(0, usedCount))
  for (let rank = 0; rank < usedCount; rank++) rankOfName[used[rank]!] = rank
  rankOfName[other] = usedCount
  return { rankOfName, rankCount: usedCount + 1 }
}

/** Whether a node's total reaches the k-th largest (row 0, the root, does not count); undefined: nothing is cut. */
export function nodeThreshold(
  totals: Int64Column,
  nodeCount: number,
  maxNodes: number,
): ((node: number) => boolean) | undefined {
  if (nodeCount - 1 <= maxNodes) return undefined
  const threshold = kthLargest(totals, { start: 1, end: nodeCount, k: maxNodes })
  return (node) => reaches(totals, node, threshold)
}

/** An int64 as lanes with the sign bit of `hi` flipped, so that unsigned order is signed order. */
interface OrderedInt64 {
  readonly lo: number
  readonly flippedHi: number
}

const INT64_MIN: OrderedInt64 = { lo: 0, flippedHi: 0 }

function reaches(column: Int64Column, index: number, threshold: OrderedInt64): boolean {
  const hi = (column.hi[index]! ^ 0x80000000) >>> 0
  return hi > threshold.flippedHi || (hi === threshold.flippedHi && column.lo[index]! >= threshold.lo)
}

/** The k-th largest of rows [start, end), by four 16-bit digits from the top: four passes, exact for every int64. */
function kthLargest(column: Int64Column, range: { start: number; end: number; k: number }): OrderedInt64 {
  const counts = new Uint32Array(65_536)
  let rest = range.k
  let flippedHi = 0
  let lo = 0
  for (let digit = 3; digit >= 0; digit--) {
    counts.fill(0)
    for (let i = range.start; i < range.end; i++) {
      const hi = (column.hi[i]! ^ 0x80000000) >>> 0
      if (digit === 3) counts[hi >>> 16]!++
      else if (digit === 2) {
        if (hi >>> 16 === flippedHi >>> 16) counts[hi & 0xffff]!++
      } else if (hi === flippedHi) {
        const low = column.lo[i]!
        if (digit === 1) counts[low >>> 16]!++
        else if (low >>> 16 === lo >>> 16) counts[low & 0xffff]!++
      }
    }
    let value = 65_535
    while (counts[value]! < rest) rest -= counts[value--]!
    if (digit >= 2) flippedHi = (flippedHi | (value << ((digit - 2) * 16))) >>> 0
    else lo = (lo | (value << (digit * 16))) >>> 0
  }
  return { lo, flippedHi }
}
