/** Conservation sums as the merge will check them: group, series, type, total, mix32, mixPrime; sorted, unique. */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'
import type { ConservationSum } from './dataset.ts'

export function encodeSums(sums: readonly ConservationSum[], out: ByteWriter): void {
  out.varint(sums.length)
  for (const sum of sums) {
    out.varint(sum.group)
    out.varint(sum.series)
    out.varint(sum.type)
    out.bigint64(sum.total)
    out.u32(sum.mix32)
    out.u32(sum.mixPrime)
  }
}

export function decodeSums(input: ByteReader): ConservationSum[] {
  const sums: ConservationSum[] = []
  const count = input.count(12)
  for (let i = 0; i < count; i++) {
    const group = input.varint()
    const series = input.varint()
    const type = input.varint()
    sums.push({ group, series, type, total: input.bigint64(), mix32: input.u32(), mixPrime: input.u32() })
  }
  input.expectEnd()
  return sums
}
