/**
 * The total of a dataset: what each node of its function level sums to over all of its profiles, by group and type. A flame
 * graph over months reads one of these a day instead of the rollups of 24 hours, and no header at all.
 *
 * 1. `RollupBuilder` sums stacks over the whole dataset beside its hours; `functionTotalsOf` sums them by node.
 * 2. An entry may answer only for a query that selects every profile of its group: a reader finds that out from labels,
 *    conservation sums (which say whose profiles a group has) and the times of the descriptor, without any header.
 * 3. `findFunctionTotalFault` compares the entries with the headers; writers and `verifyObject` ask it.
 *
 * The empty stack is node 0, so that the sum of an entry is the total of its headers. Sums are modulo 2^64.
 */
import type { FunctionLevel } from '../symbols/function-level.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import type { ByteReader } from '../wire/byte-reader.ts'
import { addInt64At, allocateInt64Column, type Int64Column, sumInt64 } from '../wire/int64.ts'
import type { ProfileHeaders, SampleGroup } from './dataset.ts'

/** 1/8 of the frames: from some 20 profiles of a service on. Below that reading samples does as well. */
export const FUNCTION_TOTALS_FRACTION = 1 / 8

/**
 * 64: a service has a group for each kind of profile. A client that sends another period with each profile makes a group of
 * each, and totals look at stacks and headers once a group: 4,000 of them took 6 s and 1 GB.
 */
export const FUNCTION_TOTALS_GROUPS_MAX = 64

/** Of one type of one group; where no profile has a value there is none. */
export interface FunctionTotal {
  readonly group: number
  readonly type: number
  /** Headers whose total is not 0. */
  readonly profiles: number
  /** Of the function level, ascending. */
  readonly nodes: Uint32Array
  readonly values: Int64Column
}

/** Totals of one group by stack, over the whole dataset. */
export interface StackTotalsOfGroup {
  readonly stacks: Uint32Array
  /** By type. */
  readonly values: readonly Int64Column[]
}

type TotalHeaders = Pick<ProfileHeaders, 'count' | 'group' | 'totals'>

interface TotalSubject {
  readonly headers: TotalHeaders
  readonly groups: readonly SampleGroup[]
}

export function functionTotalsOf(
  { headers, groups }: TotalSubject,
  totals: readonly (StackTotalsOfGroup | undefined)[],
  symbols: { readonly stackNode: Uint32Array; readonly level: FunctionLevel },
): FunctionTotal[] {
  const { nodeCount, nodeToFunctionNode } = symbols.level
  // 0 throughout between types.
  const sums = allocateInt64Column(nodeCount)
  return groups.flatMap(({ types }, group) => {
    const { stacks, values } = totals[group] ?? NO_TOTALS
    const nodeOf = stacks.map((stack) => nodeToFunctionNode[symbols.stackNode[stack]!]!)
    const nodes = distinct(nodeOf)
    return types.flatMap((_, type): FunctionTotal[] => {
      const profiles = profilesOf(headers, group, type)
      if (profiles === 0) return []
      nodeOf.forEach((node, row) => addInt64At(sums, node, values[type]!.lo[row]!, values[type]!.hi[row]!))
      return [{ group, type, profiles, ...takeNonZero(sums, nodes) }]
    })
  })
}

const NO_TOTALS: StackTotalsOfGroup = { stacks: new Uint32Array(0), values: [] }

/** Ascending. */
function distinct(column: Uint32Array): Uint32Array {
  return column
    .slice()
    .sort()
    .filter((node, i, all) => i === 0 || node !== all[i - 1])
}

/** Of the nodes that may have a value; they have none afterwards. */
function takeNonZero(sums: Int64Column, ofNodes: Uint32Array): Pick<FunctionTotal, 'nodes' | 'values'> {
  const nodes = ofNodes.filter((node) => (sums.lo[node]! | sums.hi[node]!) !== 0)
  const values = { lo: nodes.map((node) => sums.lo[node]!), hi: nodes.map((node) => sums.hi[node]!) }
  for (let i = 0; i < nodes.length; i++) {
    sums.lo[nodes[i]!] = 0
    sums.hi[nodes[i]!] = 0
  }
  return { nodes, values }
}

function profilesOf({ count, group, totals }: TotalHeaders, ofGroup: number, type: number): number {
  const { lo, hi } = totals[type]!
  let profiles = 0
  for (let h = 0; h < count; h++) if (group[h] === ofGroup && (lo[h]! | hi[h]!) !== 0) profiles++
  return profiles
}

/** In words; undefined if each entry is the sum of its headers, and none is missing. */
export function findFunctionTotalFault(
  { headers, groups }: TotalSubject,
  totals: readonly FunctionTotal[],
): string | undefined {
  for (let group = 0; group < groups.length; group++) {
    for (let type = 0; type < groups[group]!.types.length; type++) {
      const entry = totals.find((each) => each.group === group && each.type === type)
      const name = `total of group ${group}, type ${type}`
      const profiles = profilesOf(headers, group, type)
      if ((entry?.profiles ?? 0) !== profiles)
        return `${name} stands for ${entry?.profiles ?? 0} of ${profiles} profiles`
      if (entry === undefined) continue
      const expected = sumOfGroup(headers, group, type)
      const actual = sumInt64(entry.values, 0, entry.nodes.length)
      if (actual !== expected) return `${name} is ${actual}, its profiles have ${expected}`
    }
  }
  return undefined
}

function sumOfGroup({ count, group, totals }: TotalHeaders, ofGroup: number, type: number): bigint {
  let sum = 0n
  for (let h = 0; h < count; h++) if (group[h] === ofGroup) sum += sumInt64(totals[type]!, h, h + 1)
  return BigInt.asIntN(64, sum)
}

export function encodeFunctionTotals(totals: readonly FunctionTotal[]): Uint8Array {
  const out = new ByteWriter(1024)
  out.varint(totals.length)
  for (const { group, type, profiles, nodes, values } of totals) {
    out.varint(group)
    out.varint(type)
    out.varint(profiles)
    out.varint(nodes.length)
    out.deltaColumn32(nodes, nodes.length)
    out.column64(values, nodes.length)
  }
  return out.copy()
}

/** Nodes are checked against `nodeCount` by who has the function level. */
export function decodeFunctionTotals(input: ByteReader, groups: readonly SampleGroup[]): FunctionTotal[] {
  const count = input.count(4)
  const totals: FunctionTotal[] = []
  for (let i = 0; i < count; i++) {
    const group = input.varint()
    const type = input.varint()
    if (type >= (groups[group]?.types.length ?? 0)) input.fail(`total ${i} names type ${type} of group ${group}`)
    const before = totals.at(-1)
    if (before !== undefined && (before.group > group || (before.group === group && before.type >= type)))
      input.fail(`total ${i} is not above the one before`)
    const profiles = input.varint()
    const nodes = input.deltaColumn32(input.count(2))
    const values = input.column64(nodes.length)
    if (!ascends(nodes)) input.fail(`nodes of total ${i} do not ascend`)
    totals.push({ group, type, profiles, nodes, values })
  }
  input.expectEnd()
  return totals
}

function ascends(column: Uint32Array): boolean {
  for (let i = 1; i < column.length; i++) if (column[i]! <= column[i - 1]!) return false
  return true
}
