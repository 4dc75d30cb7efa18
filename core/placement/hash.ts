/** Hashes of placement: equal on every runtime and for ever, because every edge and every metastore must agree on them. */
import { mix32 } from '../wire/hash.ts'

/** 32 bits of two names, with a separator that neither has: FNV-1a over UTF-16 units, then the finalizer of murmur3. */
export function hashNames(first: string, second: string): number {
  return mix32(addText(Math.imul(addText(0x811c9dc5, first) ^ 0xffff, 0x01000193), second))
}

function addText(hash: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  return hash
}

/**
 * Jump consistent hash (Lamping and Veach, 2014) over 32-bit draws: a bucket below `buckets`, each equally likely; of n
 * buckets that become n + 1 only one key in n + 1 moves, to the new one. Some ln(n) steps.
 */
export function jumpHash(key: number, buckets: number): number {
  let state = key
  let bucket = 0
  let next = 0
  while (next < buckets) {
    bucket = next
    state = (state + 0x9e3779b9) | 0
    next = Math.floor((bucket + 1) * (0x1_0000_0000 / (mix32(state) + 1)))
  }
  return bucket
}
