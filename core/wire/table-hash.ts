/**
 * Hashing for open tables in memory whose keys come from clients: nobody can choose keys that meet in one slot.
 *
 * 1. A process draws a seed once (`seedTables`), before the first table is made; a table keeps the one it was made with
 *    (`tableSeed`), because growing hashes again.
 * 2. A key's words are taken in one after the other (`tableStep`), `mix32` (hash.ts) finishes. One word is mixed by two
 *    multiplications: with one, two keys that differ in the highest bit of a word and in two bits of the next meet under
 *    every seed, which makes 2^k colliding texts of 8 k bytes. With two, no difference of one or two bits leads to one
 *    difference for more than a sixteenth of all states (test/core/wire/table-hash.test.ts).
 * 3. Texts go through two states at once, which is as fast as one state with one multiplication a word. How far apart they
 *    begin is not known either: else words that bring both to one value meet under every seed, 2^32 texts of 12 bytes.
 *
 * Where a table only looks up, its order does not matter; rows are numbered by first use, so what is written does not depend
 * on the seed. Must not: be used for what two processes compare (hash.ts is for that), or as an identity.
 */
import type { Random } from '../ports/random.ts'
import { mix32 } from './hash.ts'

const SEED_BYTES = 4

/** Of a process that draws none: tests and simulations are the same each time. */
let processSeed = 0

/** Once, before any table is made. */
export function seedTables(random: Random): void {
  const bytes = random.bytes(SEED_BYTES)
  processSeed = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)
}

/** For a table that is made now. */
export function tableSeed(): number {
  return processSeed
}

/** One step over a word of 32 bits. */
export function tableStep(state: number, word: number): number {
  let h = Math.imul(state ^ word, 0x5bd1e995)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  return h ^ (h >>> 13)
}

/** Where the second of two states begins: nobody knows what it and the seed differ by. */
export function secondState(seed: number): number {
  return mix32(seed ^ 0x811c9dc5)
}

/** Of bytes[start, end). */
export function tableBytes(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let a = seed ^ Math.imul(end - start, 0x9e3779b1)
  let b = secondState(seed)
  let i = start
  for (const pairEnd = end - 7; i < pairEnd; i += 8) {
    a = tableStep(a, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    b = tableStep(b, bytes[i + 4]! | (bytes[i + 5]! << 8) | (bytes[i + 6]! << 16) | (bytes[i + 7]! << 24))
  }
  if (end - i >= 4) {
    a = tableStep(a, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    i += 4
  }
  // The length is in the state: zeros behind the end are none of the text.
  let rest = 0
  for (let shift = 0; i < end; i++, shift += 8) rest |= bytes[i]! << shift
  return mix32(tableStep(tableStep(b, rest), a))
}

/** Of words[start, end), likewise. */
export function tableWords(seed: number, words: Uint32Array, start: number, end: number): number {
  let a = seed ^ Math.imul(end - start, 0x9e3779b1)
  let b = secondState(seed)
  let i = start
  for (const pairEnd = end - 1; i < pairEnd; i += 2) {
    a = tableStep(a, words[i]!)
    b = tableStep(b, words[i + 1]!)
  }
  if (i < end) a = tableStep(a, words[i]!)
  return mix32(tableStep(b, a))
}

/** Two odd factors that nobody knows. */
export interface TableFactors {
  readonly first: number
  readonly second: number
}

/** For a table that is made now. */
export function tableFactors(): TableFactors {
  return {
    first: (0x9e3779b1 ^ mix32(processSeed)) | 1,
    second: (0x85ebca6b ^ mix32(processSeed ^ 0x2545f491)) | 1,
  }
}

/**
 * Of two numbers that count rows, for tables of millions: cheaper than steps. Numbers that a client writes must not go
 * here, because those that differ in their highest bits alone stay together.
 */
export function hashPair({ first, second }: TableFactors, a: number, b: number): number {
  let h = Math.imul(a, first) ^ Math.imul(b, second)
  // Some factors leave rows of one shape in a few slots, hundreds to each: one step further none do.
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return h ^ (h >>> 15)
}
