/**
 * Keys that meet in one slot of a table whose seed is known: who reads the source aims so at a process without a seed.
 */
import type { Random } from '#core/ports/random.ts'
import { tableStep } from '#core/wire/table-hash.ts'

export const NO_SEED: Random = { bytes: (count) => new Uint8Array(count) }

/** A seed that is told by a number. */
export function seedOf(number: number): Random {
  return {
    bytes: (count) => Uint8Array.from({ length: count }, (_, i) => (Math.imul(number, 0x9e3779b1) >>> (8 * i)) & 0xff),
  }
}

/** Pairs of words after which a state that began as `start` is `goal`, whichever pair it went over. */
export function aimedPairs(start: number, count: number, goal = 0x1357_9bdf): readonly (readonly [number, number])[] {
  // A step mixes the exclusive or of state and word, so the second word makes up for what the first has done.
  return Array.from({ length: count }, (_, i) => {
    const first = Math.imul(i + 1, 0x01000193) >>> 0
    return [first, (tableStep(start, first) ^ goal) >>> 0] as const
  })
}
