/**
 * A dataset in memory: everything of one tenant, service and window, as columns. The head builds it, the block writer
 * encodes it, the reader decodes it, the merge maps many to one.
 *
 * A pushed pprof has several sample types over one list of stacks; a *sample group* is that set of types, and its rows
 * carry one stack id and one value per type, so that stack ids are stored once. A (series, type) whose total is zero in
 * a profile is not there for queries.
 *
 * Order invariant (asserted by writer and reader): headers are sorted by (group, series, time, id); the rows of header
 * h of a group are [rowStart[h], rowStart[h + 1]) of that group, sorted by (stackId, span, trace), no two rows equal in
 * all three.
 */
import type { Labels } from '../labels/labels.ts'
import type { Int64Column } from '../wire/int64.ts'
import type { Symbols } from '../symbols/symbols.ts'
import type { ColumnFactor } from './column-factor.ts'
import type { StackKeys } from './stack-keys.ts'

export interface SampleType {
  readonly type: string
  readonly unit: string
}

export interface SampleGroup {
  readonly types: readonly SampleType[]
  /** Empty strings if the profile had none. */
  readonly periodType: string
  readonly periodUnit: string
  readonly period: bigint
}

export interface GroupRows {
  readonly rowCount: number
  readonly stackId: Uint32Array
  /** One column per type of the group; values are never negative. */
  readonly values: readonly Int64Column[]
  /** By type, where somebody looked (column-factor.ts): true of all rows, and of whatever part of them. */
  readonly factors?: readonly (ColumnFactor | undefined)[]
  /** 0 = none. Absent columns mean that no row has one. Span: 8 bytes as one int64; trace: 16 bytes as two. */
  readonly spanId: Int64Column | undefined
  readonly traceIdHigh: Int64Column | undefined
  readonly traceIdLow: Int64Column | undefined
}

export interface ProfileHeaders {
  readonly count: number
  /** 16 bytes each: the profile's id as queries show it and as duplicates are decided by. Split series of one profile share it. */
  readonly profileId: Uint8Array
  readonly group: Uint32Array
  readonly series: Uint32Array
  readonly timeNanos: Int64Column
  readonly durationNanos: Int64Column
  /** Total of type t of header h: totals[t], at h; t below the type count of the header's group. Exact, empty stacks included. */
  readonly totals: readonly Int64Column[]
  /** Rows of header h in its group: [rowStart[h], rowStart[h] + rowLength[h]). */
  readonly rowStart: Uint32Array
  readonly rowLength: Uint32Array
}

/** Per (group, series, type), order-independent: see core/block/conservation.ts. */
export interface ConservationSum {
  readonly group: number
  readonly series: number
  readonly type: number
  /** Plain total modulo 2^64. */
  total: bigint
  /** Sum of low32(value) * h1(stack) modulo 2^32. */
  mix32: number
  /** Sum of (value mod P) * (h2(stack) mod P) modulo P, P the largest prime below 2^26. */
  mixPrime: number
}

export interface Dataset {
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly windowMs: number
  readonly symbols: Symbols
  /** Of a segment: its stacks in the writer's dictionary. Nothing depends on them; merges drop them. */
  readonly stackKeys?: StackKeys
  /** Label sets as pushed, without the labels that follow from the sample type (`__profile_type__`, `__type__`, …). Sorted, unique. */
  readonly series: readonly Labels[]
  readonly groups: readonly SampleGroup[]
  readonly rows: readonly GroupRows[]
  readonly headers: ProfileHeaders
}
