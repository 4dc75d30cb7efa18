/** Gzip streams of some megabytes that inflate to gigabytes, made without inflating or deflating gigabytes. */
import { constants, deflateRawSync, gzipSync } from 'node:zlib'

const MIB = 1024 * 1024

/** One member: a compressed mebibyte of zeros, ended by a full flush, may follow itself any number of times. */
export function gzipBomb(mebibytes: number): Uint8Array {
  const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
  const chunk = deflateRawSync(new Uint8Array(MIB), { finishFlush: constants.Z_FULL_FLUSH })
  const end = deflateRawSync(new Uint8Array(0))
  // The sums at the end are wrong; whoever gets that far has inflated it all.
  return Buffer.concat([header, ...Array.from({ length: mebibytes }, () => chunk), end, Buffer.alloc(8)])
}

/** As many members as mebibytes, each of them valid: a reader that stops at the first sees one. */
export function gzipBombOfMembers(mebibytes: number): Uint8Array {
  const member = gzipSync(new Uint8Array(MIB))
  return Buffer.concat(Array.from({ length: mebibytes }, () => member))
}
