/**
 * What a reader keeps of blocks that it may need again: heads, function levels, partial answers. Objects never change, so
 * nothing in here is ever wrong; it may only be gone.
 *
 * Two lists by last use. What comes first is on trial; what is asked for again is kept. A scan of more than the cache
 * holds then drives out what is on trial and nothing else. A scan that is repeated would still find nothing, because each
 * part of it is gone before it is asked for again, so:
 * 1. Keys that lost their trial are remembered. One that comes back is kept at once, while there is room.
 * 2. Where there is none it goes on trial again; every `TURNOVER`th such key makes room, so that what is kept follows what
 *    is asked for.
 * Repeating a scan of n times the cache then finds about 0.8 / n of it.
 *
 * Sizes are what the caller says, with those of keys where they are long. Nothing may depend on a value being here.
 */

/** Of the bytes, for what was asked for twice. The rest is for trials: without it nothing new would ever be kept. */
const KEPT_SHARE = 0.8
/** Remembered keys take some 150 bytes each: 600 kB. */
const REMEMBERED_MAX = 4_096
/** A key that names hundreds of datasets has tens of thousands of characters: 2 MB at most. */
const REMEMBERED_CHARS_MAX = 1 << 20
/** Slow enough that a repeated scan keeps what it has, fast enough that a changed one owns the cache after some passes. */
const TURNOVER = 8
/** A value larger than this share of the cache is not worth what it would drive out. */
const VALUE_SHARE_MAX = 1 / 4

interface Entry {
  readonly value: unknown
  readonly sizeBytes: number
}

export class BlockCache {
  readonly #bytesMax: number
  readonly #trial = new Map<string, Entry>()
  readonly #kept = new Map<string, Entry>()
  readonly #remembered = new Set<string>()
  #trialBytes = 0
  #keptBytes = 0
  #rememberedChars = 0
  #returned = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get sizeBytes(): number {
    return this.#trialBytes + this.#keptBytes
  }

  get count(): number {
    return this.#trial.size + this.#kept.size
  }

  get(key: string): unknown {
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      this.#kept.delete(key)
      this.#kept.set(key, kept)
      return kept.value
    }
    const entry = this.#trial.get(key)
    if (entry === undefined) return undefined
    this.#trial.delete(key)
    this.#trialBytes -= entry.sizeBytes
    this.#keep(key, entry)
    return entry.value
  }

  set(key: string, value: unknown, sizeBytes: number): void {
    this.delete(key)
    if (sizeBytes > this.#bytesMax * VALUE_SHARE_MAX) return
    const entry = { value, sizeBytes }
    if (this.#forget(key) && this.#makesRoom(sizeBytes)) this.#keep(key, entry)
    else {
      this.#trial.set(key, entry)
      this.#trialBytes += sizeBytes
    }
    this.#evict()
  }

  delete(key: string): void {
    this.#trialBytes -= this.#trial.get(key)?.sizeBytes ?? 0
    this.#keptBytes -= this.#kept.get(key)?.sizeBytes ?? 0
    this.#trial.delete(key)
    this.#kept.delete(key)
  }

  #makesRoom(sizeBytes: number): boolean {
    if (this.#keptBytes + sizeBytes <= this.#bytesMax * KEPT_SHARE) return true
    return ++this.#returned % TURNOVER === 0
  }

  #keep(key: string, entry: Entry): void {
    this.#kept.set(key, entry)
    this.#keptBytes += entry.sizeBytes
    // Back on trial, as the newest there: it was asked for more often than what is.
    for (const [oldest, demoted] of this.#kept) {
      if (this.#keptBytes <= this.#bytesMax * KEPT_SHARE) return
      this.#kept.delete(oldest)
      this.#keptBytes -= demoted.sizeBytes
      this.#trial.set(oldest, demoted)
      this.#trialBytes += demoted.sizeBytes
    }
  }

  #evict(): void {
    for (const [key, { sizeBytes }] of this.#trial) {
      if (this.sizeBytes <= this.#bytesMax) return
      this.#trial.delete(key)
      this.#trialBytes -= sizeBytes
      this.#remembered.add(key)
      this.#rememberedChars += key.length
      for (const first of this.#remembered) {
        if (this.#remembered.size <= REMEMBERED_MAX && this.#rememberedChars <= REMEMBERED_CHARS_MAX) break
        this.#forget(first)
      }
    }
  }

  /** True if it was remembered. */
  #forget(key: string): boolean {
    if (!this.#remembered.delete(key)) return false
    this.#rememberedChars -= key.length
    return true
  }
}
