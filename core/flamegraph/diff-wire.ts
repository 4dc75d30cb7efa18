/**
 * A difference of two flame graphs as the bytes of a FlameGraphDiff message.
 *
 *   1: name, 2: level { 1: packed int64 }, 3: total, 4: highest self, 5: left total, 6: right total
 */
import { ProtobufWriter } from '../wire/protobuf.ts'
import type { FlameGraphDiff } from './diff.ts'

export function encodeFlameGraphDiff(graph: FlameGraphDiff): Uint8Array {
  const out = new ProtobufWriter(1 << 12)
  const level = new ProtobufWriter()
  const packed = new ProtobufWriter()
  for (const name of graph.names) out.bytesField(1, new TextEncoder().encode(name))
  for (const values of graph.levels) {
    level.clear()
    packed.clear()
    for (const value of values) packed.varintBigInt(value)
    level.messageField(1, packed)
    out.messageField(2, level)
  }
  const { total, maxSelf, leftTicks, rightTicks } = graph
  for (const [i, value] of [total, maxSelf, leftTicks, rightTicks].entries()) out.varintField(3 + i, value)
  return out.copyBytes()
}
