/**
 * The part of a table of symbols that some stacks use, numbered anew: what a segment carries of a dictionary.
 *
 * 1. Stacks keep the order given. For each, its nodes are walked from the leaf up to the first node that is known;
 *    locations, functions, mappings and strings are numbered when they are first met on that way, nodes afterwards from
 *    the root down, so that a parent's id stays below its child's.
 * 2. The columns are gathered in that order. Rows of the source are unique by content, so nothing is hashed or compared.
 *
 * The result depends on the stacks and their contents alone, never on what else the source holds or how it numbers
 * it, and equals what interning the same stacks into an empty `SymbolsBuilder` gives. Time and memory follow the rows
 * used, but for one word a row of the source, which is kept for the next call.
 */
import type { GrowingUint32 } from '../wire/growing.ts'
import type { Int64Column } from '../wire/int64.ts'
import { RowSet } from './row-set.ts'
import type { Symbols } from './symbols.ts'

export class SymbolsSubset {
  readonly #strings = new RowSet()
  readonly #functions = new RowSet()
  readonly #mappings = new RowSet()
  readonly #locations = new RowSet()
  readonly #nodes = new RowSet()
  #path = new Uint32Array(64)

  get sizeBytes(): number {
    const sets = [this.#strings, this.#functions, this.#mappings, this.#locations, this.#nodes]
    return sets.reduce((sum, set) => sum + set.sizeBytes, this.#path.byteLength)
  }

  /** Columns of their own. `stacks[0, count)` are stack ids of the source, each once. */
  take(source: Symbols, stacks: Uint32Array, count: number): Symbols {
    this.#strings.begin(source.stringCount)
    this.#functions.begin(source.functionCount)
    this.#mappings.begin(source.mappingCount)
    this.#locations.begin(source.locationCount)
    this.#nodes.begin(source.nodeCount)
    // Row 0 of strings is the empty string and node 0 the root, used or not.
    this.#strings.add(0)
    this.#nodes.add(0)
    const stackNode = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const node = source.stackNode[stacks[i]!]!
      this.#addPath(source, node)
      stackNode[i] = this.#nodes.placeOf(node)
    }
    return {
      ...this.#gatherStrings(source),
      ...this.#gatherFunctions(source),
      ...this.#gatherMappings(source),
      ...this.#gatherLocations(source),
      ...this.#gatherNodes(source),
      stackCount: count,
      stackNode,
    }
  }

  #addPath(source: Symbols, leaf: number): void {
    const nodes = this.#nodes
    let depth = 0
    for (let node = leaf; !nodes.has(node); node = source.nodeParent[node]!) {
      if (depth === this.#path.length) {
        const grown = new Uint32Array(depth * 2)
        grown.set(this.#path)
        this.#path = grown
      }
      this.#path[depth++] = node
      const location = source.nodeLocation[node]!
      if (!this.#locations.has(location)) this.#addLocation(source, location)
    }
    while (depth > 0) nodes.add(this.#path[--depth]!)
  }

  #addLocation(source: Symbols, location: number): void {
    const end = source.locationLineStart[location + 1]!
    for (let line = source.locationLineStart[location]!; line < end; line++) {
      const row = source.lineFunction[line]!
      if (this.#functions.has(row)) continue
      this.#addString(source.functionName[row]!)
      this.#addString(source.functionSystemName[row]!)
      this.#addString(source.functionFilename[row]!)
      this.#functions.add(row)
    }
    const mapping = source.locationMapping[location]! - 1
    if (mapping >= 0 && !this.#mappings.has(mapping)) {
      this.#addString(source.mappingFilename[mapping]!)
      this.#addString(source.mappingBuildId[mapping]!)
      this.#mappings.add(mapping)
    }
    this.#locations.add(location)
  }

  #addString(row: number): void {
    if (!this.#strings.has(row)) this.#strings.add(row)
  }

  #gatherStrings(source: Symbols): Pick<Symbols, 'stringCount' | 'stringOffset' | 'stringBytes'> {
    const { array, count } = this.#strings.rows
    const stringOffset = new Uint32Array(count + 1)
    for (let i = 0; i < count; i++) {
      const row = array[i]!
      stringOffset[i + 1] = stringOffset[i]! + source.stringOffset[row + 1]! - source.stringOffset[row]!
    }
    const stringBytes = new Uint8Array(stringOffset[count]!)
    for (let i = 0; i < count; i++) {
      let at = stringOffset[i]!
      const end = source.stringOffset[array[i]! + 1]!
      for (let from = source.stringOffset[array[i]!]!; from < end; from++) stringBytes[at++] = source.stringBytes[from]!
    }
    return { stringCount: count, stringOffset, stringBytes }
  }

  #gatherFunctions(source: Symbols) {
    const { rows } = this.#functions
    return {
      functionCount: rows.count,
      functionName: gatherPlaces(source.functionName, rows, this.#strings),
      functionSystemName: gatherPlaces(source.functionSystemName, rows, this.#strings),
      functionFilename: gatherPlaces(source.functionFilename, rows, this.#strings),
      functionStartLine: gather64(source.functionStartLine, rows),
    }
  }

  #gatherMappings(source: Symbols) {
    const { rows } = this.#mappings
    const mappingFlags = new Uint8Array(rows.count)
    for (let i = 0; i < rows.count; i++) mappingFlags[i] = source.mappingFlags[rows.array[i]!]!
    return {
      mappingCount: rows.count,
      mappingStart: gather64(source.mappingStart, rows),
      mappingLimit: gather64(source.mappingLimit, rows),
      mappingOffset: gather64(source.mappingOffset, rows),
      mappingFilename: gatherPlaces(source.mappingFilename, rows, this.#strings),
      mappingBuildId: gatherPlaces(source.mappingBuildId, rows, this.#strings),
      mappingFlags,
    }
  }

  #gatherLocations(source: Symbols) {
    const { array, count } = this.#locations.rows
    const locationMapping = new Uint32Array(count)
    const locationFolded = new Uint8Array(count)
    const locationLineStart = new Uint32Array(count + 1)
    for (let i = 0; i < count; i++) {
      const row = array[i]!
      const mapping = source.locationMapping[row]!
      locationMapping[i] = mapping === 0 ? 0 : this.#mappings.placeOf(mapping - 1) + 1
      locationFolded[i] = source.locationFolded[row]!
      locationLineStart[i + 1] =
        locationLineStart[i]! + source.locationLineStart[row + 1]! - source.locationLineStart[row]!
    }
    const lineCount = locationLineStart[count]!
    const lineFunction = new Uint32Array(lineCount)
    const lineNumber = { lo: new Uint32Array(lineCount), hi: new Uint32Array(lineCount) }
    for (let i = 0, at = 0; i < count; i++) {
      const end = source.locationLineStart[array[i]! + 1]!
      for (let line = source.locationLineStart[array[i]!]!; line < end; line++, at++) {
        lineFunction[at] = this.#functions.placeOf(source.lineFunction[line]!)
        lineNumber.lo[at] = source.lineNumber.lo[line]!
        lineNumber.hi[at] = source.lineNumber.hi[line]!
      }
    }
    const locationAddress = gather64(source.locationAddress, this.#locations.rows)
    const columns = { locationMapping, locationAddress, locationFolded, locationLineStart }
    return { locationCount: count, ...columns, lineFunction, lineNumber }
  }

  #gatherNodes(source: Symbols) {
    const { array, count } = this.#nodes.rows
    const nodeParent = new Uint32Array(count)
    const nodeLocation = new Uint32Array(count)
    for (let i = 1; i < count; i++) {
      nodeParent[i] = this.#nodes.placeOf(source.nodeParent[array[i]!]!)
      nodeLocation[i] = this.#locations.placeOf(source.nodeLocation[array[i]!]!)
    }
    return { nodeCount: count, nodeParent, nodeLocation }
  }
}

/** Column of references, each turned into the place of what it names. */
function gatherPlaces(column: Uint32Array, { array, count }: GrowingUint32, places: RowSet): Uint32Array {
  const out = new Uint32Array(count)
  for (let i = 0; i < count; i++) out[i] = places.placeOf(column[array[i]!]!)
  return out
}

function gather64(column: Int64Column, { array, count }: GrowingUint32): Int64Column {
  const lo = new Uint32Array(count)
  const hi = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    lo[i] = column.lo[array[i]!]!
    hi[i] = column.hi[array[i]!]!
  }
  return { lo, hi }
}
