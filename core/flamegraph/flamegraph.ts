/**
 * The flame graph that clients draw: names and levels, each node four int64: x offset, total, self, name.
 *
 * 1. Visit the cut tree from a stack, last child first: every level is met from right to left and filled from its end,
 *    and names are numbered in order of first visit, as clients have always seen them.
 * 2. A node's first child starts at its x + self; the next at the end of the one before.
 * 3. Offsets are deltas: x minus the end of the node before in the level.
 *
 * Lanes throughout, so that totals are exact in int64; bigint only in the last step. An empty tree is one
 * level with [0, 0, 0, 0].
 */
import { addInt64At, allocateInt64Column, getBigInt, type Int64Column } from '../wire/int64.ts'
import { type CutTree, cutTree } from './cut.ts'
import type { FunctionTree } from './tree.ts'

/** As protobuf carries it. */
export interface FlameGraph {
  readonly names: string[]
  readonly levels: bigint[][]
  readonly total: bigint
  readonly maxSelf: bigint
}

const TOTAL_NAME = 'total'

/** `maxNodes` is 1 at least. */
export function buildFlameGraph(tree: FunctionTree, maxNodes: number): FlameGraph {
  return flameGraphOf(cutTree(tree, maxNodes))
}

export function flameGraphOf(tree: CutTree): FlameGraph {
  const layout = layOut(tree)
  return {
    names: namesOf(tree, layout),
    levels: levelsOf(layout),
    total: getBigInt(tree.total, 0),
    maxSelf: getBigInt(tree.self, maxSelfRow(tree)),
  }
}

export function namesOf({ names }: CutTree, { nameIds }: Layout): string[] {
  return nameIds.map((id) => names.text(id))
}

/** Rows are positions: level by level, left to right. Level l is rows [levelStart[l], levelStart[l + 1]). */
export interface Layout {
  /** In order of first visit; the first is that of the root. */
  readonly nameIds: number[]
  readonly levelStart: Uint32Array
  readonly offset: Int64Column
  readonly total: Int64Column
  readonly self: Int64Column
  readonly name: Uint32Array
}

function levelsOf(layout: Layout): bigint[][] {
  const levels: bigint[][] = []
  for (let level = 0; level + 1 < layout.levelStart.length; level++) {
    const start = layout.levelStart[level]!
    const end = layout.levelStart[level + 1]!
    const values: bigint[] = []
    for (let row = start; row < end; row++) {
      values.push(
        valueAt(layout.offset, row),
        valueAt(layout.total, row),
        valueAt(layout.self, row),
        BigInt(layout.name[row]!),
      )
    }
    levels.push(values)
  }
  return levels
}

/** Most values fit in 32 bits, which are read without shifts. */
function valueAt(column: Int64Column, row: number): bigint {
  return column.hi[row] === 0 ? BigInt(column.lo[row]!) : getBigInt(column, row)
}

export function layOut(tree: CutTree): Layout {
  const { depth, levelStart } = measureLevels(tree)
  const { nodeCount, children, childStart } = tree
  const layout: Layout = {
    nameIds: [tree.names.internText(TOTAL_NAME)],
    levelStart,
    offset: allocateInt64Column(nodeCount),
    total: allocateInt64Column(nodeCount),
    self: allocateInt64Column(nodeCount),
    name: new Uint32Array(nodeCount),
  }
  // Index + 1 in `nameIds`; the root, and functions that bear its name, have index 0.
  const nameIndex = new Uint32Array(tree.names.count)
  nameIndex[layout.nameIds[0]!] = 1
  const cursor = levelStart.slice(1)
  const x = allocateInt64Column(nodeCount)
  const stack = new Uint32Array(nodeCount)
  let stackLength = 1
  while (stackLength > 0) {
    const node = stack[--stackLength]!
    const row = --cursor[depth[node]!]!
    copyRow({ from: tree.total, row: node }, layout.total, row)
    copyRow({ from: tree.self, row: node }, layout.self, row)
    copyRow({ from: x, row: node }, layout.offset, row)
    if (node > 0) layout.name[row] = indexName(tree.nodeName[node]!, nameIndex, layout.nameIds)
    placeChildren(tree, node, x)
    for (let i = childStart[node]!; i < childStart[node + 1]!; i++) stack[stackLength++] = children[i]!
  }
  for (let level = 0; level + 1 < levelStart.length; level++) {
    toDeltas(layout, levelStart[level]!, levelStart[level + 1]!)
  }
  return layout
}

function measureLevels(tree: CutTree): { readonly depth: Uint32Array; readonly levelStart: Uint32Array } {
  const depth = new Uint32Array(tree.nodeCount)
  let deepest = 0
  for (let i = 1; i < tree.nodeCount; i++) {
    const own = depth[tree.nodeParent[i]!]! + 1
    depth[i] = own
    if (own > deepest) deepest = own
  }
  const levelStart = new Uint32Array(deepest + 2)
  for (let i = 0; i < tree.nodeCount; i++) levelStart[depth[i]! + 1]!++
  for (let level = 0; level <= deepest; level++) levelStart[level + 1]! += levelStart[level]!
  return { depth, levelStart }
}

function indexName(name: number, nameIndex: Uint32Array, nameIds: number[]): number {
  const known = nameIndex[name]!
  if (known !== 0) return known - 1
  const count = nameIds.push(name)
  nameIndex[name] = count
  return count - 1
}

/** Sets x of a node's children; x of the node is set. */
function placeChildren(tree: CutTree, node: number, x: Int64Column): void {
  let before = node
  let beforeWidth = tree.self
  for (let i = tree.childStart[node]!; i < tree.childStart[node + 1]!; i++) {
    const child = tree.children[i]!
    x.lo[child] = x.lo[before]!
    x.hi[child] = x.hi[before]!
    addInt64At(x, child, beforeWidth.lo[before]!, beforeWidth.hi[before]!)
    before = child
    beforeWidth = tree.total
  }
}

/** offset[row] -= end of the row before, from the right so that the left one is still absolute. */
function toDeltas(layout: Layout, start: number, end: number): void {
  const { offset, total } = layout
  for (let row = end - 1; row > start; row--) {
    subtractInt64At(offset, row, offset.lo[row - 1]!, offset.hi[row - 1]!)
    subtractInt64At(offset, row, total.lo[row - 1]!, total.hi[row - 1]!)
  }
}

function subtractInt64At(column: Int64Column, row: number, lo: number, hi: number): void {
  const difference = column.lo[row]! - lo
  column.lo[row] = difference
  column.hi[row] = column.hi[row]! - hi - (difference < 0 ? 1 : 0)
}

function copyRow(source: { from: Int64Column; row: number }, to: Int64Column, row: number): void {
  to.lo[row] = source.from.lo[source.row]!
  to.hi[row] = source.from.hi[source.row]!
}

export function maxSelfRow(tree: CutTree): number {
  const { lo, hi } = tree.self
  let best = 0
  for (let i = 1; i < tree.nodeCount; i++) {
    const higher = (hi[i]! | 0) - (hi[best]! | 0)
    if (higher > 0 || (higher === 0 && lo[i]! > lo[best]!)) best = i
  }
  return best
}
