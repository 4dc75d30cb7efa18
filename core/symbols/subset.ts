/**
 * The part of a table of symbols that some stacks use, numbered anew in the order in which those stacks use it: what a
 * segment carries of a dictionary, and a merge of the tables of its service. Rows that one profile needs lie next to each
 * other, and differences between neighbours are small: blocks of a recorded corpus became 4 % smaller than with rows in the
 * order in which the sources of a merge brought them.
 *
 * 1. Stacks in the order given; of each, the nodes from the root to its leaf that have no number yet.
 * 2. Locations in the order of nodes; of each its functions (innermost line first), then its mapping.
 * 3. Strings in the order of functions and mappings.
 * What no stack needs is left out; rows stay distinct, because nothing but their numbers changes. Rows of the source are
 * unique by content, so nothing is hashed or compared.
 *
 * The result depends on the stacks and their contents alone, never on what else the source holds or how it numbers it. Time
 * and memory follow the rows used, but for one word a row of the source, which is kept for the next call.
 */
import { RowSet } from './row-set.ts'
import type { Symbols } from './symbols.ts'
import type { GrowingUint32 } from '../wire/growing.ts'
import type { Int64Column } from '../wire/int64.ts'

/** Holds scratch that follows the largest source so far; used again and again. */
export class SymbolsSubset {
  readonly #strings = new RowSet()
  readonly #functions = new RowSet()
  readonly #mappings = new RowSet()
  readonly #locations = new RowSet()
  readonly #nodes = new RowSet()
  #path = new Uint32Array(256)

  get sizeBytes(): number {
    const sets = [this.#strings, this.#functions, this.#mappings, this.#locations, this.#nodes]
    return sets.reduce((sum, set) => sum + set.sizeBytes, this.#path.byteLength)
  }

  /** Columns of their own. `stacks` are stacks of the source, each once. */
  take(source: Symbols, stacks: Uint32Array): Symbols {
    this.#strings.begin(source.stringCount)
    this.#functions.begin(source.functionCount)
    this.#mappings.begin(source.mappingCount)
    this.#locations.begin(source.locationCount)
    this.#nodes.begin(source.nodeCount)
    // String 0 is the empty one and node 0 the root, used or not.
    this.#strings.add(0)
    this.#nodes.add(0)
    // In the order of their references: each step numbers the rows that the next one gathers.
    const stackNode = this.#addPaths(source, stacks)
    const nodes = this.#gatherNodes(source)
    const locations = this.#gatherLocations(source)
    const functions = this.#gatherFunctions(source)
    const mappings = this.#gatherMappings(source)
    const strings = gatherStrings(source, this.#strings.rows)
    return { ...strings, ...functions, ...mappings, ...locations, ...nodes, stackCount: stacks.length, stackNode }
  }

  #addPaths({ nodeParent, stackNode }: Symbols, stacks: Uint32Array): Uint32Array {
    const nodes = this.#nodes
    const out = new Uint32Array(stacks.length)
    for (let i = 0; i < stacks.length; i++) {
      let depth = 0
      const leaf = stackNode[stacks[i]!]!
      for (let node = leaf; !nodes.has(node); node = nodeParent[node]!) {
        if (depth === this.#path.length) {
          const grown = new Uint32Array(depth * 2)
          grown.set(this.#path)
          this.#path = grown
        }
        this.#path[depth++] = node
      }
      while (depth > 0) nodes.add(this.#path[--depth]!)
      out[i] = nodes.placeOf(leaf)
    }
    return out
  }

  #gatherNodes(source: Symbols): Pick<Symbols, 'nodeCount' | 'nodeParent' | 'nodeLocation'> {
    const { array, count } = this.#nodes.rows
    const nodeParent = new Uint32Array(count)
    const nodeLocation = new Uint32Array(count)
    for (let i = 1; i < count; i++) {
      const node = array[i]!
      nodeParent[i] = this.#nodes.placeOf(source.nodeParent[node]!)
      nodeLocation[i] = this.#locations.addOnce(source.nodeLocation[node]!)
    }
    return { nodeCount: count, nodeParent, nodeLocation }
  }

  #gatherLocations(source: Symbols) {
    const { array, count } = this.#locations.rows
    const { locationLineStart: starts } = source
    const locationMapping = new Uint32Array(count)
    const locationFolded = new Uint8Array(count)
    const locationLineStart = new Uint32Array(count + 1)
    for (let i = 0; i < count; i++) {
      const row = array[i]!
      locationLineStart[i + 1] = locationLineStart[i]! + starts[row + 1]! - starts[row]!
    }
    const lineCount = locationLineStart[count]!
    const lineFunction = new Uint32Array(lineCount)
    const lineNumber = { lo: new Uint32Array(lineCount), hi: new Uint32Array(lineCount) }
    for (let i = 0, at = 0; i < count; i++) {
      const row = array[i]!
      for (let line = starts[row]!, end = starts[row + 1]!; line < end; line++, at++) {
        lineFunction[at] = this.#functions.addOnce(source.lineFunction[line]!)
        lineNumber.lo[at] = source.lineNumber.lo[line]!
        lineNumber.hi[at] = source.lineNumber.hi[line]!
      }
      const mapping = source.locationMapping[row]!
      if (mapping !== 0) locationMapping[i] = this.#mappings.addOnce(mapping - 1) + 1
      locationFolded[i] = source.locationFolded[row]!
    }
    const locationAddress = gather64(source.locationAddress, this.#locations.rows)
    const columns = { locationMapping, locationAddress, locationFolded, locationLineStart }
    return { locationCount: count, ...columns, lineFunction, lineNumber }
  }

  #gatherFunctions(source: Symbols) {
    const { array, count } = this.#functions.rows
    const strings = this.#strings
    const functionName = new Uint32Array(count)
    const functionSystemName = new Uint32Array(count)
    const functionFilename = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const row = array[i]!
      functionName[i] = strings.addOnce(source.functionName[row]!)
      functionSystemName[i] = strings.addOnce(source.functionSystemName[row]!)
      functionFilename[i] = strings.addOnce(source.functionFilename[row]!)
    }
    const functionStartLine = gather64(source.functionStartLine, this.#functions.rows)
    return { functionCount: count, functionName, functionSystemName, functionFilename, functionStartLine }
  }

  #gatherMappings(source: Symbols) {
    const { rows } = this.#mappings
    const { array, count } = rows
    const mappingFlags = new Uint8Array(count)
    const mappingFilename = new Uint32Array(count)
    const mappingBuildId = new Uint32Array(count)
    for (let i = 0; i < count; i++) mappingFlags[i] = source.mappingFlags[array[i]!]!
    for (let i = 0; i < count; i++) mappingFilename[i] = this.#strings.addOnce(source.mappingFilename[array[i]!]!)
    for (let i = 0; i < count; i++) mappingBuildId[i] = this.#strings.addOnce(source.mappingBuildId[array[i]!]!)
    return {
      mappingCount: count,
      mappingStart: gather64(source.mappingStart, rows),
      mappingLimit: gather64(source.mappingLimit, rows),
      mappingOffset: gather64(source.mappingOffset, rows),
      mappingFilename,
      mappingBuildId,
      mappingFlags,
    }
  }
}

/** Strings that follow each other in the source are copied as one: most do. */
function gatherStrings(
  { stringOffset: from, stringBytes: bytes }: Symbols,
  { array, count }: GrowingUint32,
): Pick<Symbols, 'stringCount' | 'stringOffset' | 'stringBytes'> {
  const stringOffset = new Uint32Array(count + 1)
  for (let i = 0; i < count; i++) stringOffset[i + 1] = stringOffset[i]! + from[array[i]! + 1]! - from[array[i]!]!
  const stringBytes = new Uint8Array(stringOffset[count]!)
  for (let i = 0; i < count; ) {
    const first = i
    for (i++; i < count && array[i] === array[i - 1]! + 1; i++);
    stringBytes.set(bytes.subarray(from[array[first]!]!, from[array[i - 1]! + 1]!), stringOffset[first]!)
  }
  return { stringCount: count, stringOffset, stringBytes }
}

function gather64({ lo, hi }: Int64Column, { array, count }: GrowingUint32): Int64Column {
  const out = { lo: new Uint32Array(count), hi: new Uint32Array(count) }
  for (let i = 0; i < count; i++) {
    out.lo[i] = lo[array[i]!]!
    out.hi[i] = hi[array[i]!]!
  }
  return out
}
