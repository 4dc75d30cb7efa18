/** Random bytes from the system, drawn in pools: one call for 16 bytes costs about as much as one for 4 KiB. */
import { randomFillSync } from 'node:crypto'
import type { Random } from '#core/ports/random.ts'

const POOL_BYTES = 4096

export function createRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  return {
    bytes(count) {
      if (count > POOL_BYTES) return randomFillSync(new Uint8Array(count))
      if (used + count > POOL_BYTES) {
        randomFillSync(pool)
        used = 0
      }
      used += count
      return pool.slice(used - count, used)
    },
  }
}
