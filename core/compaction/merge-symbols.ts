/**
 * The symbols of a merge: those of every input, equal rows once, only what a kept sample points to.
 *
 * 1. `addSource` marks the nodes below the used stacks, then maps nodes in order (a parent lies before its child), and
 *    with the first node that needs one its location, functions, mapping and strings. A row is mapped once a source.
 * 2. Rows are interned by their words (`WordRows`); a node by (parent, location), since most of the work is nodes.
 * 3. Stacks get their ids source by source, in the order of each source; one stack per node over all sources. So a
 *    profile's stacks stay near each other, and rows of the first source stay in order.
 * 4. `take` cuts the tables into columns, in the order in which stacks use them (merge-order.ts), and gives them away.
 *
 * Must not: look at values, or be used again after `take`.
 */
import { TextTable, viewOf } from './merge-text.ts'
import { buildFunctionLevel, type FunctionLevel } from '../symbols/function-level.ts'
import { StringTable } from '../symbols/string-table.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { GrowingUint32 } from '../wire/growing.ts'
import { hashStep, mix32 } from '../wire/hash.ts'
import type { Int64Column } from '../wire/int64.ts'
import { orderByFirstUse } from './merge-order.ts'

const UNKNOWN = 0xffffffff

/** Distinct rows of 32-bit words behind an open hash, numbered in order of first use. */
class WordRows {
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
    let h = length
    for (let i = 0; i < length; i++) h = hashStep(h, key[i]!)
    const hash = mix32(h)
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
class NodeTable {
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
    let slot = nodeHash(parent, location) & mask
    for (let node = slots[slot]!; node !== 0; node = slots[slot]!) {
      if (parents[node] === parent && locations[node] === location) return node
      slot = (slot + 1) & mask
    }
    const node = this.parent.count
    this.parent.push(parent)
    this.location.push(location)
    slots[slot] = node
    if (node * 2 > slots.length) this.#rehash()
    return node
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let node = 1; node < this.parent.count; node++) {
      let slot = nodeHash(this.parent.array[node]!, this.location.array[node]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = node
    }
    this.#slots = slots
  }
}

function nodeHash(parent: number, location: number): number {
  return mix32(hashStep(Math.imul(parent, 0x9e3779b1), location))
}

class StackNumbers {
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

const FUNCTION_WORDS = 5
const MAPPING_WORDS = 9
/** Mapping, address, folded; three more a line. */
const LOCATION_WORDS = 4
const LINE_WORDS = 3

export interface TakenSymbols {
  readonly symbols: Symbols
  readonly functionLevel: FunctionLevel
}

export class MergedSymbols {
  readonly #strings: TextTable
  readonly #functions: WordRows
  readonly #mappings = new WordRows(16, MAPPING_WORDS)
  readonly #locations: WordRows
  readonly #nodes: NodeTable
  readonly #stacks = new StackNumbers()
  #key = new Uint32Array(64)

  /** Tables start at the size of the first source: a service runs much the same code from segment to segment. */
  constructor(first: Pick<Symbols, 'functionCount' | 'locationCount' | 'nodeCount' | 'stringCount' | 'stringBytes'>) {
    this.#functions = new WordRows(first.functionCount, FUNCTION_WORDS)
    this.#locations = new WordRows(first.locationCount, LOCATION_WORDS + LINE_WORDS)
    this.#nodes = new NodeTable(first.nodeCount)
    this.#strings = new TextTable(first.stringCount, first.stringBytes.length)
  }

  /** What the tables hold, and about what `take` makes of them: twice the columns. */
  get sizeBytes(): number {
    const rows = [this.#functions, this.#mappings, this.#locations].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return 2 * (rows + this.#strings.sizeBytes) + this.#nodes.sizeBytes * 4 + this.#stacks.node.array.byteLength * 4
  }

  /** Stack of the merge by stack of the source. `usedStacks[s]` is 1 for those that kept samples name; others stay 0. */
  addSource(source: Symbols, usedStacks: Uint8Array): Uint32Array {
    const used = usedNodes(source, usedStacks)
    const rows = new SourceRows(source)
    const nodeOf = new Uint32Array(source.nodeCount)
    const { nodeParent, nodeLocation } = source
    const nodes = this.#nodes
    for (let node = 1; node < nodeOf.length; node++) {
      if (used[node] === 0) continue
      const row = nodeLocation[node]!
      const known = rows.location[row]!
      const location = known === UNKNOWN ? this.#mapLocation(rows, row) : known
      nodeOf[node] = nodes.intern(nodeOf[nodeParent[node]!]!, location)
    }
    const stackOf = new Uint32Array(source.stackCount)
    for (let stack = 0; stack < stackOf.length; stack++)
      if (usedStacks[stack] === 1) stackOf[stack] = this.#stacks.ofNode(nodeOf[source.stackNode[stack]!]!)
    return stackOf
  }

  #mapLocation(rows: SourceRows, row: number): number {
    const s = rows.source
    const start = s.locationLineStart[row]!
    const lines = s.locationLineStart[row + 1]! - start
    const length = LOCATION_WORDS + lines * LINE_WORDS
    if (length > this.#key.length) this.#key = new Uint32Array(length * 2)
    const key = this.#key
    const mapping = s.locationMapping[row]!
    key[0] = mapping === 0 ? 0 : this.#mapMapping(rows, mapping - 1) + 1
    for (let i = 0; i < lines; i++) {
      const line = start + i
      const at = LOCATION_WORDS + i * LINE_WORDS
      const known = rows.function[s.lineFunction[line]!]!
      key[at] = known === UNKNOWN ? this.#mapFunction(rows, s.lineFunction[line]!) : known
      key[at + 1] = s.lineNumber.lo[line]!
      key[at + 2] = s.lineNumber.hi[line]!
    }
    key[1] = s.locationAddress.lo[row]!
    key[2] = s.locationAddress.hi[row]!
    key[3] = s.locationFolded[row]!
    return (rows.location[row] = this.#locations.intern(key, length))
  }

  #mapFunction(rows: SourceRows, row: number): number {
    const s = rows.source
    const key = rows.key
    key[0] = this.#mapString(rows, s.functionName[row]!)
    key[1] = this.#mapString(rows, s.functionSystemName[row]!)
    key[2] = this.#mapString(rows, s.functionFilename[row]!)
    key[3] = s.functionStartLine.lo[row]!
    key[4] = s.functionStartLine.hi[row]!
    return (rows.function[row] = this.#functions.intern(key, FUNCTION_WORDS))
  }

  #mapMapping(rows: SourceRows, row: number): number {
    const known = rows.mapping[row]!
    if (known !== UNKNOWN) return known
    const s = rows.source
    const key = rows.key
    key[0] = this.#mapString(rows, s.mappingFilename[row]!)
    key[1] = this.#mapString(rows, s.mappingBuildId[row]!)
    key[2] = s.mappingFlags[row]!
    ;[s.mappingStart, s.mappingLimit, s.mappingOffset].forEach(({ lo, hi }, i) => {
      key[3 + 2 * i] = lo[row]!
      key[4 + 2 * i] = hi[row]!
    })
    return (rows.mapping[row] = this.#mappings.intern(key, MAPPING_WORDS))
  }

  #mapString(rows: SourceRows, index: number): number {
    const known = rows.string[index]!
    if (known !== UNKNOWN) return known
    const { stringOffset } = rows.source
    return (rows.string[index] = this.#strings.intern(rows.text, stringOffset[index]!, stringOffset[index + 1]!))
  }

  take(): TakenSymbols {
    const strings = new StringTable()
    const tables = orderByFirstUse(this.#tables(), strings)
    const functionLevel = buildFunctionLevel({ ...strings.copyColumns(), ...tables }, strings)
    // The function level may have named locations without lines: the strings once more.
    return { symbols: { ...strings.copyColumns(), ...tables }, functionLevel }
  }

  /** As `take`, without the function level. */
  takeSymbols(): Symbols {
    const strings = new StringTable()
    const tables = orderByFirstUse(this.#tables(), strings)
    return { ...strings.copyColumns(), ...tables }
  }

  /** In the order in which sources brought them. Columns of strings and nodes borrow. */
  #tables(): Symbols {
    const functions = this.#functions
    const mappings = this.#mappings
    const locations = this.#locations
    return {
      ...this.#strings.viewColumns(),
      functionCount: functions.count,
      functionName: functions.column(0),
      functionSystemName: functions.column(1),
      functionFilename: functions.column(2),
      functionStartLine: functions.lanes(3),
      mappingCount: mappings.count,
      mappingFilename: mappings.column(0),
      mappingBuildId: mappings.column(1),
      mappingFlags: new Uint8Array(mappings.column(2)),
      mappingStart: mappings.lanes(3),
      mappingLimit: mappings.lanes(5),
      mappingOffset: mappings.lanes(7),
      locationCount: locations.count,
      locationMapping: locations.column(0),
      locationAddress: locations.lanes(1),
      locationFolded: new Uint8Array(locations.column(3)),
      ...linesOf(locations),
      nodeCount: this.#nodes.parent.count,
      nodeParent: this.#nodes.parent.array,
      nodeLocation: this.#nodes.location.array,
      stackCount: this.#stacks.node.count,
      stackNode: this.#stacks.node.copy(),
    }
  }
}

/** Where the rows of one source have gone. */
class SourceRows {
  readonly source: Symbols
  readonly text: DataView
  readonly string: Uint32Array
  readonly function: Uint32Array
  readonly mapping: Uint32Array
  readonly location: Uint32Array
  /** Scratch for rows without lines. */
  readonly key = new Uint32Array(MAPPING_WORDS)

  constructor(source: Symbols) {
    this.source = source
    this.text = viewOf(source.stringBytes)
    this.string = new Uint32Array(source.stringCount).fill(UNKNOWN)
    this.function = new Uint32Array(source.functionCount).fill(UNKNOWN)
    this.mapping = new Uint32Array(source.mappingCount).fill(UNKNOWN)
    this.location = new Uint32Array(source.locationCount).fill(UNKNOWN)
  }
}

/** 1 for every node that a used stack ends at or passes through. */
function usedNodes({ nodeCount, nodeParent, stackNode }: Symbols, usedStacks: Uint8Array): Uint8Array {
  const used = new Uint8Array(nodeCount)
  for (let stack = 0; stack < stackNode.length; stack++) if (usedStacks[stack] === 1) used[stackNode[stack]!] = 1
  // Children before their parents.
  for (let node = nodeCount - 1; node > 0; node--) if (used[node] === 1) used[nodeParent[node]!] = 1
  return used
}

function linesOf(locations: WordRows): Pick<Symbols, 'locationLineStart' | 'lineFunction' | 'lineNumber'> {
  const words = locations.words.array
  const starts = locations.start.array
  const lineCount = (locations.words.count - locations.count * LOCATION_WORDS) / LINE_WORDS
  const locationLineStart = new Uint32Array(locations.count + 1)
  const lineFunction = new Uint32Array(lineCount)
  const lo = new Uint32Array(lineCount)
  const hi = new Uint32Array(lineCount)
  let line = 0
  for (let row = 0; row < locations.count; row++) {
    for (let at = starts[row]! + LOCATION_WORDS; at < starts[row + 1]!; at += LINE_WORDS) {
      lineFunction[line] = words[at]!
      lo[line] = words[at + 1]!
      hi[line] = words[at + 2]!
      line++
    }
    locationLineStart[row + 1] = line
  }
  return { locationLineStart, lineFunction, lineNumber: { lo, hi } }
}
