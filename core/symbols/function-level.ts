/**
 * The function level of a line-level stack tree: one node per path of function names, lines and addresses forgotten.
 *
 * 1. For each line-level node, parents first, walk the lines of its location from the outermost caller to the
 *    innermost inlined function; each is a child (parent, name) of the last.
 * 2. A location without lines has no place among named frames and is passed over. A stack that has no named frame at all
 *    is shown by its addresses, `file!0xaddress` of the mapping or `0xaddress`, so that no value is lost.
 * Flame graphs read this level; profiles with lines read the line level.
 */
import { StringTable } from './string-table.ts'
import type { Symbols } from './symbols.ts'
import { hashPair, type TableFactors, tableFactors } from '../wire/table-hash.ts'

export interface FunctionLevel {
  readonly nodeCount: number
  /** parent[0] = 0; a parent's id is below its child's. */
  readonly parent: Uint32Array
  /** Row of the string table that the caller gave; name[0] = 0, the empty string of the root. */
  readonly name: Uint32Array
  /** Function-level node of each line-level node. */
  readonly nodeToFunctionNode: Uint32Array
}

/** Names go into `names`: a table of their own for a query, the dataset's for a level that is stored with it. */
export function buildFunctionLevel(symbols: Symbols, names: StringTable): FunctionLevel {
  return buildLevel(symbols, new LocationNames(symbols, names))
}

/**
 * The level that is stored beside the symbols: its names are rows of their strings, which must be distinct. Names of
 * locations without lines are appended to the strings where a stack needs them.
 */
export function storedFunctionLevel(symbols: Symbols): { symbols: Symbols; functionLevel: FunctionLevel } {
  const names = new OwnNames(symbols)
  const functionLevel = buildLevel(symbols, names)
  return { symbols: { ...symbols, ...names.appended?.copyColumns() }, functionLevel }
}

interface RowNames {
  ofFunction(row: number): number
  ofLocation(row: number): number
}

function buildLevel(symbols: Symbols, locationNames: RowNames): FunctionLevel {
  const capacity = totalLines(symbols) + 1
  const parent = new Uint32Array(capacity)
  const name = new Uint32Array(capacity)
  const nodeToFunctionNode = new Uint32Array(symbols.nodeCount)
  let slots = new Uint32Array(1024)
  let count = 1
  const factors = tableFactors()
  const child = (from: number, nameId: number): number => {
    const mask = slots.length - 1
    let slot = hashPair(factors, from, nameId) & mask
    for (;;) {
      const node = slots[slot]!
      if (node === 0) break
      if (parent[node] === from && name[node] === nameId) return node
      slot = (slot + 1) & mask
    }
    const node = count++
    parent[node] = from
    name[node] = nameId
    slots[slot] = node
    if (count * 2 > slots.length) slots = rehashed({ factors, capacity: slots.length * 2 }, parent, name, count)
    return node
  }
  // Node of the innermost named frame on the path, 0 if there is none yet.
  const named = new Uint32Array(symbols.nodeCount)
  for (let node = 1; node < symbols.nodeCount; node++) {
    const parentNode = symbols.nodeParent[node]!
    const location = symbols.nodeLocation[node]!
    const start = symbols.locationLineStart[location]!
    let at = named[parentNode]!
    for (let line = symbols.locationLineStart[location + 1]! - 1; line >= start; line--)
      at = child(at, locationNames.ofFunction(symbols.lineFunction[line]!))
    named[node] = at
    nodeToFunctionNode[node] =
      at === 0 ? child(nodeToFunctionNode[parentNode]!, locationNames.ofLocation(location)) : at
  }
  return {
    nodeCount: count,
    parent: parent.slice(0, count),
    name: name.slice(0, count),
    nodeToFunctionNode,
  }
}

/** Upper bound of function-level nodes: every line-level node adds at most its location's lines, or one. */
function totalLines(symbols: Symbols): number {
  let total = 0
  for (let node = 1; node < symbols.nodeCount; node++) {
    const location = symbols.nodeLocation[node]!
    total += Math.max(1, symbols.locationLineStart[location + 1]! - symbols.locationLineStart[location]!)
  }
  return total
}

function rehashed(
  { factors, capacity }: { readonly factors: TableFactors; readonly capacity: number },
  parent: Uint32Array,
  name: Uint32Array,
  count: number,
): Uint32Array<ArrayBuffer> {
  const slots = new Uint32Array(capacity)
  const mask = capacity - 1
  for (let node = 1; node < count; node++) {
    let slot = hashPair(factors, parent[node]!, name[node]!) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = node
  }
  return slots
}

const UNKNOWN = 0xffffffff

class LocationNames implements RowNames {
  readonly #symbols: Symbols
  readonly #names: StringTable
  readonly #byFunction: Uint32Array
  readonly #byLocation = new Map<number, number>()

  constructor(symbols: Symbols, names: StringTable) {
    this.#symbols = symbols
    this.#names = names
    this.#byFunction = new Uint32Array(symbols.functionCount).fill(UNKNOWN)
  }

  ofFunction(row: number): number {
    let id = this.#byFunction[row]!
    if (id !== UNKNOWN) return id
    const s = this.#symbols
    const name = s.functionName[row]!
    id = this.#names.intern(s.stringBytes, s.stringOffset[name]!, s.stringOffset[name + 1]!)
    this.#byFunction[row] = id
    return id
  }

  ofLocation(row: number): number {
    const known = this.#byLocation.get(row)
    if (known !== undefined) return known
    const s = this.#symbols
    const hi = s.locationAddress.hi[row]!
    const lo = s.locationAddress.lo[row]!
    const address = hi === 0 ? lo.toString(16) : hi.toString(16) + lo.toString(16).padStart(8, '0')
    const bytes = new TextEncoder().encode(`${this.#binaryOf(row)}0x${address}`)
    const id = this.#names.intern(bytes, 0, bytes.length)
    this.#byLocation.set(row, id)
    return id
  }

  /** `file!`, without its folders, or nothing. */
  #binaryOf(row: number): string {
    const s = this.#symbols
    const mapping = s.locationMapping[row]!
    if (mapping === 0) return ''
    const file = s.mappingFilename[mapping - 1]!
    const path = new TextDecoder().decode(s.stringBytes.subarray(s.stringOffset[file]!, s.stringOffset[file + 1]!))
    const base = path.slice(path.lastIndexOf('/') + 1)
    return base === '' ? '' : `${base}!`
  }
}

/** Names by the symbols' own strings. They are hashed only if a name is not among them: that of an address. */
class OwnNames implements RowNames {
  readonly #symbols: Symbols
  /** All strings of the symbols, and what was appended. */
  appended: StringTable | undefined
  #locations: LocationNames | undefined

  constructor(symbols: Symbols) {
    this.#symbols = symbols
  }

  ofFunction(row: number): number {
    return this.#symbols.functionName[row]!
  }

  ofLocation(row: number): number {
    if (this.#locations === undefined) {
      const { stringCount, stringOffset, stringBytes } = this.#symbols
      const strings = new StringTable()
      for (let i = 0; i < stringCount; i++) strings.intern(stringBytes, stringOffset[i]!, stringOffset[i + 1]!)
      this.appended = strings
      this.#locations = new LocationNames(this.#symbols, strings)
    }
    return this.#locations.ofLocation(row)
  }
}
