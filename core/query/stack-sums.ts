/**
 * From sample rows to a function tree: sums per stack first, names last, so that the cost of a query follows rows once
 * and distinct stacks after that.
 *
 * 1. `add` sums rows into two lanes per stack id (exact modulo 2^64). `residualsFor` gives out doubles by stack instead,
 *    for rows that share a divisor (block/frame-sums.ts); they are multiplied and added when the divisor changes, when they
 *    could be inexact, and before anybody looks.
 * 2. `addToTree` sums stacks into function-level nodes, then inserts only the nodes that lead to a value.
 * The empty stack is left out: a sample without frames has no place in a flame graph (it counts in time series).
 */
import { RESIDUAL_ROWS_MAX } from '../block/frame-sums.ts'
import type { FunctionTree } from '../flamegraph/tree.ts'
import { addInt64At, allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { NamedStacks } from './call-site.ts'

const TWO32 = 2 ** 32

export class StackSums {
  readonly #sums: Int64Column
  #residuals: Float64Array | undefined
  #divisor = 1
  /** Added since the residuals were zero. */
  #residualRows = 0

  constructor(stackCount: number) {
    this.#sums = allocateInt64Column(stackCount)
  }

  get stackCount(): number {
    return this.#sums.lo.length
  }

  /** Adds rows [start, end). */
  add(stackId: Uint32Array, values: Int64Column, start: number, end: number): void {
    const { lo, hi } = this.#sums
    for (let row = start; row < end; row++) {
      const stack = stackId[row]!
      const sum = lo[stack]! + values.lo[row]!
      lo[stack] = sum
      hi[stack] = hi[stack]! + values.hi[row]! + (sum > 0xffffffff ? 1 : 0)
    }
  }

  /** Residuals by stack, to which rows of this divisor are added; below 2^32 each, at most `rows`. Valid until the next call. */
  residualsFor(divisor: number, rows: number): Float64Array {
    if (divisor !== this.#divisor || this.#residualRows + rows > RESIDUAL_ROWS_MAX) this.#settle()
    this.#divisor = divisor
    this.#residualRows += rows
    this.#residuals ??= new Float64Array(this.stackCount)
    return this.#residuals
  }

  #settle(): void {
    const residuals = this.#residuals
    if (residuals === undefined || this.#residualRows === 0) return
    this.#residualRows = 0
    const divisor = this.#divisor
    for (let stack = 0; stack < residuals.length; stack++) {
      const residual = residuals[stack]!
      if (residual === 0) continue
      residuals[stack] = 0
      const product = residual * divisor
      if (product <= Number.MAX_SAFE_INTEGER) {
        const low = product % TWO32
        addInt64At(this.#sums, stack, low, (product - low) / TWO32)
      } else {
        const exact = BigInt(residual) * BigInt(divisor)
        addInt64At(this.#sums, stack, Number(exact & 0xffffffffn), Number((exact >> 32n) & 0xffffffffn))
      }
    }
  }

  /** As `add`, of the rows that pass. */
  addWhere(
    stackId: Uint32Array,
    values: Int64Column,
    { start, end }: { readonly start: number; readonly end: number },
    passes: (row: number) => boolean,
  ): void {
    for (let row = start; row < end; row++)
      if (passes(row)) addInt64At(this.#sums, stackId[row]!, values.lo[row]!, values.hi[row]!)
  }

  /** Forgets the stacks that are not marked 1. */
  retain(kept: Uint8Array): void {
    this.#settle()
    for (let stack = 0; stack < this.stackCount; stack++) {
      if (kept[stack] === 1) continue
      this.#sums.lo[stack] = 0
      this.#sums.hi[stack] = 0
    }
  }

  /** Borrowed: sums by stack. */
  view(): Int64Column {
    this.#settle()
    return this.#sums
  }

  addToTree(tree: FunctionTree, named: NamedStacks): void {
    const { level, stackNode } = named
    this.#settle()
    const self = allocateInt64Column(level.nodeCount)
    const needed = new Uint8Array(level.nodeCount)
    for (let stack = 0; stack < stackNode.length; stack++) {
      const lo = this.#sums.lo[stack]!
      const hi = this.#sums.hi[stack]!
      if (lo === 0 && hi === 0) continue
      const node = level.nodeToFunctionNode[stackNode[stack]!]!
      if (node === 0) continue
      addInt64At(self, node, lo, hi)
      needed[node] = 1
    }
    addNodesToTree(tree, { ...named, self, needed })
  }
}

export interface NodeSums extends Pick<NamedStacks, 'level' | 'viewName' | 'nameTable'> {
  /** By node. */
  readonly self: Int64Column
  /** 1 = has a value; those that lead to one are marked here. */
  readonly needed: Uint8Array
}

export function addNodesToTree(tree: FunctionTree, { level, viewName, nameTable, self, needed }: NodeSums): void {
  for (let node = level.nodeCount - 1; node > 0; node--) if (needed[node] === 1) needed[level.parent[node]!] = 1
  const target = new Uint32Array(level.nodeCount)
  // Name in the tree by row of the level's name table; 0 = not met yet, as is the empty name, which nobody waits for.
  const names = new Uint32Array(highest(level.name) + 1)
  // Datasets of one service bring the same names and nodes in nearly the same order: the next one is tried first.
  let lastName = 0
  let lastNode = 0
  for (let node = 1; node < level.nodeCount; node++) {
    if (needed[node] === 0) continue
    const nameId = level.name[node]!
    let name = names[nameId]!
    if (name === 0) {
      name = internName(tree, { viewName, nameTable }, nameId, lastName + 1)
      names[nameId] = name
      lastName = name
    }
    lastNode = tree.child(target[level.parent[node]!]!, name, lastNode + 1)
    target[node] = lastNode
    if (self.lo[node] !== 0 || self.hi[node] !== 0) tree.addSelf(lastNode, self.lo[node]!, self.hi[node]!)
  }
}

function internName(
  tree: FunctionTree,
  { viewName, nameTable }: Pick<NodeSums, 'viewName' | 'nameTable'>,
  name: number,
  guess: number,
): number {
  if (nameTable !== undefined) {
    const { bytes, offset } = nameTable
    return tree.internName(bytes, offset[name]!, offset[name + 1]!, guess)
  }
  const bytes = viewName(name)
  return tree.internName(bytes, 0, bytes.length, guess)
}

function highest(column: Uint32Array): number {
  let max = 0
  for (let i = 0; i < column.length; i++) if (column[i]! > max) max = column[i]!
  return max
}
