/**
 * Stacks of the tables by their numbers in the dictionaries of writers (core/block/stack-keys.ts), learned from one source
 * and used for the next.
 *
 * Bounds: 16 dictionaries of a service, the least recent goes first; numbers below 2^18, a dictionary's most at its bound
 * of bytes. Must not: be asked about tables other than those it learned from.
 */
import { DICTIONARY_ID_BYTES, type StackKeys } from '../block/stack-keys.ts'

/** Writers of one service at a time, and their predecessors: a writer begins a new dictionary when it restarts. */
const DICTIONARIES_MAX = 16
/** 2 MiB a dictionary; what is above is looked up by content. */
const NUMBERS_MAX = 1 << 18

export const UNKNOWN_STACK = 0xffffffff

export class KnownStacks {
  /** Stack + 1 by number, least recent dictionary first. */
  readonly #dictionaries = new Map<string, Uint32Array>()

  get sizeBytes(): number {
    let sizeBytes = 0
    for (const { byteLength } of this.#dictionaries.values()) sizeBytes += byteLength
    return sizeBytes
  }

  /** By stack of the source; `UNKNOWN_STACK` where its number was never learned. */
  find({ dictionaryId, numbers }: StackKeys): { readonly stackOf: Uint32Array; readonly unknownCount: number } {
    const known = this.#dictionaries.get(keyOf(dictionaryId))
    const stackOf = new Uint32Array(numbers.length)
    let unknownCount = 0
    for (let i = 0; i < numbers.length; i++) {
      // Undefined and 0 both become -1.
      const stack = (known?.[numbers[i]!] ?? 0) - 1
      stackOf[i] = stack
      if (stack < 0) unknownCount++
    }
    return { stackOf, unknownCount }
  }

  learn({ dictionaryId, numbers }: StackKeys, stackOf: Uint32Array): void {
    const key = keyOf(dictionaryId)
    let known = this.#dictionaries.get(key) ?? new Uint32Array(256)
    this.#dictionaries.delete(key)
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!
      if (number >= NUMBERS_MAX) continue
      if (number >= known.length) {
        const grown = new Uint32Array(2 ** (33 - Math.clz32(number)))
        grown.set(known)
        known = grown
      }
      known[number] = stackOf[i]! + 1
    }
    this.#dictionaries.set(key, known)
    for (const oldest of this.#dictionaries.keys()) {
      if (this.#dictionaries.size <= DICTIONARIES_MAX) return
      this.#dictionaries.delete(oldest)
    }
  }
}

function keyOf(dictionaryId: Uint8Array): string {
  let key = ''
  for (let i = 0; i < DICTIONARY_ID_BYTES; i++) key += String.fromCharCode(dictionaryId[i]!)
  return key
}
