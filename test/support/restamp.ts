/**
 * A recorded profile as if it were taken at another time: by default limits, one that is older than an hour is refused.
 * A scalar of a protobuf message may stand twice, and the last counts, so the new time is appended.
 */
import { gunzipSync } from 'node:zlib'

/** Field 9, `time_nanos`, a varint. */
const TIME_NANOS_TAG = (9 << 3) | 0

/** `pprof` may be gzip; the result is not. */
export function restampPprof(pprof: Uint8Array, timeMs: number): Uint8Array {
  const plain = pprof[0] === 0x1f && pprof[1] === 0x8b ? gunzipSync(pprof) : pprof
  const field = [TIME_NANOS_TAG]
  let rest = BigInt(timeMs) * 1_000_000n
  for (; rest >= 128n; rest >>= 7n) field.push(Number(rest & 127n) | 128)
  field.push(Number(rest))
  return Buffer.concat([plain, Uint8Array.from(field)])
}
