/**
 * Maps the symbols of a source dataset into a builder, row by row and only where a kept sample points.
 *
 * Rows are mapped once and remembered; a node is mapped after its parent, which has a lower id, so the walk towards
 * the root stops at the first node already known. Stacks get their ids in the order in which `mapStack` is called.
 */
import type { LocationRow, SymbolsBuilder } from './builder.ts'
import type { Symbols } from './symbols.ts'

const UNKNOWN = 0xffffffff

/** Stack of a node over all sources of one merge: shared by their mappers. */
export class StackOfNode {
  #stack = new Uint32Array(1024).fill(UNKNOWN)
  readonly #builder: SymbolsBuilder

  constructor(builder: SymbolsBuilder) {
    this.#builder = builder
  }

  get(node: number): number {
    if (node >= this.#stack.length) {
      const grown = new Uint32Array(Math.max(node + 1, this.#stack.length * 2)).fill(UNKNOWN)
      grown.set(this.#stack)
      this.#stack = grown
    }
    const known = this.#stack[node]!
    if (known !== UNKNOWN) return known
    const stackId = this.#builder.stacks.addStack(node)
    this.#stack[node] = stackId
    return stackId
  }
}

export class SymbolsMapper {
  readonly #builder: SymbolsBuilder
  readonly #source: Symbols
  readonly #stackOfNode: StackOfNode
  readonly #string: Uint32Array
  readonly #function: Uint32Array
  readonly #mapping: Uint32Array
  readonly #location: Uint32Array
  readonly #node: Uint32Array
  readonly #stack: Uint32Array
  #path = new Uint32Array(256)
  readonly #row: LocationRow

  constructor(builder: SymbolsBuilder, source: Symbols, stackOfNode: StackOfNode) {
    this.#builder = builder
    this.#source = source
    this.#stackOfNode = stackOfNode
    this.#string = new Uint32Array(source.stringCount).fill(UNKNOWN)
    this.#function = new Uint32Array(source.functionCount).fill(UNKNOWN)
    this.#mapping = new Uint32Array(source.mappingCount).fill(UNKNOWN)
    this.#location = new Uint32Array(source.locationCount).fill(UNKNOWN)
    this.#node = new Uint32Array(source.nodeCount).fill(UNKNOWN)
    this.#node[0] = 0
    this.#stack = new Uint32Array(source.stackCount).fill(UNKNOWN)
    let linesMax = 1
    for (let i = 0; i < source.locationCount; i++)
      linesMax = Math.max(linesMax, source.locationLineStart[i + 1]! - source.locationLineStart[i]!)
    this.#row = {
      mapping: 0,
      addressLo: 0,
      addressHi: 0,
      folded: 0,
      lineCount: 0,
      lineFunction: new Uint32Array(linesMax),
      lineLo: new Uint32Array(linesMax),
      lineHi: new Uint32Array(linesMax),
    }
  }

  mapStack(stackId: number): number {
    const known = this.#stack[stackId]!
    if (known !== UNKNOWN) return known
    const mapped = this.#stackOfNode.get(this.#mapNode(this.#source.stackNode[stackId]!))
    this.#stack[stackId] = mapped
    return mapped
  }

  #mapNode(node: number): number {
    const parents = this.#source.nodeParent
    let depth = 0
    while (this.#node[node] === UNKNOWN) {
      if (depth === this.#path.length) {
        const grown = new Uint32Array(depth * 2)
        grown.set(this.#path)
        this.#path = grown
      }
      this.#path[depth++] = node
      node = parents[node]!
    }
    let mapped = this.#node[node]!
    while (depth > 0) {
      const child = this.#path[--depth]!
      mapped = this.#builder.stacks.internNode(mapped, this.#mapLocation(this.#source.nodeLocation[child]!))
      this.#node[child] = mapped
    }
    return mapped
  }

  #mapString(index: number): number {
    let id = this.#string[index]!
    if (id !== UNKNOWN) return id
    const { stringBytes, stringOffset } = this.#source
    id = this.#builder.strings.intern(stringBytes, stringOffset[index]!, stringOffset[index + 1]!)
    this.#string[index] = id
    return id
  }

  #mapFunction(row: number): number {
    let id = this.#function[row]!
    if (id !== UNKNOWN) return id
    const s = this.#source
    id = this.#builder.internFunction({
      name: this.#mapString(s.functionName[row]!),
      systemName: this.#mapString(s.functionSystemName[row]!),
      filename: this.#mapString(s.functionFilename[row]!),
      startLineLo: s.functionStartLine.lo[row]!,
      startLineHi: s.functionStartLine.hi[row]!,
    })
    this.#function[row] = id
    return id
  }

  #mapMapping(row: number): number {
    let id = this.#mapping[row]!
    if (id !== UNKNOWN) return id
    const s = this.#source
    id = this.#builder.internMapping({
      startLo: s.mappingStart.lo[row]!,
      startHi: s.mappingStart.hi[row]!,
      limitLo: s.mappingLimit.lo[row]!,
      limitHi: s.mappingLimit.hi[row]!,
      offsetLo: s.mappingOffset.lo[row]!,
      offsetHi: s.mappingOffset.hi[row]!,
      filename: this.#mapString(s.mappingFilename[row]!),
      buildId: this.#mapString(s.mappingBuildId[row]!),
      flags: s.mappingFlags[row]!,
    })
    this.#mapping[row] = id
    return id
  }

  #mapLocation(row: number): number {
    let id = this.#location[row]!
    if (id !== UNKNOWN) return id
    const s = this.#source
    const out = this.#row
    const start = s.locationLineStart[row]!
    out.lineCount = s.locationLineStart[row + 1]! - start
    for (let i = 0; i < out.lineCount; i++) {
      out.lineFunction[i] = this.#mapFunction(s.lineFunction[start + i]!)
      out.lineLo[i] = s.lineNumber.lo[start + i]!
      out.lineHi[i] = s.lineNumber.hi[start + i]!
    }
    const mapping = s.locationMapping[row]!
    out.mapping = mapping === 0 ? 0 : this.#mapMapping(mapping - 1) + 1
    out.addressLo = s.locationAddress.lo[row]!
    out.addressHi = s.locationAddress.hi[row]!
    out.folded = s.locationFolded[row]!
    id = this.#builder.internLocation(out)
    this.#location[row] = id
    return id
  }
}
