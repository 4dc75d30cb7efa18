/** Trees written and read as stacks, root first, joined with `;`. */
import type { CutTree } from '#core/flamegraph/cut.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { getBigInt, type Int64Column } from '#core/wire/int64.ts'

export type Stack = readonly [path: string, self: bigint]

export function treeOf(stacks: readonly Stack[]): FunctionTree {
  const tree = new FunctionTree()
  for (const [path, self] of stacks) {
    let node = 0
    for (const name of path.split(';')) node = tree.child(node, tree.internText(name))
    tree.addSelf(node, Number(self & 0xffffffffn), Number((self >> 32n) & 0xffffffffn))
  }
  return tree
}

/** `path` to a column's value, for every node but the root. */
export function byPath(tree: FunctionTree | CutTree, column: Int64Column = tree.self): Map<string, bigint> {
  const paths = ['']
  const values = new Map<string, bigint>()
  for (let i = 1; i < tree.nodeCount; i++) {
    const parent = paths[tree.nodeParent[i]!]!
    const path = `${parent === '' ? '' : `${parent};`}${tree.names.text(tree.nodeName[i]!)}`
    paths.push(path)
    values.set(path, getBigInt(column, i))
  }
  return values
}

/** Sums of equal stacks with every prefix present: what a tree should hold. */
export function expectedByPath(stacks: readonly Stack[]): Map<string, bigint> {
  const values = new Map<string, bigint>()
  for (const [path, self] of stacks) {
    const frames = path.split(';')
    for (let depth = 1; depth < frames.length; depth++) {
      const prefix = frames.slice(0, depth).join(';')
      values.set(prefix, values.get(prefix) ?? 0n)
    }
    values.set(path, BigInt.asIntN(64, (values.get(path) ?? 0n) + self))
  }
  return values
}

export function sorted(values: Map<string, bigint>): [string, bigint][] {
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1))
}
