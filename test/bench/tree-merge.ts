/** Merging partial flame graphs in columns, against trees of objects with child maps, as one would write them first. */
import { assert } from '#core/assert.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { seededRandom } from '../support/profiles.ts'
import type { BenchCase } from './figure.ts'
import { measure } from './measure.ts'

const TREES = 16
const NODES = 10_000
const FUNCTIONS = 1_500
/** Measured 24 when the layout was chosen; 10 leaves room for a loaded machine. */
const SPEEDUP_MIN = 10

interface ObjectNode {
  readonly children: Map<string, ObjectNode>
  self: number
}

export const treeMergeCase: BenchCase = {
  name: 'tree-merge',
  about: `${TREES} trees of ${NODES.toLocaleString('en-US')} nodes into one, against trees of objects`,
  run() {
    const paths = growPaths()
    const trees = Array.from({ length: TREES }, (_, i) => columnsOf(paths, i))
    const objects = Array.from({ length: TREES }, (_, i) => objectsOf(paths, i))
    const mergeColumns = (): FunctionTree => {
      const into = new FunctionTree()
      for (const tree of trees) into.merge(tree)
      return into
    }
    const mergeObjects = (): ObjectNode => {
      const into: ObjectNode = { children: new Map(), self: 0 }
      for (const tree of objects) mergeObject(into, tree)
      return into
    }
    assert(getBigInt(mergeColumns().totals(), 0) === BigInt(totalOf(mergeObjects())), 'both merges have one total')
    const times = measure({
      columns: () => mergeColumns().nodeCount,
      objects: () => mergeObjects().children.size,
    })
    const nodes = trees.reduce((sum, tree) => sum + tree.nodeCount, 0)
    return [
      { what: 'columns', value: nodes / 1e3 / times.perCallMs('columns'), unit: 'Mnodes/s' },
      { what: 'objects', value: nodes / 1e3 / times.perCallMs('objects'), unit: 'Mnodes/s' },
      {
        what: 'columns / objects',
        value: times.speedup('columns', 'objects'),
        unit: 'x',
        goal: { op: '>=', value: SPEEDUP_MIN },
      },
    ]
  },
}

interface Paths {
  readonly parent: Uint32Array
  readonly name: Uint32Array
}

/** A call tree larger than each single one, so that trees overlap but differ. */
function growPaths(): Paths {
  const random = seededRandom(11)
  const count = Math.floor(NODES * 1.5)
  const parent = new Uint32Array(count)
  const name = new Uint32Array(count)
  for (let node = 1; node < count; node++) {
    parent[node] = node < 20 ? 0 : random(node)
    name[node] = random(FUNCTIONS)
  }
  return { parent, name }
}

/** Which nodes tree i has, parents with them, and their values: the same for both shapes. */
function* nodesOf({ parent }: Paths, tree: number): Generator<{ node: number; self: number }> {
  const random = seededRandom(100 + tree)
  const has = new Uint8Array(parent.length)
  has[0] = 1
  for (let node = 1; node < parent.length; node++) {
    if (has[parent[node]!] === 0 || random(100) < 4) continue
    has[node] = 1
    yield { node, self: random(1_000) }
  }
}

function functionName(id: number): string {
  return `github.com/acme/shop/pkg${id % 41}.(*Handler).method${id}`
}

function columnsOf(paths: Paths, i: number): FunctionTree {
  const tree = new FunctionTree()
  const target = new Uint32Array(paths.parent.length)
  for (const { node, self } of nodesOf(paths, i)) {
    const name = tree.internText(functionName(paths.name[node]!))
    target[node] = tree.child(target[paths.parent[node]!]!, name)
    tree.addSelf(target[node]!, self, 0)
  }
  return tree
}

function objectsOf(paths: Paths, i: number): ObjectNode {
  const root: ObjectNode = { children: new Map(), self: 0 }
  const target: (ObjectNode | undefined)[] = [root]
  for (const { node, self } of nodesOf(paths, i)) {
    const child = childOf(target[paths.parent[node]!]!, functionName(paths.name[node]!))
    child.self += self
    target[node] = child
  }
  return root
}

function childOf(parent: ObjectNode, name: string): ObjectNode {
  let child = parent.children.get(name)
  if (child === undefined) {
    child = { children: new Map(), self: 0 }
    parent.children.set(name, child)
  }
  return child
}

function mergeObject(into: ObjectNode, from: ObjectNode): void {
  into.self += from.self
  for (const [name, child] of from.children) mergeObject(childOf(into, name), child)
}

function totalOf(node: ObjectNode): number {
  let total = node.self
  for (const child of node.children.values()) total += totalOf(child)
  return total
}
