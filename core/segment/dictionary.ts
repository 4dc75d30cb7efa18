/**
 * The symbols and stacks of one tenant and service, kept from segment to segment: what the next profile brings is found
 * instead of inserted. A segment takes out of it what its rows use (core/symbols/subset.ts), so that it is the same
 * whether the dictionary was new or warm.
 *
 * Builds need no dictionary of their own: equal content is one row, whichever build it came from. It only grows; past
 * its bound the cache drops it (dictionary-cache.ts), which forgets the builds that are gone.
 */
import type { StackKeys } from '../block/stack-keys.ts'
import { SymbolsBuilder } from '../symbols/builder.ts'
import { SymbolsSubset } from '../symbols/subset.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { ProfileSymbols } from './profile-symbols.ts'

export class Dictionary {
  readonly #id: Uint8Array | undefined
  readonly #builder = new SymbolsBuilder()
  readonly #subset = new SymbolsSubset()
  readonly profileSymbols = new ProfileSymbols(this.#builder)
  #users = 0

  /** `id`: no other dictionary ever had it; without one its stacks have no keys. */
  constructor(id?: Uint8Array) {
    this.#id = id
  }

  get sizeBytes(): number {
    return this.#builder.sizeBytes + this.#subset.sizeBytes + this.profileSymbols.sizeBytes
  }

  /** Heads hold ids of it. */
  get isInUse(): boolean {
    return this.#users > 0
  }

  retain(): void {
    this.#users++
  }

  release(): void {
    this.#users--
  }

  /** What stacks[0, count) are called here, for as long as this dictionary lives. */
  keysOf(stacks: Uint32Array, count: number): StackKeys | undefined {
    return this.#id && { dictionaryId: this.#id, numbers: stacks.slice(0, count) }
  }

  /** Symbols of their own of stacks[0, count), in this order, each once. */
  take(stacks: Uint32Array, count: number): Symbols {
    return this.#subset.take(this.#builder.view(), stacks.subarray(0, count))
  }
}
