/**
 * Hash tables of a merge's symbols: rows of words, nodes, and one stack a node. They only grow; numbers that were given
 * out stay.
 */
import { GrowingUint32 } from '../wire/growing.ts'
import type { Int64Column } from '../wire/int64.ts'
import { hashPair, tableFactors, tableSeed, tableWords } from '../wire/table-hash.ts'

export const UNKNOWN = 0xffffffff

/** Distinct rows of 32-bit words behind an open hash, numbered in order of first use. */
export class WordRows {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  readonly words: GrowingUint32
  /** Row i is words[start[i], start[i + 1]). */
  readonly start: GrowingUint32
  readonly #hash: GrowingUint32
  #slots: Uint32Array
  #last = 0

  constructor(rows: number, wordsPerRow: number) {
    const capacity = powerOfTwo(rows)
    this.words = new GrowingUint32(capacity * wordsPerRow)
    this.start = new GrowingUint32(capacity + 1)
    this.start.push(0)
    this.#hash = new GrowingUint32(capacity)
    this.#slots = new Uint32Array(capacity * 2)
  }

  get count(): number {
    return this.#hash.count
  }

  get sizeBytes(): number {
    const { words, start } = this
    return words.array.byteLength + start.array.byteLength + this.#hash.array.byteLength + this.#slots.byteLength
  }

  intern(key: Uint32Array, length: number): number {
    const guess = this.#last + 1
    if (guess < this.#hash.count && this.#equals(guess, key, length)) return (this.#last = guess)
    return (this.#last = this.#find(key, length))
  }

  #find(key: Uint32Array, length: number): number {
    const hash = tableWords(this.#seed, key, 0, length)
    const slots = this.#slots
    const hashes = this.#hash.array
    const mask = slots.length - 1
    let slot = hash & mask
    for (let entry = slots[slot]!; entry !== 0; entry = slots[slot]!) {
      if (hashes[entry - 1] === hash && this.#equals(entry - 1, key, length)) return entry - 1
      slot = (slot + 1) & mask
    }
    return this.#insert({ slot, hash }, key, length)
  }

  #equals(row: number, key: Uint32Array, length: number): boolean {
    const from = this.start.array[row]!
    if (this.start.array[row + 1]! - from !== length) return false
    const words = this.words.array
    for (let i = 0; i < length; i++) if (words[from + i] !== key[i]) return false
    return true
  }

  #insert({ slot, hash }: { slot: number; hash: number }, key: Uint32Array, length: number): number {
    const row = this.count
    const { words } = this
    words.reserve(length)
    for (let i = 0; i < length; i++) words.array[words.count++] = key[i]!
    this.start.push(words.count)
    this.#hash.push(hash)
    this.probes += (slot - hash) & (this.#slots.length - 1)
    this.#slots[slot] = row + 1
    if (row * 2 > this.#slots.length) this.#slots = rehashed(this.#slots.length * 2, this.#hash)
    return row
  }

  /** Word `at` of every row; rows are equally long up to there. */
  column(at: number): Uint32Array {
    const out = new Uint32Array(this.count)
    for (let row = 0; row < out.length; row++) out[row] = this.words.array[this.start.array[row]! + at]!
    return out
  }

  lanes(at: number): Int64Column {
    return { lo: this.column(at), hi: this.column(at + 1) }
  }
}

function powerOfTwo(rows: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, rows)))
}

function rehashed(length: number, hash: GrowingUint32): Uint32Array {
  const slots = new Uint32Array(length)
  const mask = length - 1
  for (let row = 0; row < hash.count; row++) {
    let slot = hash.array[row]! & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = row + 1
  }
  return slots
}

/** Nodes by (parent, location). Node 0 is the root. */
export class NodeTable {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #factors = tableFactors()
  readonly parent: GrowingUint32
  readonly location: GrowingUint32
  #slots: Uint32Array
  #last = 0

  constructor(nodes: number) {
    const capacity = powerOfTwo(nodes)
    this.parent = new GrowingUint32(capacity)
    this.location = new GrowingUint32(capacity)
    this.#slots = new Uint32Array(capacity * 2)
    this.parent.push(0)
    this.location.push(0)
  }

  get sizeBytes(): number {
    return this.parent.array.byteLength * 2 + this.#slots.byteLength
  }

  intern(parent: number, location: number): number {
    const parents = this.parent.array
    const locations = this.location.array
    const guess = this.#last + 1
    if (guess < this.parent.count && parents[guess] === parent && locations[guess] === location)
      return (this.#last = guess)
    return (this.#last = this.#find(parent, location))
  }

  #find(parent: number, location: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    const parents = this.parent.array
    const locations = this.location.array
    const first = hashPair(this.#factors, parent, location) & mask
    let slot = first
    for (let node = slots[slot]!; node !== 0; node = slots[slot]!) {
      if (parents[node] === parent && locations[node] === location) return node
      slot = (slot + 1) & mask
    }
    const node = this.parent.count
    this.parent.push(parent)
    this.location.push(location)
    this.probes += (slot - first) & mask
    slots[slot] = node
    if (node * 2 > slots.length) this.#rehash()
    return node
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let node = 1; node < this.parent.count; node++) {
      let slot = hashPair(this.#factors, this.parent.array[node]!, this.location.array[node]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = node
    }
    this.#slots = slots
  }
}

export class StackNumbers {
  readonly node = new GrowingUint32(1024)
  #byNode = new Uint32Array(1024).fill(UNKNOWN)

  ofNode(node: number): number {
    if (node >= this.#byNode.length) {
      const grown = new Uint32Array(Math.max(node + 1, this.#byNode.length * 2)).fill(UNKNOWN)
      grown.set(this.#byNode)
      this.#byNode = grown
    }
    const known = this.#byNode[node]!
    if (known !== UNKNOWN) return known
    this.node.push(node)
    return (this.#byNode[node] = this.node.count - 1)
  }
}
