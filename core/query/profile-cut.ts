/**
 * What a pprof loses on request: stacks cut to the largest functions, and to the leaves that compilers look at.
 *
 * cutProfile     the threshold of flame graphs, once, on the function level: the total of the k-th largest node. Of a stack
 *                the first frame below it stays, as Pyroscope has it, and one frame named `other` takes the place of all
 *                that lies above it; a stack whose root is below it becomes `other` whole.
 * keepLeaves     for profile-guided optimisation: the innermost frames of each stack, the line of the leaf forgotten if
 *                callees are to be summed.
 * Both make stacks equal that were not, so both intern the result again; sums are conserved.
 */
import { nodeThreshold, OTHER_NAME } from '../flamegraph/cut.ts'
import { buildFunctionLevel, type FunctionLevel } from '../symbols/function-level.ts'
import { StackTable } from '../symbols/stack-table.ts'
import { StringTable } from '../symbols/string-table.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import { addInt64At, allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { StackProfile, type SummedStacks } from './stack-profile.ts'

const KEPT = 0
/** The first below the threshold. */
const LAST = 1
const CUT = 2

/** `maxNodes` is 1 at least. */
export function cutProfile(taken: SummedStacks, maxNodes: number): SummedStacks | undefined {
  const { symbols, sums } = taken
  const level = buildFunctionLevel(symbols, new StringTable())
  const totals = functionTotals(taken, level)
  const reaches = nodeThreshold(totals, level.nodeCount, maxNodes)
  if (reaches === undefined) return taken
  const withOther = withOtherLocation(symbols)
  const other = symbols.locationCount
  const nodeParent = new GrowingUint32(symbols.nodeCount)
  const nodeLocation = new GrowingUint32(symbols.nodeCount)
  nodeParent.push(0)
  nodeLocation.push(0)
  const target = new Uint32Array(symbols.nodeCount)
  const states = new Uint8Array(symbols.nodeCount)
  for (let node = 1; node < symbols.nodeCount; node++) {
    const parent = symbols.nodeParent[node]!
    if (states[parent] === CUT) {
      states[node] = CUT
      target[node] = target[parent]!
      continue
    }
    const isBelow = !reaches(level.nodeToFunctionNode[node]!)
    if (states[parent] === LAST || (isBelow && parent === 0)) states[node] = CUT
    else states[node] = isBelow ? LAST : KEPT
    target[node] = nodeParent.count
    nodeParent.push(target[parent]!)
    nodeLocation.push(states[node] === CUT ? other : symbols.nodeLocation[node]!)
  }
  return interned({
    symbols: {
      ...withOther,
      nodeCount: nodeParent.count,
      nodeParent: nodeParent.copy(),
      nodeLocation: nodeLocation.copy(),
      stackNode: symbols.stackNode.map((node) => target[node]!),
    },
    sums,
  })
}

function functionTotals({ symbols, sums }: SummedStacks, level: FunctionLevel): Int64Column {
  const totals = allocateInt64Column(level.nodeCount)
  for (let stack = 0; stack < symbols.stackCount; stack++) {
    const node = level.nodeToFunctionNode[symbols.stackNode[stack]!]!
    addInt64At(totals, node, sums.lo[stack]!, sums.hi[stack]!)
  }
  for (let node = level.nodeCount - 1; node > 0; node--)
    addInt64At(totals, level.parent[node]!, totals.lo[node]!, totals.hi[node]!)
  return totals
}

/** The last location is a frame named `other`, in the first mapping if there is one: readers expect frames to have one. */
function withOtherLocation(symbols: Symbols): Symbols {
  const name = new TextEncoder().encode(OTHER_NAME)
  const { stringCount, functionCount, locationCount } = symbols
  const textBytes = symbols.stringOffset[stringCount]!
  const stringBytes = new Uint8Array(textBytes + name.length)
  stringBytes.set(symbols.stringBytes.subarray(0, textBytes))
  stringBytes.set(name, textBytes)
  const lines = symbols.locationLineStart[locationCount]!
  const locationFolded = new Uint8Array(locationCount + 1)
  locationFolded.set(symbols.locationFolded.subarray(0, locationCount))
  return {
    ...symbols,
    stringCount: stringCount + 1,
    stringOffset: extended(symbols.stringOffset, stringCount + 1, stringBytes.length),
    stringBytes,
    functionCount: functionCount + 1,
    functionName: extended(symbols.functionName, functionCount, stringCount),
    functionSystemName: extended(symbols.functionSystemName, functionCount, 0),
    functionFilename: extended(symbols.functionFilename, functionCount, 0),
    functionStartLine: extended64(symbols.functionStartLine, functionCount),
    locationCount: locationCount + 1,
    locationMapping: extended(symbols.locationMapping, locationCount, symbols.mappingCount > 0 ? 1 : 0),
    locationAddress: extended64(symbols.locationAddress, locationCount),
    locationFolded,
    locationLineStart: extended(symbols.locationLineStart, locationCount + 1, lines + 1),
    lineFunction: extended(symbols.lineFunction, lines, functionCount),
    lineNumber: extended64(symbols.lineNumber, lines),
  }
}

function extended(column: Uint32Array, count: number, value: number): Uint32Array {
  const longer = new Uint32Array(count + 1)
  longer.set(column.subarray(0, count))
  longer[count] = value
  return longer
}

function extended64({ lo, hi }: Int64Column, count: number): Int64Column {
  return { lo: extended(lo, count, 0), hi: extended(hi, count, 0) }
}

export interface LeafRule {
  /** Frames from the leaf; 0 = all. */
  readonly keepLocations: number
  readonly aggregateCallees: boolean
}

export function keepLeaves(
  taken: SummedStacks,
  { keepLocations, aggregateCallees }: LeafRule,
): SummedStacks | undefined {
  const { symbols, sums } = taken
  const { table, lineless } = aggregateCallees ? withLinelessCopies(symbols) : { table: symbols, lineless: undefined }
  const stacks = new StackTable()
  const kept = new GrowingInt64(symbols.stackCount)
  const path = new GrowingUint32()
  for (let stack = 0; stack < symbols.stackCount; stack++) {
    path.count = 0
    for (let node = symbols.stackNode[stack]!; node !== 0; node = symbols.nodeParent[node]!) {
      if (keepLocations > 0 && path.count === keepLocations) break
      path.push(symbols.nodeLocation[node]!)
    }
    if (lineless !== undefined && path.count > 0) path.array[0]! += lineless
    const id = stacks.internStack(path.array, 0, path.count)
    if (id === kept.count) kept.push(0, 0)
    addInt64At({ lo: kept.lo.array, hi: kept.hi.array }, id, sums.lo[stack]!, sums.hi[stack]!)
  }
  return interned({
    symbols: {
      ...table,
      nodeCount: stacks.nodeCount,
      nodeParent: stacks.nodeParent.copy(),
      nodeLocation: stacks.nodeLocation.copy(),
      stackCount: stacks.stackCount,
      stackNode: stacks.stackNode.copy(),
    },
    sums: kept.copy(),
  })
}

/** Location `lineless + i` is location i without the number of its innermost line. */
function withLinelessCopies(symbols: Symbols): { readonly table: Symbols; readonly lineless: number } {
  const count = symbols.locationCount
  const lines = symbols.locationLineStart[count]!
  const twice = (column: Uint32Array, length: number): Uint32Array => {
    const out = new Uint32Array(length * 2)
    out.set(column.subarray(0, length))
    out.set(column.subarray(0, length), length)
    return out
  }
  const twice64 = ({ lo, hi }: Int64Column, length: number): Int64Column => ({
    lo: twice(lo, length),
    hi: twice(hi, length),
  })
  const locationLineStart = new Uint32Array(count * 2 + 1)
  for (let i = 0; i < count; i++) {
    locationLineStart[i] = symbols.locationLineStart[i]!
    locationLineStart[count + i] = lines + symbols.locationLineStart[i]!
  }
  locationLineStart[count * 2] = lines * 2
  const lineNumber = twice64(symbols.lineNumber, lines)
  for (let i = 0; i < count; i++) {
    const innermost = locationLineStart[count + i]!
    if (innermost === locationLineStart[count + i + 1]) continue
    lineNumber.lo[innermost] = 0
    lineNumber.hi[innermost] = 0
  }
  const folded = symbols.locationFolded.subarray(0, count)
  const locationFolded = new Uint8Array(count * 2)
  locationFolded.set(folded)
  locationFolded.set(folded, count)
  return {
    table: {
      ...symbols,
      locationCount: count * 2,
      locationMapping: twice(symbols.locationMapping, count),
      locationAddress: twice64(symbols.locationAddress, count),
      locationFolded,
      locationLineStart,
      lineFunction: twice(symbols.lineFunction, lines),
      lineNumber,
    },
    lineless: count,
  }
}

/** undefined: stacks that became equal cancelled each other, all of them. */
function interned(stacks: SummedStacks): SummedStacks | undefined {
  const profile = new StackProfile()
  profile.add(stacks)
  return profile.take()
}
