/** Decoders of trees: what query-backends send to the frontend, and the TREE bytes of a client. */
import { cutTree } from '#core/flamegraph/cut.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { decodeTreeFormat, encodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { decodeTree, encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { isDataLoss } from '../support/block-faults.ts'
import { seededRandom } from '../support/profiles.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

function treeOf(nodes: number, seed: number): FunctionTree {
  const random = seededRandom(seed)
  const tree = new FunctionTree()
  for (let i = 0; i < nodes; i++) {
    const node = tree.child(random(tree.nodeCount), tree.internText(`function ${random(nodes)} größe`))
    tree.addSelf(node, random(2 ** 32), random(4) === 0 ? random(2 ** 31) : 0)
  }
  return tree
}

const TREES = [new FunctionTree(), treeOf(1, 1), treeOf(5, 2), treeOf(60, 3)]

/** Everything that an answer does with a tree. */
function use(tree: FunctionTree): void {
  flameGraphOf(cutTree(tree, 16))
  const again = decodeTree(encodeTree(tree))
  if (again.nodeCount > tree.nodeCount) throw new Error('a tree that grows when it is sent')
}

/** An empty tree has tables for 256 nodes; a node takes 24 bytes and its cut about as much, and tables double. */
const TREE_MEMORY = { baseBytes: 256 * 1024, multiple: 512 }

const functionTree: FuzzTarget = {
  name: 'function-tree',
  seeds: TREES.map(encodeTree),
  read: (input) => use(decodeTree(input)),
  isRefusal: isDataLoss,
  memory: TREE_MEMORY,
}

const treeFormat: FuzzTarget = {
  name: 'tree-format',
  seeds: TREES.map((tree) => encodeTreeFormat(cutTree(tree, 1_000))),
  read: (input) => use(decodeTreeFormat(input)),
  isRefusal: isDataLoss,
  memory: TREE_MEMORY,
}

fuzz([functionTree, treeFormat])
