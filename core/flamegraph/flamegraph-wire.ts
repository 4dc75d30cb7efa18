/**
 * A cut tree as the bytes of a FlameGraph message, from its lanes: without a bigint and an array a level (8,192 nodes are
 * 33,000 numbers).
 *
 *   1: name, 2: level { 1: packed int64 }, 3: total, 4: highest self
 *
 * Zeros outside of packed values are left out, as proto3 does. The layout is that of flamegraph.ts.
 */
import type { Int64Column } from '../wire/int64.ts'
import type { CutTree } from './cut.ts'
import { layOut, type Layout, maxSelfRow } from './flamegraph.ts'
import { VarintWriter } from './varint-column.ts'

const NAME_TAG = 0x0a
const LEVEL_TAG = 0x12
const VALUES_TAG = 0x0a
const TOTAL_TAG = 0x18
const MAX_SELF_TAG = 0x20
/** Most values of a node take so much. */
const NODE_BYTES = 12

const UTF8 = new TextEncoder()

export function encodeFlameGraph(tree: CutTree): Uint8Array {
  const layout = layOut(tree)
  const out = new VarintWriter(layout.nameIds.length * 40 + tree.nodeCount * NODE_BYTES)
  const { names } = tree
  for (const id of layout.nameIds) {
    // A name that is no UTF-8 is shown with marks where it is not.
    const bytes = names.isAscii(id) ? names.viewBytes(id) : UTF8.encode(names.text(id))
    out.byte(NAME_TAG)
    out.uint32(bytes.length)
    out.bytes(bytes)
  }
  for (let level = 0; level + 1 < layout.levelStart.length; level++) writeLevel(out, layout, level)
  writeField(out, TOTAL_TAG, tree.total, 0)
  writeField(out, MAX_SELF_TAG, tree.self, maxSelfRow(tree))
  return out.take()
}

function writeLevel(out: VarintWriter, { levelStart, offset, total, self, name }: Layout, level: number): void {
  const start = levelStart[level]!
  const end = levelStart[level + 1]!
  const values = new VarintWriter((end - start) * NODE_BYTES)
  for (let row = start; row < end; row++) {
    values.uint64(offset.lo[row]!, offset.hi[row]!)
    values.uint64(total.lo[row]!, total.hi[row]!)
    values.uint64(self.lo[row]!, self.hi[row]!)
    values.uint32(name[row]!)
  }
  const packed = values.take()
  out.byte(LEVEL_TAG)
  out.uint32(1 + varintBytes(packed.length) + packed.length)
  out.byte(VALUES_TAG)
  out.uint32(packed.length)
  out.bytes(packed)
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest > 127; rest >>>= 7) bytes++
  return bytes
}

function writeField(out: VarintWriter, tag: number, column: Int64Column, row: number): void {
  if ((column.lo[row]! | column.hi[row]!) === 0) return
  out.byte(tag)
  out.uint64(column.lo[row]!, column.hi[row]!)
}
