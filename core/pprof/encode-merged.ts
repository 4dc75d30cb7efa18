/**
 * Writes merged stacks as one pprof, in an order that follows from their content alone: the same stacks give the same
 * bytes, however many blocks they came from and in whatever order.
 *
 * 1. Strings are sorted by bytes, functions and mappings by their strings and numbers, locations by mapping, address and
 *    lines. Rank + 1 is the id.
 * 2. Children of a node are ordered by the rank of their location; samples are the stacks in depth-first order.
 * 3. Fields go out in ascending order, so that the message begins with its sample type. int64 is exact.
 *
 * Every row must be used by a stack, and stacks must be distinct: `core/query/stack-profile.ts` gives such tables.
 */
import type { Symbols } from '../symbols/symbols.ts'
import { type ByteStrings, compareBytes, sortByBytes } from '../wire/byte-order.ts'
import { getBigInt, type Int64Column } from '../wire/int64.ts'
import { ProtobufWriter, WIRE_LENGTH } from '../wire/protobuf.ts'
import type { ValueTypeModel } from './encode.ts'

export interface MergedHeader {
  readonly sampleType: ValueTypeModel
  readonly periodType: ValueTypeModel
  readonly period: bigint
  readonly timeNanos: bigint
  /** Sentences for who opens the file. */
  readonly comments?: readonly string[]
}

/** Bits of `mappingFlags`, which are fields 7 to 10 of a mapping. */
const FLAG_FIELDS = [7, 8, 9, 10]

/** `sums` by stack. */
export function encodeMergedPprof(symbols: Symbols, sums: Int64Column, header: MergedHeader): Uint8Array {
  const strings = new RankedStrings(symbols, header)
  const { functionName, mappingFilename, locationLineStart, lineFunction } = symbols
  const functions = rankRows(
    symbols.functionCount,
    (row) => strings.rank(functionName[row]!),
    compareFunctions(symbols, strings),
  )
  const mappings = rankRows(
    symbols.mappingCount,
    (row) => strings.rank(mappingFilename[row]!),
    compareMappings(symbols, strings),
  )
  // Those without lines come first, then by the function of the first line.
  const firstFunction = (row: number): number => {
    const line = locationLineStart[row]!
    return line === locationLineStart[row + 1] ? 0 : functions.rank[lineFunction[line]!]! + 1
  }
  const locations = rankRows(
    symbols.locationCount,
    firstFunction,
    compareLocations(symbols, functions.rank, mappings.rank),
  )
  const out = new ProtobufWriter(1 << 16)
  const message = new ProtobufWriter()
  const line = new ProtobufWriter()
  const valueType = (field: number, { type, unit }: ValueTypeModel): void => {
    message.clear()
    message.varintField(1, strings.ofText(type))
    message.varintField(2, strings.ofText(unit))
    out.messageField(field, message)
  }
  valueType(1, header.sampleType)
  writeSamples(out, { symbols, sums, locationRank: locations.rank })
  for (const row of mappings.rows) writeMapping(out, message, { symbols, strings, row, id: mappings.rank[row]! + 1 })
  for (const row of locations.rows) {
    writeLocation(out, message, { symbols, row, id: locations.rank[row]! + 1, line, functions, mappings })
  }
  for (const row of functions.rows) writeFunction(out, message, { symbols, strings, row, id: functions.rank[row]! + 1 })
  strings.write(out)
  out.varintField(9, header.timeNanos)
  valueType(11, header.periodType)
  out.varintField(12, header.period)
  for (const comment of header.comments ?? []) out.varintField(13, strings.ofText(comment))
  out.varintField(14, strings.ofText(header.sampleType.type))
  return out.copyBytes()
}

interface RankedRows {
  /** Rows in their order. */
  readonly rows: Uint32Array
  readonly rank: Uint32Array
}

/**
 * By the whole number `first` of each row, which is below 2^26 as their count is, then by `compare`. Numbers sort without a
 * call a comparison, and few rows share theirs.
 */
function rankRows(
  count: number,
  first: (row: number) => number,
  compare: (a: number, b: number) => number,
): RankedRows {
  const keys = new Float64Array(count)
  for (let row = 0; row < count; row++) keys[row] = first(row) * count + row
  keys.sort()
  const rows = new Uint32Array(count)
  const rank = new Uint32Array(count)
  let begin = 0
  for (let i = 0; i < count; i++) {
    rows[i] = keys[i]! % count
    const isLast = i + 1 === count || Math.floor(keys[i + 1]! / count) !== Math.floor(keys[i]! / count)
    if (!isLast) continue
    if (i > begin) rows.subarray(begin, i + 1).sort(compare)
    begin = i + 1
  }
  for (let i = 0; i < count; i++) rank[rows[i]!] = i
  return { rows, rank }
}

/** Strings of the symbols and of the header, each once, sorted by bytes: string 0 is empty, as readers demand. */
class RankedStrings {
  readonly #strings: ByteStrings
  /** A row of each rank. */
  readonly #rows: number[] = []
  readonly #rankOf: Uint32Array
  readonly #rankOfText = new Map<string, number>()

  constructor(
    { stringBytes, stringOffset, stringCount }: Symbols,
    { sampleType, periodType, comments = [] }: MergedHeader,
  ) {
    const types = [sampleType.type, sampleType.unit, periodType.type, periodType.unit]
    const texts = [...new Set(['', ...types, ...comments])]
    const own = texts.map((text) => new TextEncoder().encode(text))
    const ownBytes = own.reduce((sum, { length }) => sum + length, 0)
    let end = stringOffset[stringCount]!
    const bytes = new Uint8Array(end + ownBytes)
    bytes.set(stringBytes.subarray(0, end))
    const start = new Uint32Array(stringCount + own.length + 1)
    start.set(stringOffset.subarray(0, stringCount + 1))
    own.forEach((text, i) => {
      bytes.set(text, end)
      end += text.length
      start[stringCount + i + 1] = end
    })
    this.#strings = { bytes, start }
    this.#rankOf = new Uint32Array(stringCount + own.length)
    this.#rank()
    texts.forEach((text, i) => this.#rankOfText.set(text, this.#rankOf[stringCount + i]!))
  }

  #rank(): void {
    const sorted = new Uint32Array(this.#rankOf.length)
    for (let row = 0; row < sorted.length; row++) sorted[row] = row
    sortByBytes(this.#strings, sorted)
    for (let i = 0; i < sorted.length; i++) {
      const row = sorted[i]!
      if (i === 0 || compareBytes(this.#strings, sorted[i - 1]!, row) !== 0) this.#rows.push(row)
      this.#rankOf[row] = this.#rows.length - 1
    }
  }

  /** Of a string of the symbols. */
  rank(row: number): number {
    return this.#rankOf[row]!
  }

  /** Of a string of the header. */
  ofText(text: string): number {
    return this.#rankOfText.get(text)!
  }

  write(out: ProtobufWriter): void {
    const { bytes, start } = this.#strings
    for (const row of this.#rows) {
      out.tag(6, WIRE_LENGTH)
      out.varint(start[row + 1]! - start[row]!)
      out.rawRange(bytes, start[row]!, start[row + 1]!)
    }
  }
}

/** Most fit in 32 bits, which need no bigint. */
function valueAt(column: Int64Column, row: number): number | bigint {
  return column.hi[row] === 0 ? column.lo[row]! : getBigInt(column, row)
}

/** As unsigned. */
function compare64(column: Int64Column, a: number, b: number): number {
  return column.hi[a]! - column.hi[b]! || column.lo[a]! - column.lo[b]!
}

function compareFunctions(symbols: Symbols, strings: RankedStrings): (a: number, b: number) => number {
  const columns = [symbols.functionName, symbols.functionFilename, symbols.functionSystemName]
  return (a, b) => {
    for (const column of columns) {
      if (column[a] !== column[b]) return strings.rank(column[a]!) - strings.rank(column[b]!)
    }
    return compare64(symbols.functionStartLine, a, b)
  }
}

function compareMappings(symbols: Symbols, strings: RankedStrings): (a: number, b: number) => number {
  return (a, b) => {
    for (const column of [symbols.mappingFilename, symbols.mappingBuildId]) {
      if (column[a] !== column[b]) return strings.rank(column[a]!) - strings.rank(column[b]!)
    }
    for (const column of [symbols.mappingStart, symbols.mappingLimit, symbols.mappingOffset]) {
      const order = compare64(column, a, b)
      if (order !== 0) return order
    }
    return symbols.mappingFlags[a]! - symbols.mappingFlags[b]!
  }
}

function compareLocations(
  symbols: Symbols,
  functionRank: Uint32Array,
  mappingRank: Uint32Array,
): (a: number, b: number) => number {
  const { locationMapping, locationLineStart, lineFunction, lineNumber } = symbols
  const mappingOf = (row: number): number => (locationMapping[row] === 0 ? -1 : mappingRank[locationMapping[row]! - 1]!)
  return (a, b) => {
    const aLines = locationLineStart[a + 1]! - locationLineStart[a]!
    const bLines = locationLineStart[b + 1]! - locationLineStart[b]!
    for (let i = 0; i < aLines && i < bLines; i++) {
      const aLine = locationLineStart[a]! + i
      const bLine = locationLineStart[b]! + i
      const order = functionRank[lineFunction[aLine]!]! - functionRank[lineFunction[bLine]!]!
      if (order !== 0) return order
      const byLine = compare64(lineNumber, aLine, bLine)
      if (byLine !== 0) return byLine
    }
    return (
      aLines - bLines ||
      mappingOf(a) - mappingOf(b) ||
      compare64(symbols.locationAddress, a, b) ||
      symbols.locationFolded[a]! - symbols.locationFolded[b]!
    )
  }
}

interface SampleColumns {
  readonly symbols: Symbols
  readonly sums: Int64Column
  readonly locationRank: Uint32Array
}

function writeSamples(out: ProtobufWriter, { symbols, sums, locationRank }: SampleColumns): void {
  const { nodeParent, nodeLocation, nodeCount, stackNode } = symbols
  const stackOf = new Int32Array(nodeCount).fill(-1)
  for (let stack = 0; stack < symbols.stackCount; stack++) stackOf[stackNode[stack]!] = stack
  const sample = new ProtobufWriter()
  const packed = new ProtobufWriter()
  visitDepthFirst(childrenByRank(symbols, locationRank), (node) => {
    const stack = stackOf[node]!
    if (stack < 0) return
    sample.clear()
    packed.clear()
    for (let at = node; at !== 0; at = nodeParent[at]!) packed.varint(locationRank[nodeLocation[at]!]! + 1)
    if (packed.length > 0) sample.messageField(1, packed)
    packed.clear()
    // A value is written even if it is zero: readers count values.
    if (sums.hi[stack] === 0) packed.varint(sums.lo[stack]!)
    else packed.varintBigInt(getBigInt(sums, stack))
    sample.messageField(2, packed)
    out.messageField(2, sample)
  })
}

interface Children {
  /** Children of node i: children[start[i], start[i + 1]). */
  readonly start: Uint32Array
  readonly children: Uint32Array
}

/** Two counting sorts: nodes by the rank of their location, then by parent. */
function childrenByRank({ nodeCount, nodeParent, nodeLocation }: Symbols, locationRank: Uint32Array): Children {
  const rankEnd = new Uint32Array(locationRank.length + 1)
  for (let node = 1; node < nodeCount; node++) rankEnd[locationRank[nodeLocation[node]!]! + 1]!++
  for (let rank = 0; rank < locationRank.length; rank++) rankEnd[rank + 1]! += rankEnd[rank]!
  const byRank = new Uint32Array(Math.max(0, nodeCount - 1))
  for (let node = 1; node < nodeCount; node++) byRank[rankEnd[locationRank[nodeLocation[node]!]!]!++] = node
  const start = new Uint32Array(nodeCount + 1)
  for (let node = 1; node < nodeCount; node++) start[nodeParent[node]! + 1]!++
  for (let node = 0; node < nodeCount; node++) start[node + 1]! += start[node]!
  const cursor = start.slice(0, nodeCount)
  const children = new Uint32Array(byRank.length)
  for (let i = 0; i < byRank.length; i++) {
    const node = byRank[i]!
    children[cursor[nodeParent[node]!]!++] = node
  }
  return { start, children }
}

/** The root first. No recursion: stacks are 10,000 deep. */
function visitDepthFirst({ start, children }: Children, visit: (node: number) => void): void {
  const open = new Uint32Array(children.length + 1)
  let count = 1
  while (count > 0) {
    const node = open[--count]!
    visit(node)
    for (let i = start[node + 1]! - 1; i >= start[node]!; i--) open[count++] = children[i]!
  }
}

interface TableRow {
  readonly symbols: Symbols
  readonly row: number
  readonly id: number
}

function writeMapping(
  out: ProtobufWriter,
  message: ProtobufWriter,
  { symbols, strings, row, id }: TableRow & { readonly strings: RankedStrings },
): void {
  message.clear()
  message.varintField(1, id)
  message.varintField(2, valueAt(symbols.mappingStart, row))
  message.varintField(3, valueAt(symbols.mappingLimit, row))
  message.varintField(4, valueAt(symbols.mappingOffset, row))
  message.varintField(5, strings.rank(symbols.mappingFilename[row]!))
  message.varintField(6, strings.rank(symbols.mappingBuildId[row]!))
  FLAG_FIELDS.forEach((field, bit) => message.varintField(field, (symbols.mappingFlags[row]! >>> bit) & 1))
  out.messageField(3, message)
}

function writeLocation(
  out: ProtobufWriter,
  message: ProtobufWriter,
  {
    symbols,
    row,
    id,
    line,
    functions,
    mappings,
  }: TableRow & Record<'functions' | 'mappings', RankedRows> & { readonly line: ProtobufWriter },
): void {
  const mapping = symbols.locationMapping[row]!
  message.clear()
  message.varintField(1, id)
  message.varintField(2, mapping === 0 ? 0 : mappings.rank[mapping - 1]! + 1)
  message.varintField(3, valueAt(symbols.locationAddress, row))
  for (let i = symbols.locationLineStart[row]!; i < symbols.locationLineStart[row + 1]!; i++) {
    line.clear()
    line.varintField(1, functions.rank[symbols.lineFunction[i]!]! + 1)
    line.varintField(2, valueAt(symbols.lineNumber, i))
    message.messageField(4, line)
  }
  message.varintField(5, symbols.locationFolded[row]!)
  out.messageField(4, message)
}

function writeFunction(
  out: ProtobufWriter,
  message: ProtobufWriter,
  { symbols, strings, row, id }: TableRow & { readonly strings: RankedStrings },
): void {
  message.clear()
  message.varintField(1, id)
  message.varintField(2, strings.rank(symbols.functionName[row]!))
  message.varintField(3, strings.rank(symbols.functionSystemName[row]!))
  message.varintField(4, strings.rank(symbols.functionFilename[row]!))
  message.varintField(5, valueAt(symbols.functionStartLine, row))
  out.messageField(5, message)
}
