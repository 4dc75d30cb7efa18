/**
 * The symbols of a merge: those of every input, equal rows once, only what a kept sample points to.
 *
 * 1. `addSource` marks the nodes below the used stacks, then maps nodes in order (a parent lies before its child), and
 *    with the first node that needs one its location, functions, mapping and strings. A row is mapped once a source.
 * 2. Rows are interned by their words (`WordRows`); a node by (parent, location), since most of the work is nodes.
 * 3. Stacks get their ids source by source, in the order of each source; one stack per node over all sources. So a
 *    profile's stacks stay near each other, and rows of the first source stay in order.
 * 4. `take` cuts what some stacks need out of the tables, in the order in which they use it (core/symbols/subset.ts). The tables
 *    stay, so that the next merge of the service finds what this one brought (service-symbols.ts).
 *
 * Must not: look at values.
 */
import { TextTable, viewOf } from './merge-text.ts'
import { type FunctionLevel, storedFunctionLevel } from '../symbols/function-level.ts'
import { SymbolsSubset } from '../symbols/subset.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { NodeTable, StackNumbers, UNKNOWN, WordRows } from './merge-tables.ts'

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
  #columns: RowColumns | undefined

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

  /** With the root. */
  get nodeCount(): number {
    return this.#nodes.parent.count
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

  get stackCount(): number {
    return this.#stacks.node.count
  }

  /** All stacks, or those given, each once; they are numbered in that order. */
  take(stacks = allOf(this.stackCount), order = new SymbolsSubset()): TakenSymbols {
    return storedFunctionLevel(this.takeSymbols(stacks, order))
  }

  /** As `take`, without the function level. */
  takeSymbols(stacks = allOf(this.stackCount), order = new SymbolsSubset()): Symbols {
    return order.take(this.#view(), stacks)
  }

  /** In the order in which sources brought them. Borrowed: valid until the next source. */
  #view(): Symbols {
    const nodes = this.#nodes
    return {
      ...this.#strings.viewColumns(),
      ...this.#rowColumns(),
      nodeCount: nodes.parent.count,
      nodeParent: nodes.parent.array,
      nodeLocation: nodes.location.array,
      stackCount: this.stackCount,
      stackNode: this.#stacks.node.array,
    }
  }

  /** Made anew only if there are new rows: after the first merges of a service there are few. */
  #rowColumns(): RowColumns {
    const functions = this.#functions
    const mappings = this.#mappings
    const locations = this.#locations
    const known = this.#columns
    if (
      known !== undefined &&
      known.functionCount === functions.count &&
      known.mappingCount === mappings.count &&
      known.locationCount === locations.count
    )
      return known
    return (this.#columns = {
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
    })
  }
}

type RowColumns = Omit<
  Symbols,
  | 'stringCount'
  | 'stringOffset'
  | 'stringBytes'
  | 'nodeCount'
  | 'nodeParent'
  | 'nodeLocation'
  | 'stackCount'
  | 'stackNode'
>

function allOf(count: number): Uint32Array {
  const all = new Uint32Array(count)
  for (let i = 0; i < count; i++) all[i] = i
  return all
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
