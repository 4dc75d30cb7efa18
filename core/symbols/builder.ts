/**
 * Builds the symbols of one dataset from many profiles or many datasets: everything is interned by content, so equal
 * frames of different profiles are one row. Ids given out are final: `build` copies the columns without renumbering.
 *
 * Must not: look at samples, drop anything, or know where a row came from (head and merge do).
 */
import { GrowingInt64, GrowingUint32, GrowingUint8 } from '../wire/growing.ts'
import { mix32 } from '../wire/hash.ts'
import type { Int64Column } from '../wire/int64.ts'
import { tableSeed, tableStep } from '../wire/table-hash.ts'
import { StackTable } from './stack-table.ts'
import { StringTable } from './string-table.ts'
import type { Symbols } from './symbols.ts'

/** A row's key as 32-bit words; scratch, reused. */
class WordTable {
  slots = new Uint32Array(32)
  readonly hash = new GrowingUint32(16)
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0

  find(hash: number, equals: (row: number) => boolean): number {
    const mask = this.slots.length - 1
    let slot = hash & mask
    for (;;) {
      const entry = this.slots[slot]!
      if (entry === 0) return -1 - slot
      if (this.hash.array[entry - 1] === hash && equals(entry - 1)) return entry - 1
      slot = (slot + 1) & mask
    }
  }

  get sizeBytes(): number {
    return this.slots.byteLength + this.hash.array.byteLength
  }

  insert(slot: number, hash: number): number {
    const row = this.hash.count
    this.probes += (slot - hash) & (this.slots.length - 1)
    this.hash.push(hash)
    this.slots[slot] = row + 1
    if (row * 2 > this.slots.length) {
      const slots = new Uint32Array(this.slots.length * 2)
      const mask = slots.length - 1
      for (let i = 0; i < this.hash.count; i++) {
        let at = this.hash.array[i]! & mask
        while (slots[at] !== 0) at = (at + 1) & mask
        slots[at] = i + 1
      }
      this.slots = slots
    }
    return row
  }
}

export interface FunctionRow {
  name: number
  systemName: number
  filename: number
  startLineLo: number
  startLineHi: number
}

export interface MappingRow {
  startLo: number
  startHi: number
  limitLo: number
  limitHi: number
  offsetLo: number
  offsetHi: number
  filename: number
  buildId: number
  flags: number
}

export interface LocationRow {
  /** Mapping row + 1; 0 = none. */
  mapping: number
  addressLo: number
  addressHi: number
  folded: number
  /** Scratch columns, innermost line first. */
  lineCount: number
  lineFunction: Uint32Array
  lineLo: Uint32Array
  lineHi: Uint32Array
}

export class SymbolsBuilder {
  readonly strings = new StringTable()
  readonly stacks = new StackTable()

  readonly #seed = tableSeed()
  readonly #functions = new WordTable()
  readonly #functionName = new GrowingUint32()
  readonly #functionSystemName = new GrowingUint32()
  readonly #functionFilename = new GrowingUint32()
  readonly #functionStartLine = new GrowingInt64()

  readonly #mappings = new WordTable()
  readonly #mappingStart = new GrowingInt64()
  readonly #mappingLimit = new GrowingInt64()
  readonly #mappingOffset = new GrowingInt64()
  readonly #mappingFilename = new GrowingUint32()
  readonly #mappingBuildId = new GrowingUint32()
  readonly #mappingFlags = new GrowingUint8()

  readonly #locations = new WordTable()
  readonly #locationMapping = new GrowingUint32()
  readonly #locationAddress = new GrowingInt64()
  readonly #locationFolded = new GrowingUint8()
  readonly #locationLineStart = new GrowingUint32()
  readonly #lineFunction = new GrowingUint32()
  readonly #lineNumber = new GrowingInt64()

  constructor() {
    this.#locationLineStart.push(0)
  }

  internFunction(row: FunctionRow): number {
    let h = tableStep(this.#seed ^ 0x1b873593, row.name)
    h = tableStep(h, row.systemName)
    h = tableStep(h, row.filename)
    h = tableStep(h, row.startLineLo)
    const hash = mix32(tableStep(h, row.startLineHi))
    const found = this.#functions.find(
      hash,
      (i) =>
        this.#functionName.array[i] === row.name &&
        this.#functionSystemName.array[i] === row.systemName &&
        this.#functionFilename.array[i] === row.filename &&
        this.#functionStartLine.lo.array[i] === row.startLineLo &&
        this.#functionStartLine.hi.array[i] === row.startLineHi,
    )
    if (found >= 0) return found
    this.#functionName.push(row.name)
    this.#functionSystemName.push(row.systemName)
    this.#functionFilename.push(row.filename)
    this.#functionStartLine.push(row.startLineLo, row.startLineHi)
    return this.#functions.insert(-1 - found, hash)
  }

  internMapping(row: MappingRow): number {
    let h = tableStep(this.#seed ^ 0xcc9e2d51, row.filename)
    h = tableStep(h, row.buildId)
    h = tableStep(h, row.flags)
    h = tableStep(tableStep(h, row.startLo), row.startHi)
    h = tableStep(tableStep(h, row.limitLo), row.limitHi)
    const hash = mix32(tableStep(tableStep(h, row.offsetLo), row.offsetHi))
    const found = this.#mappings.find(hash, (i) => this.#mappingEquals(i, row))
    if (found >= 0) return found
    this.#mappingStart.push(row.startLo, row.startHi)
    this.#mappingLimit.push(row.limitLo, row.limitHi)
    this.#mappingOffset.push(row.offsetLo, row.offsetHi)
    this.#mappingFilename.push(row.filename)
    this.#mappingBuildId.push(row.buildId)
    this.#mappingFlags.push(row.flags)
    return this.#mappings.insert(-1 - found, hash)
  }

  internLocation(row: LocationRow): number {
    let h = tableStep(this.#seed ^ 0x38b34ae5, row.mapping)
    h = tableStep(tableStep(h, row.addressLo), row.addressHi)
    h = tableStep(h, row.folded)
    for (let i = 0; i < row.lineCount; i++) {
      h = tableStep(h, row.lineFunction[i]!)
      h = tableStep(tableStep(h, row.lineLo[i]!), row.lineHi[i]!)
    }
    const hash = mix32(h)
    const found = this.#locations.find(hash, (i) => this.#locationEquals(i, row))
    if (found >= 0) return found
    this.#locationMapping.push(row.mapping)
    this.#locationAddress.push(row.addressLo, row.addressHi)
    this.#locationFolded.push(row.folded)
    for (let i = 0; i < row.lineCount; i++) {
      this.#lineFunction.push(row.lineFunction[i]!)
      this.#lineNumber.push(row.lineLo[i]!, row.lineHi[i]!)
    }
    this.#locationLineStart.push(this.#lineFunction.count)
    return this.#locations.insert(-1 - found, hash)
  }

  /** Slots that insertions have passed over: of functions, mappings and locations. */
  get probes(): readonly number[] {
    return [this.#functions.probes, this.#mappings.probes, this.#locations.probes]
  }

  /** Of all columns and tables, by their capacity. */
  get sizeBytes(): number {
    const columns32 = [
      this.#functionName,
      this.#functionSystemName,
      this.#functionFilename,
      this.#mappingFilename,
      this.#mappingBuildId,
      this.#locationMapping,
      this.#locationLineStart,
      this.#lineFunction,
    ]
    const columns64 = [
      this.#functionStartLine,
      this.#mappingStart,
      this.#mappingLimit,
      this.#mappingOffset,
      this.#locationAddress,
      this.#lineNumber,
    ]
    let sizeBytes = this.strings.sizeBytes + this.stacks.sizeBytes
    for (const table of [this.#functions, this.#mappings, this.#locations]) sizeBytes += table.sizeBytes
    for (const { array } of columns32) sizeBytes += array.byteLength
    for (const { lo, hi } of columns64) sizeBytes += lo.array.byteLength + hi.array.byteLength
    return sizeBytes + this.#mappingFlags.array.byteLength + this.#locationFolded.array.byteLength
  }

  /** Borrowed, and columns may be longer than their counts: valid until the next intern. */
  view(): Symbols {
    return {
      ...this.strings.viewColumns(),
      functionCount: this.#functionName.count,
      functionName: this.#functionName.array,
      functionSystemName: this.#functionSystemName.array,
      functionFilename: this.#functionFilename.array,
      functionStartLine: viewInt64(this.#functionStartLine),
      mappingCount: this.#mappingFlags.count,
      mappingStart: viewInt64(this.#mappingStart),
      mappingLimit: viewInt64(this.#mappingLimit),
      mappingOffset: viewInt64(this.#mappingOffset),
      mappingFilename: this.#mappingFilename.array,
      mappingBuildId: this.#mappingBuildId.array,
      mappingFlags: this.#mappingFlags.array,
      locationCount: this.#locationMapping.count,
      locationMapping: this.#locationMapping.array,
      locationAddress: viewInt64(this.#locationAddress),
      locationFolded: this.#locationFolded.array,
      locationLineStart: this.#locationLineStart.array,
      lineFunction: this.#lineFunction.array,
      lineNumber: viewInt64(this.#lineNumber),
      nodeCount: this.stacks.nodeCount,
      nodeParent: this.stacks.nodeParent.array,
      nodeLocation: this.stacks.nodeLocation.array,
      stackCount: this.stacks.stackCount,
      stackNode: this.stacks.stackNode.array,
    }
  }

  build(): Symbols {
    return {
      ...this.strings.copyColumns(),
      functionCount: this.#functionName.count,
      functionName: this.#functionName.copy(),
      functionSystemName: this.#functionSystemName.copy(),
      functionFilename: this.#functionFilename.copy(),
      functionStartLine: this.#functionStartLine.copy(),
      mappingCount: this.#mappingFlags.count,
      mappingStart: this.#mappingStart.copy(),
      mappingLimit: this.#mappingLimit.copy(),
      mappingOffset: this.#mappingOffset.copy(),
      mappingFilename: this.#mappingFilename.copy(),
      mappingBuildId: this.#mappingBuildId.copy(),
      mappingFlags: this.#mappingFlags.copy(),
      locationCount: this.#locationMapping.count,
      locationMapping: this.#locationMapping.copy(),
      locationAddress: this.#locationAddress.copy(),
      locationFolded: this.#locationFolded.copy(),
      locationLineStart: this.#locationLineStart.copy(),
      lineFunction: this.#lineFunction.copy(),
      lineNumber: this.#lineNumber.copy(),
      nodeCount: this.stacks.nodeCount,
      nodeParent: this.stacks.nodeParent.copy(),
      nodeLocation: this.stacks.nodeLocation.copy(),
      stackCount: this.stacks.stackCount,
      stackNode: this.stacks.stackNode.copy(),
    }
  }

  #mappingEquals(i: number, row: MappingRow): boolean {
    return (
      this.#mappingFilename.array[i] === row.filename &&
      this.#mappingBuildId.array[i] === row.buildId &&
      this.#mappingFlags.array[i] === row.flags &&
      this.#mappingStart.lo.array[i] === row.startLo &&
      this.#mappingStart.hi.array[i] === row.startHi &&
      this.#mappingLimit.lo.array[i] === row.limitLo &&
      this.#mappingLimit.hi.array[i] === row.limitHi &&
      this.#mappingOffset.lo.array[i] === row.offsetLo &&
      this.#mappingOffset.hi.array[i] === row.offsetHi
    )
  }

  #locationEquals(i: number, row: LocationRow): boolean {
    const start = this.#locationLineStart.array[i]!
    if (this.#locationLineStart.array[i + 1]! - start !== row.lineCount) return false
    if (this.#locationMapping.array[i] !== row.mapping || this.#locationFolded.array[i] !== row.folded) return false
    if (this.#locationAddress.lo.array[i] !== row.addressLo || this.#locationAddress.hi.array[i] !== row.addressHi)
      return false
    for (let k = 0; k < row.lineCount; k++) {
      if (this.#lineFunction.array[start + k] !== row.lineFunction[k]) return false
      if (this.#lineNumber.lo.array[start + k] !== row.lineLo[k]) return false
      if (this.#lineNumber.hi.array[start + k] !== row.lineHi[k]) return false
    }
    return true
  }
}

function viewInt64({ lo, hi }: GrowingInt64): Int64Column {
  return { lo: lo.array, hi: hi.array }
}
