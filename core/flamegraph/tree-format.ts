/**
 * The TREE bytes of SelectMergeStacktraces (`PROFILE_FORMAT_TREE`), which profilecli reads.
 *
 *   node = uvarint length of name, name, uvarint self, uvarint number of children
 *
 * Pre-order from a stack: a virtual root (empty name, self 0), then its children last first, each followed by its own.
 * An empty tree is no bytes; readers take fewer than two bytes as one. Decoding serves tests and tools; malformed bytes
 * are a `data_loss`, never a crash. No recursion: stacks are 10,000 deep.
 */
import { CinderError } from '../errors.ts'
import { GrowingUint32 } from '../wire/growing.ts'
import { allocateInt64Column } from '../wire/int64.ts'
import type { CutTree } from './cut.ts'
import { FunctionTree } from './tree.ts'
import { VarintReader, VarintWriter } from './varint-column.ts'

export function encodeTreeFormat(tree: CutTree): Uint8Array {
  if (tree.nodeCount === 1) return new Uint8Array(0)
  const writer = new VarintWriter(tree.nodeCount * 32)
  const stack = new Uint32Array(tree.nodeCount)
  let stackLength = 1
  while (stackLength > 0) {
    const node = stack[--stackLength]!
    const start = tree.childStart[node]!
    const end = tree.childStart[node + 1]!
    const name = tree.names.viewBytes(tree.nodeName[node]!)
    writer.uint32(name.length)
    writer.bytes(name)
    writer.uint64(tree.self.lo[node]!, tree.self.hi[node]!)
    writer.uint32(end - start)
    for (let i = start; i < end; i++) stack[stackLength++] = tree.children[i]!
  }
  return writer.take()
}

/** Fails with `data_loss` on bytes that are not a tree. */
export function decodeTreeFormat(bytes: Uint8Array): FunctionTree {
  const tree = new FunctionTree()
  if (bytes.length < 2) return tree
  const reader = new VarintReader(bytes, malformedTree)
  // Nodes that have children to come, and how many: bounded by the depth of the tree, hence by the bytes.
  const parents = new GrowingUint32()
  const pending = new GrowingUint32()
  const self = allocateInt64Column(1)
  let isRoot = true
  while (isRoot || pending.count > 0) {
    const nameLength = reader.uint32()
    const nameStart = reader.skip(nameLength)
    reader.uint64Into(self, 0)
    const childCount = reader.uint32()
    // A child takes three bytes at least.
    if (childCount * 3 > reader.remaining) throw malformedTree(`${childCount} children in ${reader.remaining} bytes`)
    let node = 0
    if (isRoot) isRoot = false
    else {
      const top = pending.count - 1
      node = tree.child(parents.array[top]!, tree.internName(bytes, nameStart, nameStart + nameLength))
      tree.addSelf(node, self.lo[0]!, self.hi[0]!)
      pending.array[top]!--
      if (pending.array[top] === 0) {
        pending.count--
        parents.count--
      }
    }
    if (childCount > 0) {
      parents.push(node)
      pending.push(childCount)
    }
  }
  reader.expectEnd()
  return tree
}

function malformedTree(why: string): CinderError {
  return new CinderError('data_loss', `malformed tree: ${why}`, { reason: 'malformed_tree' })
}
