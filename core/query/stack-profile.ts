/**
 * Line-level stacks with int64 sums: what readers build for a pprof, query-backends send and the frontend merges.
 *
 * 1. `add` interns the stacks of a dataset that have a sum (compaction/merge-symbols.ts: equal rows once, a row of a
 *    source mapped once) and adds the sums, exact modulo 2^64.
 * 2. Encoded: a version, then strings, functions, mappings, lines, locations, tree and stacks as blocks have them, then
 *    one column of sums, each with its length. A malformed encoding is a `data_loss`.
 * 3. `take` gives the tables away. A single partial answer is given away as it came, without being interned again.
 *
 * A frame without a mapping gets an empty one: readers of pprof, Go's among them, expect frames to have one.
 * The empty stack is left out, as in flame graphs. A merge is commutative up to the order of rows: who shows rows sorts
 * them by content. Nothing is cut here.
 */
import {
  decodeFunctions,
  decodeLines,
  decodeLocations,
  decodeMappings,
  decodeStacks,
  decodeStrings,
  decodeTree,
  encodeFunctions,
  encodeLines,
  encodeLocations,
  encodeMappings,
  encodeStacks,
  encodeStrings,
  encodeTree,
} from '../block/symbol-sections.ts'
import { MergedSymbols } from '../compaction/merge-symbols.ts'
import { invalidArgument } from '../errors.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { MIB } from '../units.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { GrowingInt64 } from '../wire/growing.ts'
import { addInt64At, type Int64Column } from '../wire/int64.ts'

/** 512 MiB of tables: about 8 million nodes, more than any viewer opens and what a process can spare for one query. */
export const STACK_PROFILE_BYTES_MAX = 512 * MIB
/** Reason of the error of a profile that has more nodes than it may have. */
export const STACK_NODES_LIMIT = 'stack_nodes_limit'
const ENCODING_VERSION = 1

/** Stacks with what they sum to, by stack. */
export interface SummedStacks {
  readonly symbols: Symbols
  readonly sums: Int64Column
}

export class StackProfile {
  #merged: MergedSymbols | undefined
  /** The first of the encoded ones: its rows are distinct and in use already. */
  #only: SummedStacks | undefined
  readonly #sums = new GrowingInt64()
  readonly #bytesMax: number
  readonly #nodesMax: number

  /** `nodesMax` counts the root; absent, memory alone is the bound. */
  constructor(bytesMax = STACK_PROFILE_BYTES_MAX, nodesMax = Number.MAX_SAFE_INTEGER) {
    this.#bytesMax = bytesMax
    this.#nodesMax = nodesMax
  }

  /** Stacks whose sum is zero, and the empty stack, are left out. */
  add(stacks: SummedStacks): void {
    const only = this.#only
    this.#only = undefined
    if (only !== undefined) this.#intern(only)
    this.#intern({ symbols: withMappings(stacks.symbols), sums: stacks.sums })
  }

  #intern({ symbols, sums }: SummedStacks): void {
    const used = new Uint8Array(symbols.stackCount)
    let any = false
    for (let stack = 0; stack < used.length; stack++) {
      if (symbols.stackNode[stack] === 0 || (sums.lo[stack]! | sums.hi[stack]!) === 0) continue
      used[stack] = 1
      any = true
    }
    if (!any) return
    this.#merged ??= new MergedSymbols(symbols)
    const stackOf = this.#merged.addSource(symbols, used)
    for (let stack = 0; stack < used.length; stack++) {
      if (used[stack] === 0) continue
      while (this.#sums.count <= stackOf[stack]!) this.#sums.push(0, 0)
      const column = { lo: this.#sums.lo.array, hi: this.#sums.hi.array }
      addInt64At(column, stackOf[stack]!, sums.lo[stack]!, sums.hi[stack]!)
    }
    const { sizeBytes, nodeCount } = this.#merged
    this.#checkNodes(nodeCount)
    if (sizeBytes > this.#bytesMax) {
      throw invalidArgument(
        `the merged profile takes ${sizeBytes} bytes of memory, the limit is ${this.#bytesMax}: ` +
          'narrow the time range or the selector',
        'merged_profile_limit',
      )
    }
  }

  /** Merges what `encode` made; nothing for no bytes. */
  mergeEncoded(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const stacks = decodeStackSums(bytes)
    this.#checkNodes(stacks.symbols.nodeCount)
    if (this.#merged === undefined && this.#only === undefined) this.#only = stacks
    else this.add(stacks)
  }

  #checkNodes(count: number): void {
    if (count <= this.#nodesMax) return
    throw invalidArgument(
      `the merged profile has ${count} nodes, the limit is ${this.#nodesMax}: narrow the time range or the selector`,
      STACK_NODES_LIMIT,
    )
  }

  /** Ends the use of this profile; undefined if nothing was added. */
  take(): SummedStacks | undefined {
    if (this.#merged === undefined) return this.#only
    const symbols = this.#merged.takeSymbols()
    this.#merged = undefined
    return { symbols, sums: this.#sums.copy() }
  }

  /** Ends the use of this profile; no bytes if nothing was added. */
  encode(): Uint8Array {
    const taken = this.take()
    return taken === undefined ? new Uint8Array(0) : encodeStackSums(taken)
  }
}

/** Locations without a mapping point to one whose fields are all zero and empty. */
function withMappings(symbols: Symbols): Symbols {
  const { locationMapping, locationCount, mappingCount: empty } = symbols
  if (!locationMapping.subarray(0, locationCount).includes(0)) return symbols
  const zero64 = ({ lo, hi }: Int64Column): Int64Column => ({ lo: withZero(lo, empty), hi: withZero(hi, empty) })
  const mappingFlags = new Uint8Array(empty + 1)
  mappingFlags.set(symbols.mappingFlags.subarray(0, empty))
  return {
    ...symbols,
    mappingCount: empty + 1,
    mappingStart: zero64(symbols.mappingStart),
    mappingLimit: zero64(symbols.mappingLimit),
    mappingOffset: zero64(symbols.mappingOffset),
    // String 0 is the empty one.
    mappingFilename: withZero(symbols.mappingFilename, empty),
    mappingBuildId: withZero(symbols.mappingBuildId, empty),
    mappingFlags,
    locationMapping: locationMapping.map((mapping) => (mapping === 0 ? empty + 1 : mapping)),
  }
}

function withZero(column: Uint32Array, count: number): Uint32Array {
  const longer = new Uint32Array(count + 1)
  longer.set(column.subarray(0, count))
  return longer
}

function encodeStackSums({ symbols, sums }: SummedStacks): Uint8Array {
  const out = new ByteWriter(symbols.stringBytes.length + symbols.nodeCount * 4)
  const section = (write: (section: ByteWriter) => void): void => {
    const own = new ByteWriter()
    write(own)
    out.varint(own.length)
    out.bytes(own.view())
  }
  out.u8(ENCODING_VERSION)
  section((own) => encodeStrings(symbols, own))
  section((own) => encodeFunctions(symbols, own))
  section((own) => encodeMappings(symbols, own))
  section((own) => encodeLines(symbols, own))
  section((own) => encodeLocations(symbols, own))
  section((own) => encodeTree(symbols, own))
  section((own) => encodeStacks(symbols, own))
  section((own) => own.column64(sums, symbols.stackCount))
  return out.copy()
}

function decodeStackSums(bytes: Uint8Array): SummedStacks {
  const input = new ByteReader(bytes, 'merged profile')
  const version = input.u8()
  if (version !== ENCODING_VERSION) input.fail(`version is ${version}, known is ${ENCODING_VERSION}`)
  const section = (name: string): ByteReader =>
    new ByteReader(input.viewBytes(input.varint()), `merged profile: ${name}`)
  const strings = decodeStrings(section('strings'))
  const functions = decodeFunctions(section('functions'), strings.stringCount)
  const mappings = decodeMappings(section('mappings'), strings.stringCount)
  const lines = decodeLines(section('lines'), functions.functionCount)
  const locations = decodeLocations(section('locations'), lines, mappings.mappingCount)
  const tree = decodeTree(section('tree'), lines.locationCount)
  const stacks = decodeStacks(section('stacks'), tree.nodeCount)
  const values = section('sums')
  const sums = values.column64(stacks.stackCount)
  values.expectEnd()
  input.expectEnd()
  return { symbols: { ...strings, ...functions, ...mappings, ...lines, ...locations, ...tree, ...stacks }, sums }
}
