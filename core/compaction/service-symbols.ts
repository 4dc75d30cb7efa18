/**
 * What a merge thread remembers of the symbols of a service: the next merge brings mostly the same ones.
 *
 * 1. The tables of earlier merges stay (merge-symbols.ts): a source finds its rows in them. A merge takes out of them the
 *    stacks that it uses, in the order of their numbers, so what it makes depends on those stacks and on that order alone.
 * 2. If they are the stacks of the merge before, what was made of them is used again: columns, function level, hashes and
 *    encoded sections. A service that runs the same code pays for its symbols once.
 * 3. The hashes that conservation is checked by are computed from what is written, never remembered with the tables.
 *
 * Bounds: 4 MiB a service, 32 MiB in all; the least recently merged go first. Must not: be shared by two merges at once.
 */
import { type PreparedHashes, prepareHashes, stackHashes } from '../block/conservation.ts'
import type { EncodedSection } from '../block/section-table.ts'
import type { StackKeys } from '../block/stack-keys.ts'
import { packSymbols } from '../block/write.ts'
import type { Codec } from '../ports/codec.ts'
import type { SymbolsSubset } from '../symbols/subset.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { MIB } from '../units.ts'
import { KnownStacks } from './known-stacks.ts'
import { MergeScratch } from './merge-scratch.ts'
import { MergedSymbols, type TakenSymbols } from './merge-symbols.ts'

/** 4 MiB: some 20,000 distinct stacks. A service with more brings new ones all the time, and finding them costs the same. */
const SERVICE_BYTES_MAX = 4 * MIB
/** 32 MiB a merge thread: a hundred services of the size of a recorded one, an eighth of the budget of one merge. */
const MEMORY_BYTES_MAX = 32 * MIB

/** Symbols of an output with all that follows from them. */
export interface PreparedSymbols extends TakenSymbols {
  readonly hashes: PreparedHashes
  readonly sections: readonly EncodedSection[]
}

interface LastTaken {
  readonly stacks: Uint32Array
  readonly prepared: PreparedSymbols
}

export class ServiceSymbols {
  #tables: MergedSymbols | undefined
  /** 1 for every stack of the tables that the merge uses. */
  #used = new Uint8Array(1024)
  #last: LastTaken | undefined
  readonly #known = new KnownStacks()

  /** Of the tables, and what a merge makes of them. */
  get sizeBytes(): number {
    return (this.#tables?.sizeBytes ?? 0) + this.#known.sizeBytes
  }

  /** Stacks of the tables by the keys of a source. */
  findStacks(keys: StackKeys): ReturnType<KnownStacks['find']> {
    return this.#known.find(keys)
  }

  /** All stacks of a source whose content is known: instead of `addSource`. */
  useStacks(stackOf: Uint32Array): void {
    for (let stack = 0; stack < stackOf.length; stack++) this.#used[stackOf[stack]!] = 1
  }

  /** `stackOf`: what `addSource` gave for all stacks of the source. */
  learnStacks(keys: StackKeys, stackOf: Uint32Array): void {
    this.#known.learn(keys, stackOf)
  }

  /** Stack of the tables by stack of the source, for those that `usedStacks` marks. */
  addSource(source: Symbols, usedStacks: Uint8Array): Uint32Array {
    this.#tables ??= new MergedSymbols(source)
    const stackOf = this.#tables.addSource(source, usedStacks)
    const { stackCount } = this.#tables
    if (this.#used.length < stackCount) {
      const grown = new Uint8Array(stackCount * 2)
      grown.set(this.#used)
      this.#used = grown
    }
    for (let stack = 0; stack < stackOf.length; stack++) if (usedStacks[stack] === 1) this.#used[stackOf[stack]!] = 1
    return stackOf
  }

  /** Ends a merge: the stacks of all its sources, and `stackOf` in the numbers of the output. */
  take(stackOf: readonly Uint32Array[], { codec, order }: { codec: Codec; order: SymbolsSubset }): PreparedSymbols {
    const tables = this.#tables!
    const stacks = this.#takeUsed(tables.stackCount)
    const number = new Uint32Array(tables.stackCount)
    for (let i = 0; i < stacks.length; i++) number[stacks[i]!] = i
    for (const column of stackOf)
      for (let stack = 0; stack < column.length; stack++) column[stack] = number[column[stack]!]!
    if (this.#last !== undefined && equalRows(this.#last.stacks, stacks)) return this.#last.prepared
    const { symbols, functionLevel } = tables.take(stacks, order)
    const hashes = prepareHashes(stackHashes(symbols))
    const sections = packSymbols(symbols, functionLevel, codec)
    const prepared = { symbols, functionLevel, hashes, sections }
    this.#last = { stacks, prepared }
    return prepared
  }

  #takeUsed(stackCount: number): Uint32Array {
    const stacks = new Uint32Array(stackCount)
    let count = 0
    for (let stack = 0; stack < stackCount; stack++) {
      if (this.#used[stack] === 0) continue
      this.#used[stack] = 0
      stacks[count++] = stack
    }
    return stacks.subarray(0, count)
  }
}

function equalRows(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** What a merge thread keeps from merge to merge: the services that it merged, least recently first, and its scratch. */
export class MergeMemory {
  readonly scratch = new MergeScratch()
  readonly #services = new Map<string, ServiceSymbols>()
  #heldBytes = 0

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes a service out: a merge that fails does not give it back, and with it goes what it left half done. */
  take(tenant: string, service: string): ServiceSymbols {
    const key = keyOf(tenant, service)
    const known = this.#services.get(key)
    if (known === undefined) return new ServiceSymbols()
    this.#services.delete(key)
    this.#heldBytes -= known.sizeBytes
    return known
  }

  keep(tenant: string, service: string, symbols: ServiceSymbols): void {
    if (symbols.sizeBytes > SERVICE_BYTES_MAX) return
    this.#services.set(keyOf(tenant, service), symbols)
    this.#heldBytes += symbols.sizeBytes
    for (const [key, { sizeBytes }] of this.#services) {
      if (this.#heldBytes <= MEMORY_BYTES_MAX) return
      this.#services.delete(key)
      this.#heldBytes -= sizeBytes
    }
  }
}

function keyOf(tenant: string, service: string): string {
  return `${tenant.length} ${tenant} ${service}`
}
