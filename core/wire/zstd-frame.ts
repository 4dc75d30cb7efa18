/**
 * Reads the structure of a zstd frame (RFC 8878, section 3.1) without inflating it, so that a decoder without an output
 * limit can be used safely: the frame must be the only one, state its content size, and have no more blocks than that
 * content needs. What such a frame inflates to is then bounded by its content size and one block, whoever wrote it.
 *
 * Must not: judge the content of compressed blocks; the decoder does.
 */

const MAGIC = 0xfd2fb528
/** RFC 8878, 3.1.1.2.4: no block inflates to more. */
const BLOCK_BYTES_MAX = 128 * 1024
const RESERVED_BLOCK = 3
const RLE_BLOCK = 1

/** Whether the bytes are exactly one frame that states `contentBytes` and cannot inflate to much more. */
export function isBoundedZstdFrame(bytes: Uint8Array, contentBytes: number): boolean {
  if (bytes.length < 9 || read32(bytes, 0) !== MAGIC) return false
  const descriptor = bytes[4]!
  // A dictionary is none of ours, and the reserved bit must be 0.
  if ((descriptor & 0b1011) !== 0) return false
  const isSingleSegment = (descriptor & 0x20) !== 0
  const hasChecksum = (descriptor & 0x04) !== 0
  let at = isSingleSegment ? 5 : 6
  const size = contentSize(bytes, at, { flag: descriptor >>> 6, isSingleSegment })
  if (size === undefined || size.value !== contentBytes) return false
  at += size.lengthBytes
  // Blocks of a frame are full but for the last; a writer that flushes early is not one of ours.
  const blocksMax = Math.ceil(contentBytes / BLOCK_BYTES_MAX) + 1
  for (let block = 0; block < blocksMax; block++) {
    if (at + 3 > bytes.length) return false
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
    const type = (header >>> 1) & 3
    if (type === RESERVED_BLOCK) return false
    const sizeBytes = header >>> 3
    if (sizeBytes > BLOCK_BYTES_MAX) return false
    at += 3 + (type === RLE_BLOCK ? 1 : sizeBytes)
    if ((header & 1) === 1) return at + (hasChecksum ? 4 : 0) === bytes.length
  }
  return false
}

function read32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

/** Frame_Content_Size; undefined if the frame does not state it, or if it passes 2^32. */
function contentSize(
  bytes: Uint8Array,
  at: number,
  of: { readonly flag: number; readonly isSingleSegment: boolean },
): { value: number; lengthBytes: number } | undefined {
  const lengthBytes = of.flag === 0 ? 1 : 1 << of.flag
  if (at + lengthBytes > bytes.length) return undefined
  if (of.flag === 0) return of.isSingleSegment ? { value: bytes[at]!, lengthBytes } : undefined
  if (of.flag === 1) return { value: (bytes[at]! | (bytes[at + 1]! << 8)) + 256, lengthBytes }
  if (of.flag === 2) return { value: read32(bytes, at), lengthBytes }
  return read32(bytes, at + 4) === 0 ? { value: read32(bytes, at), lengthBytes } : undefined
}
