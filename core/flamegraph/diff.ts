/**
 * The flame graph of two trees side by side: nodes are aligned by their path of names, each with offset, total and self
 * of the left and of the right, then the name: seven numbers.
 *
 * 1. The shape is the union of both trees. Merging the left first leaves its self values by node; what the right adds to
 *    them is the right's.
 * 2. One cut: the threshold is the k-th largest of the larger total of either side; a node stays if its parent stays,
 *    either side reaches the threshold and it is not named `other`. What goes is folded as in one tree, per side.
 * 3. Both sides are laid out over the same rows, so each side's offsets are as if it stood alone.
 */
import { assert } from '../assert.ts'
import { addInt64At, allocateInt64Column, getBigInt, type Int64Column } from '../wire/int64.ts'
import { type CutTree, nodeThreshold, OTHER_NAME, withChildren } from './cut.ts'
import { type Layout, layOut, maxSelfRow, namesOf } from './flamegraph.ts'
import { FunctionTree } from './tree.ts'

/** As protobuf carries it. */
export interface FlameGraphDiff {
  readonly names: string[]
  readonly levels: bigint[][]
  readonly total: bigint
  readonly maxSelf: bigint
  readonly leftTicks: bigint
  readonly rightTicks: bigint
}

/** Two trees of one shape: equal names, parents and children. */
export interface CutPair {
  readonly left: CutTree
  readonly right: CutTree
}

interface Side {
  readonly self: Int64Column
  readonly total: Int64Column
  readonly folded: Int64Column
}

/** `maxNodes` is 1 at least. */
export function cutPair(left: FunctionTree, right: FunctionTree, maxNodes: number): CutPair {
  assert(maxNodes >= 1, 'a cut keeps one node at least')
  const shape = new FunctionTree(left.nodeCount)
  shape.merge(left)
  const leftSelf = { lo: shape.self.lo.slice(), hi: shape.self.hi.slice() }
  shape.merge(right)
  const count = shape.nodeCount
  const other = shape.names.internText(OTHER_NAME)
  const sides = [sideOf(shape, grown(leftSelf, count)), sideOf(shape, difference(shape.self, leftSelf, count))] as const
  const reaches = nodeThreshold(larger(sides[0].total, sides[1].total), count, maxNodes)

  // Row in the result + 1; 0 = folded.
  const keptAs = new Uint32Array(count)
  const kept: number[] = [0]
  keptAs[0] = 1
  for (let i = 1; i < count; i++) {
    const parentAs = keptAs[shape.nodeParent[i]!]!
    if (parentAs === 0) continue
    if (shape.nodeName[i] !== other && (reaches === undefined || reaches(i))) keptAs[i] = kept.push(i)
    else for (const side of sides) addInt64At(side.folded, parentAs - 1, side.total.lo[i]!, side.total.hi[i]!)
  }
  const folds = kept.flatMap((_, row) =>
    sides.some(({ folded }) => (folded.lo[row]! | folded.hi[row]!) !== 0) ? [row] : [],
  )
  const rows = {
    names: shape.names,
    nodeCount: kept.length + folds.length,
    nodeParent: Uint32Array.from([...kept.map((node) => Math.max(0, keptAs[shape.nodeParent[node]!]! - 1)), ...folds]),
    nodeName: Uint32Array.from([...kept.map((node) => shape.nodeName[node]!), ...folds.map(() => other)]),
    other,
  }
  const [leftTree, rightTree] = sides.map((side) => withChildren({ ...rows, ...gather(side, kept, folds) }))
  return { left: leftTree!, right: rightTree! }
}

function sideOf(shape: FunctionTree, self: Int64Column): Side {
  const total = { lo: self.lo.slice(), hi: self.hi.slice() }
  for (let i = shape.nodeCount - 1; i > 0; i--) addInt64At(total, shape.nodeParent[i]!, total.lo[i]!, total.hi[i]!)
  return { self, total, folded: allocateInt64Column(shape.nodeCount) }
}

function grown(column: Int64Column, count: number): Int64Column {
  const out = allocateInt64Column(count)
  out.lo.set(column.lo.subarray(0, count))
  out.hi.set(column.hi.subarray(0, count))
  return out
}

/** a - b, where b has zeros past its end. */
function difference(a: Int64Column, b: Int64Column, count: number): Int64Column {
  const out = allocateInt64Column(count)
  for (let i = 0; i < count; i++) {
    const lo = a.lo[i]! - (b.lo[i] ?? 0)
    out.lo[i] = lo
    out.hi[i] = a.hi[i]! - (b.hi[i] ?? 0) - (lo < 0 ? 1 : 0)
  }
  return out
}

function larger(a: Int64Column, b: Int64Column): Int64Column {
  const out = allocateInt64Column(a.lo.length)
  for (let i = 0; i < a.lo.length; i++) {
    const high = (a.hi[i]! | 0) - (b.hi[i]! | 0)
    const of = high > 0 || (high === 0 && a.lo[i]! >= b.lo[i]!) ? a : b
    out.lo[i] = of.lo[i]!
    out.hi[i] = of.hi[i]!
  }
  return out
}

function gather(
  { self, total, folded }: Side,
  kept: readonly number[],
  folds: readonly number[],
): { readonly self: Int64Column; readonly total: Int64Column } {
  const pick = (column: Int64Column): Int64Column => ({
    lo: Uint32Array.from([...kept.map((node) => column.lo[node]!), ...folds.map((row) => folded.lo[row]!)]),
    hi: Uint32Array.from([...kept.map((node) => column.hi[node]!), ...folds.map((row) => folded.hi[row]!)]),
  })
  return { self: pick(self), total: pick(total) }
}

export function flameGraphDiffOf(pair: CutPair): FlameGraphDiff {
  const leftTicks = getBigInt(pair.left.total, 0)
  const rightTicks = getBigInt(pair.right.total, 0)
  const selves = [pair.left, pair.right].map((tree) => getBigInt(tree.self, maxSelfRow(tree)))
  return {
    ...levelsOf(pair),
    total: BigInt.asIntN(64, leftTicks + rightTicks),
    maxSelf: selves[0]! > selves[1]! ? selves[0]! : selves[1]!,
    leftTicks,
    rightTicks,
  }
}

function levelsOf({ left, right }: CutPair): { readonly names: string[]; readonly levels: bigint[][] } {
  const sides: Layout[] = [layOut(left), layOut(right)]
  const { name, levelStart } = sides[0]!
  const levels: bigint[][] = []
  for (let level = 0; level + 1 < levelStart.length; level++) {
    const values: bigint[] = []
    for (let row = levelStart[level]!; row < levelStart[level + 1]!; row++) {
      for (const side of sides) {
        values.push(getBigInt(side.offset, row), getBigInt(side.total, row), getBigInt(side.self, row))
      }
      values.push(BigInt(name[row]!))
    }
    levels.push(values)
  }
  return { names: namesOf(left, sides[0]!), levels }
}
