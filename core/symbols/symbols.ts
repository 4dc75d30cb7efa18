/**
 * Symbols and stacks of one dataset, as columns. Row 0 of `strings` is the empty string; node 0 is the root of the
 * line-level stack tree; stack ids are dense numbers of the nodes that samples point to, in order of first use, so
 * that the sorted stack ids of a profile have deltas near 1.
 *
 *   sample.stackId -> stackNode[stackId] -> node -> (nodeParent, nodeLocation) … up to node 0
 *   location -> mapping, address, folded, lines [locationLineStart[i], locationLineStart[i+1]) innermost first
 *   line -> function, line number;  function -> name, system name, file name (strings), start line
 */
import type { Int64Column } from '../wire/int64.ts'

export interface Symbols {
  readonly stringCount: number
  /** String i is stringBytes[stringOffset[i], stringOffset[i + 1]), UTF-8. */
  readonly stringOffset: Uint32Array
  readonly stringBytes: Uint8Array

  readonly functionCount: number
  readonly functionName: Uint32Array
  readonly functionSystemName: Uint32Array
  readonly functionFilename: Uint32Array
  readonly functionStartLine: Int64Column

  readonly mappingCount: number
  readonly mappingStart: Int64Column
  readonly mappingLimit: Int64Column
  readonly mappingOffset: Int64Column
  readonly mappingFilename: Uint32Array
  readonly mappingBuildId: Uint32Array
  /** Bits: 1 functions, 2 filenames, 4 line numbers, 8 inline frames. */
  readonly mappingFlags: Uint8Array

  readonly locationCount: number
  /** Mapping row + 1; 0 = none. */
  readonly locationMapping: Uint32Array
  readonly locationAddress: Int64Column
  readonly locationFolded: Uint8Array
  readonly locationLineStart: Uint32Array
  readonly lineFunction: Uint32Array
  readonly lineNumber: Int64Column

  readonly nodeCount: number
  /** Parent of node i, always below i; nodeParent[0] = 0. */
  readonly nodeParent: Uint32Array
  readonly nodeLocation: Uint32Array

  readonly stackCount: number
  /** Node of stack i; node 0 = the empty stack. */
  readonly stackNode: Uint32Array
}

/** Two independent 32-bit hashes of a stack's content (not of its ids), so that sums over them survive any renumbering. */
export interface StackHashes {
  readonly h1: Uint32Array
  readonly h2: Uint32Array
}
