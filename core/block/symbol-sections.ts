/**
 * Symbols and stacks as sections: one column after the other, differences to the row before where neighbours are close.
 *
 * Split by what reads need: with a stored function level a flame graph needs strings, stacks and that level alone; a
 * pprof needs everything else. The decoder checks every
 * reference, so that a crafted file cannot make a reader walk out of a column or in a circle.
 */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'
import type { Int64Column } from '../wire/int64.ts'
import type { FunctionLevel } from '../symbols/function-level.ts'
import type { Symbols } from '../symbols/symbols.ts'

export type StringColumns = Pick<Symbols, 'stringCount' | 'stringOffset' | 'stringBytes'>
export type FunctionColumns = Pick<
  Symbols,
  'functionCount' | 'functionName' | 'functionSystemName' | 'functionFilename' | 'functionStartLine'
>
export type MappingColumns = Pick<
  Symbols,
  | 'mappingCount'
  | 'mappingStart'
  | 'mappingLimit'
  | 'mappingOffset'
  | 'mappingFilename'
  | 'mappingBuildId'
  | 'mappingFlags'
>
export type LineColumns = Pick<Symbols, 'locationCount' | 'locationLineStart' | 'lineFunction'>
export type LocationColumns = Pick<Symbols, 'locationMapping' | 'locationAddress' | 'locationFolded' | 'lineNumber'>
export type TreeColumns = Pick<Symbols, 'nodeCount' | 'nodeParent' | 'nodeLocation'>
export type StackColumns = Pick<Symbols, 'stackCount' | 'stackNode'>

function checkBelow(column: Uint32Array, limit: number, input: ByteReader, what: string): void {
  let max = -1
  for (let i = 0; i < column.length; i++) if (column[i]! > max) max = column[i]!
  if (max >= limit) input.fail(`${what} ${max} of ${limit}`)
}

export function encodeStrings(strings: StringColumns, out: ByteWriter): void {
  const { stringCount, stringOffset, stringBytes } = strings
  const lengths = new Uint32Array(stringCount)
  for (let i = 0; i < stringCount; i++) lengths[i] = stringOffset[i + 1]! - stringOffset[i]!
  out.varint(stringCount)
  out.column32(lengths, stringCount)
  out.bytes(stringBytes.subarray(0, stringOffset[stringCount]))
}

export function decodeStrings(input: ByteReader): StringColumns {
  const stringCount = input.count()
  const lengths = input.column32(stringCount)
  const stringOffset = new Uint32Array(stringCount + 1)
  let offset = 0
  for (let i = 0; i < stringCount; i++) {
    offset += lengths[i]!
    if (offset > input.remaining) input.fail(`string ${i} ends past the section`)
    stringOffset[i + 1] = offset
  }
  const stringBytes = input.viewBytes(offset).slice()
  input.expectEnd()
  return { stringCount, stringOffset, stringBytes }
}

export function encodeFunctions(functions: FunctionColumns, out: ByteWriter): void {
  const count = functions.functionCount
  out.varint(count)
  out.deltaColumn32(functions.functionName, count)
  // The system name is the name in most languages: 0 for equal.
  const sameOrSystem = new Uint32Array(count)
  for (let i = 0; i < count; i++)
    sameOrSystem[i] =
      functions.functionSystemName[i] === functions.functionName[i] ? 0 : functions.functionSystemName[i]! + 1
  out.column32(sameOrSystem, count)
  out.deltaColumn32(functions.functionFilename, count)
  out.column64(functions.functionStartLine, count)
}

export function decodeFunctions(input: ByteReader, stringCount: number): FunctionColumns {
  const functionCount = input.count(4)
  const functionName = input.deltaColumn32(functionCount)
  const functionSystemName = input.column32(functionCount)
  for (let i = 0; i < functionCount; i++)
    functionSystemName[i] = functionSystemName[i] === 0 ? functionName[i]! : functionSystemName[i]! - 1
  const functionFilename = input.deltaColumn32(functionCount)
  const functionStartLine = input.column64(functionCount)
  input.expectEnd()
  for (const column of [functionName, functionSystemName, functionFilename])
    checkBelow(column, stringCount, input, 'string')
  return { functionCount, functionName, functionSystemName, functionFilename, functionStartLine }
}

export function encodeMappings(mappings: MappingColumns, out: ByteWriter): void {
  const count = mappings.mappingCount
  out.varint(count)
  out.column64(mappings.mappingStart, count)
  out.column64(mappings.mappingLimit, count)
  out.column64(mappings.mappingOffset, count)
  out.column32(mappings.mappingFilename, count)
  out.column32(mappings.mappingBuildId, count)
  out.bytes(mappings.mappingFlags.subarray(0, count))
}

export function decodeMappings(input: ByteReader, stringCount: number): MappingColumns {
  const mappingCount = input.count(6)
  const mappingStart = input.column64(mappingCount)
  const mappingLimit = input.column64(mappingCount)
  const mappingOffset = input.column64(mappingCount)
  const mappingFilename = input.column32(mappingCount)
  const mappingBuildId = input.column32(mappingCount)
  const mappingFlags = input.viewBytes(mappingCount).slice()
  input.expectEnd()
  checkBelow(mappingFilename, stringCount, input, 'string')
  checkBelow(mappingBuildId, stringCount, input, 'string')
  return { mappingCount, mappingStart, mappingLimit, mappingOffset, mappingFilename, mappingBuildId, mappingFlags }
}

export function encodeLines(lines: LineColumns, out: ByteWriter): void {
  const count = lines.locationCount
  const lineCounts = new Uint32Array(count)
  for (let i = 0; i < count; i++) lineCounts[i] = lines.locationLineStart[i + 1]! - lines.locationLineStart[i]!
  out.varint(count)
  out.column32(lineCounts, count)
  out.deltaColumn32(lines.lineFunction, lines.locationLineStart[count]!)
}

export function decodeLines(input: ByteReader, functionCount: number): LineColumns {
  const locationCount = input.count()
  const lineCounts = input.column32(locationCount)
  const locationLineStart = new Uint32Array(locationCount + 1)
  let lineCount = 0
  for (let i = 0; i < locationCount; i++) {
    lineCount += lineCounts[i]!
    if (lineCount > input.remaining) input.fail(`lines of location ${i} end past the section`)
    locationLineStart[i + 1] = lineCount
  }
  const lineFunction = input.deltaColumn32(lineCount)
  input.expectEnd()
  checkBelow(lineFunction, functionCount, input, 'function')
  return { locationCount, locationLineStart, lineFunction }
}

export function encodeLocations(locations: Symbols, out: ByteWriter): void {
  const count = locations.locationCount
  out.column32(locations.locationMapping, count)
  out.deltaColumn64(locations.locationAddress, count)
  out.bytes(locations.locationFolded.subarray(0, count))
  out.column64(locations.lineNumber, locations.locationLineStart[count]!)
}

export function decodeLocations(input: ByteReader, lines: LineColumns, mappingCount: number): LocationColumns {
  const count = lines.locationCount
  const locationMapping = input.column32(count)
  const locationAddress: Int64Column = input.deltaColumn64(count)
  const locationFolded = input.viewBytes(count).slice()
  const lineNumber = input.column64(lines.locationLineStart[count]!)
  input.expectEnd()
  checkBelow(locationMapping, mappingCount + 1, input, 'mapping')
  return { locationMapping, locationAddress, locationFolded, lineNumber }
}

/** Parents as the distance to the child (1 on a path): 0 only at the root. */
function distances(parent: Uint32Array, count: number): Uint32Array {
  const out = new Uint32Array(count)
  for (let i = 1; i < count; i++) out[i] = i - parent[i]!
  return out
}

function undoDistances(column: Uint32Array, input: ByteReader): void {
  if (column.length === 0 || column[0] !== 0) input.fail('the tree has no root')
  for (let i = 1; i < column.length; i++) {
    const distance = column[i]!
    if (distance === 0 || distance > i) input.fail(`parent of node ${i} is not below it`)
    column[i] = i - distance
  }
}

export function encodeTree(tree: TreeColumns, out: ByteWriter): void {
  out.varint(tree.nodeCount)
  out.column32(distances(tree.nodeParent, tree.nodeCount), tree.nodeCount)
  out.deltaColumn32(tree.nodeLocation, tree.nodeCount)
}

export function decodeTree(input: ByteReader, locationCount: number): TreeColumns {
  const nodeCount = input.count(2)
  const nodeParent = input.column32(nodeCount)
  undoDistances(nodeParent, input)
  const nodeLocation = input.deltaColumn32(nodeCount)
  input.expectEnd()
  // The root's location means nothing.
  checkBelow(nodeLocation.subarray(1), locationCount, input, 'location')
  return { nodeCount, nodeParent, nodeLocation }
}

export function encodeStacks(stacks: StackColumns, out: ByteWriter): void {
  out.varint(stacks.stackCount)
  out.deltaColumn32(stacks.stackNode, stacks.stackCount)
}

export function decodeStacks(input: ByteReader, nodeCount: number): StackColumns {
  const stackCount = input.count()
  const stackNode = input.deltaColumn32(stackCount)
  input.expectEnd()
  checkBelow(stackNode, nodeCount, input, 'node')
  return { stackCount, stackNode }
}

export function encodeFunctionLevel(level: FunctionLevel, out: ByteWriter): void {
  out.varint(level.nodeCount)
  out.column32(distances(level.parent, level.nodeCount), level.nodeCount)
  out.deltaColumn32(level.name, level.nodeCount)
  out.varint(level.nodeToFunctionNode.length)
  out.deltaColumn32(level.nodeToFunctionNode, level.nodeToFunctionNode.length)
}

export function decodeFunctionLevel(input: ByteReader, stringCount: number): FunctionLevel {
  const nodeCount = input.count(2)
  const parent = input.column32(nodeCount)
  undoDistances(parent, input)
  const name = input.deltaColumn32(nodeCount)
  const lineNodeCount = input.count()
  const nodeToFunctionNode = input.deltaColumn32(lineNodeCount)
  input.expectEnd()
  checkBelow(name, stringCount, input, 'string')
  checkBelow(nodeToFunctionNode, nodeCount, input, 'function node')
  return { nodeCount, parent, name, nodeToFunctionNode }
}
