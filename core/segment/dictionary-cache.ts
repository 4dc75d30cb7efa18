/**
 * Dictionaries by tenant and service, within a bound of bytes.
 *
 * 1. A head asks for the dictionary of its tenant and service, and so makes it the most recent.
 * 2. Whoever made one grow reports it (`account`). Past the bound the least recent that no head uses is dropped; one past
 *    its own bound is dropped at once, and the next head begins a new one.
 * 3. A dropped dictionary that heads still use counts until they have let go of it.
 * In use, growth is part of what the heads' profiles brought, which the writer's account counts as well: so the bound is
 * exceeded by no more than that, and only until the flush.
 */
import { dictionaryIdOf } from '../block/stack-keys.ts'
import { MIB } from '../units.ts'
import { Dictionary } from './dictionary.ts'

/** 64 MiB hold 150 services like the recorded ones (0.4 MB each with 2,000 stacks); past it the writer would shed. */
export const DICTIONARIES_BYTES_MAX = 64 * MIB
/** 24 MiB: 60 times a service of 2,000 stacks. One that is larger churns, and what it found is mostly gone. */
const DICTIONARY_BYTES_MAX = 24 * MIB

interface Entry {
  readonly dictionary: Dictionary
  sizeBytes: number
}

export class DictionaryCache {
  readonly #bytesMax: number
  readonly #seed: Uint8Array | undefined
  /** Of the next dictionary. */
  #next: number
  /** By tenant and service. */
  readonly #entries = new Map<string, Entry>()
  /** Of these, those that no head used when they were last seen, the least recent first: what may be dropped. */
  readonly #idle = new Map<string, Entry>()
  readonly #dropped = new Set<Entry>()
  #sizeBytes = 0

  /**
   * `seed`: `DICTIONARY_SEED_BYTES` that no cache of these services has but one whose numbers, from `first` on, are others;
   * absent: dictionaries have no ids.
   */
  constructor(bytesMax: number, { seed, first = 0 }: { seed?: Uint8Array | undefined; first?: number } = {}) {
    this.#bytesMax = bytesMax
    this.#seed = seed
    this.#next = first
  }

  /** Of all dictionaries that are held, also by heads alone. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get count(): number {
    return this.#entries.size
  }

  dictionaryOf(tenant: string, service: string): Dictionary {
    const key = keyOf(tenant, service)
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { dictionary: new Dictionary(this.#newId()), sizeBytes: 0 }
      this.#measure(entry)
      this.#entries.set(key, entry)
    }
    this.#touch(key, entry)
    return entry.dictionary
  }

  /** After it grew, or was released. */
  account(tenant: string, service: string): void {
    const key = keyOf(tenant, service)
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      this.#measure(entry)
      this.#touch(key, entry)
      if (entry.sizeBytes > Math.min(DICTIONARY_BYTES_MAX, this.#bytesMax)) this.#drop(key, entry)
    }
    for (const dropped of this.#dropped) {
      if (dropped.dictionary.isInUse) this.#measure(dropped)
      else this.#forget(dropped)
    }
    if (this.#sizeBytes > this.#bytesMax) this.shrinkTo(this.#bytesMax)
  }

  /** Drops what no head uses, the least recent first, until no more than this is held. */
  shrinkTo(sizeBytes: number): void {
    for (const [key, entry] of this.#idle) {
      if (this.#sizeBytes <= sizeBytes) return
      if (entry.dictionary.isInUse) this.#idle.delete(key)
      else this.#drop(key, entry)
    }
  }

  #newId(): Uint8Array | undefined {
    return this.#seed && dictionaryIdOf(this.#seed, this.#next++)
  }

  #touch(key: string, entry: Entry): void {
    this.#idle.delete(key)
    if (!entry.dictionary.isInUse) this.#idle.set(key, entry)
  }

  #measure(entry: Entry): void {
    const { sizeBytes } = entry.dictionary
    this.#sizeBytes += sizeBytes - entry.sizeBytes
    entry.sizeBytes = sizeBytes
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#idle.delete(key)
    if (entry.dictionary.isInUse) this.#dropped.add(entry)
    else this.#forget(entry)
  }

  #forget(entry: Entry): void {
    this.#dropped.delete(entry)
    this.#sizeBytes -= entry.sizeBytes
  }
}

function keyOf(tenant: string, service: string): string {
  return JSON.stringify([tenant, service])
}
