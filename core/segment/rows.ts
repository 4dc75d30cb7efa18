/**
 * Growing sample rows of one sample group, and the step that makes the rows of one profile unique and sorted.
 *
 * Rows of a profile are collected unsorted in a `RowScratch`; equal (stack, span, trace) are summed while they are
 * added (one stamp per stack id, no hash; an open hash for those with a span or trace), then sorted by (stack, span, trace)
 * and appended to the group.
 */
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import { mix32 } from '../wire/hash.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { tableSeed, tableStep } from '../wire/table-hash.ts'
import type { GroupRows } from '../block/dataset.ts'

/** A writer may hold thousands of heads with a handful of rows each: a new one is small. */
const ROWS_FIRST = 32
const STAMP_MAX = 0xffffffff
/** Looking at a stamp costs 1 ns, sorting an id 25. */
const STAMPS_PER_ROW_MAX = 16
/** A stack's id times this, and a row, are a whole number below 2^53. */
const KEY_ROWS = 2 ** 21

export class GrowingRows {
  readonly stackId = new GrowingUint32(ROWS_FIRST)
  readonly values: GrowingInt64[]
  spanId: GrowingInt64 | undefined
  traceIdHigh: GrowingInt64 | undefined
  traceIdLow: GrowingInt64 | undefined

  constructor(typeCount: number) {
    this.values = Array.from({ length: typeCount }, () => new GrowingInt64(ROWS_FIRST))
  }

  get count(): number {
    return this.stackId.count
  }

  reserve(extra: number): void {
    this.stackId.reserve(extra)
    for (const column of this.values) column.reserve(extra)
  }

  /** From now on rows have span and trace columns; earlier rows have none (0). */
  enableSpans(): void {
    if (this.spanId !== undefined) return
    this.spanId = zeros(this.count)
    this.traceIdHigh = zeros(this.count)
    this.traceIdLow = zeros(this.count)
  }

  /** Rows in the order given: row i of the result is row order[i] here. */
  gather(order: Uint32Array): GroupRows {
    const column = (source: GrowingInt64): Int64Column => {
      const out = allocateInt64Column(order.length)
      const lo = source.lo.array
      const hi = source.hi.array
      for (let i = 0; i < order.length; i++) {
        const from = order[i]!
        out.lo[i] = lo[from]!
        out.hi[i] = hi[from]!
      }
      return out
    }
    const stackId = new Uint32Array(order.length)
    for (let i = 0; i < order.length; i++) stackId[i] = this.stackId.array[order[i]!]!
    return {
      rowCount: order.length,
      stackId,
      values: this.values.map(column),
      spanId: this.spanId && column(this.spanId),
      traceIdHigh: this.traceIdHigh && column(this.traceIdHigh),
      traceIdLow: this.traceIdLow && column(this.traceIdLow),
    }
  }
}

function zeros(count: number): GrowingInt64 {
  const column = new GrowingInt64(Math.max(16, count))
  for (let i = 0; i < count; i++) column.push(0, 0)
  return column
}

/** Spans and traces by kept sample; absent: no sample has one. */
export interface SampleIds {
  readonly spanId: Int64Column | undefined
  readonly traceIdHigh: Int64Column | undefined
  readonly traceIdLow: Int64Column | undefined
}

/** By row; all zero = none. */
interface RowIds {
  readonly span: Int64Column
  readonly traceHigh: Int64Column
  readonly traceLow: Int64Column
}

export class RowScratch {
  count = 0
  stackId = new Uint32Array(ROWS_FIRST)
  values: Int64Column[] = []
  /** Absent while no row of the profile has a span or trace. */
  context: RowIds | undefined
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  #typeCount = 0
  #stamp = new Uint32Array(ROWS_FIRST)
  #slot = new Uint32Array(ROWS_FIRST)
  #epoch: number
  /** Kept for the next profile that has any, as long as `stackId`. */
  #contextColumns: RowIds | undefined
  /** Open hash of rows + 1 with a span or trace; 0 = free. At most half full; all free where `context` is absent. */
  #contextSlots = new Uint32Array(0)
  #contextMask = 0
  #rowsMax = 0
  #order = new Uint32Array(ROWS_FIRST)
  #keys = new Float64Array(0)

  /** `profiles` that went through it before. */
  constructor(profiles = 0) {
    this.#epoch = profiles
  }

  /** Begins a profile of at most `rowsMax` rows. */
  begin(typeCount: number, rowsMax: number): void {
    this.count = 0
    this.#rowsMax = rowsMax
    this.context = undefined
    this.#nextEpoch()
    this.#typeCount = typeCount
    if (this.stackId.length < rowsMax) {
      const capacity = Math.max(this.stackId.length * 2, rowsMax)
      const order = new Uint32Array(capacity)
      // All or none, should the memory be refused: a column that is too short would lose rows in silence.
      this.stackId = new Uint32Array(capacity)
      this.#order = order
      this.values = []
      this.#contextColumns = undefined
    }
    while (this.values.length < typeCount) this.values.push(allocateInt64Column(this.stackId.length))
  }

  /** A thread of 1,000 profiles a second has had as many as a stamp can hold after 50 days: stamps begin anew. */
  #nextEpoch(): void {
    if (++this.#epoch <= STAMP_MAX) return
    this.#stamp.fill(0)
    this.#epoch = 1
  }

  /** Row of this stack without span and trace: an existing one or a new one with zero values. */
  rowOf(stackId: number): number {
    if (stackId >= this.#stamp.length) this.#growStamps(stackId)
    if (this.#stamp[stackId] === this.#epoch) return this.#slot[stackId]!
    const row = this.#newRow(stackId)
    this.#stamp[stackId] = this.#epoch
    this.#slot[stackId] = row
    return row
  }

  /** Row of this stack and of what sample k has, which is not nothing: an existing one or a new one. */
  rowWithContext(stackId: number, { spanId, traceIdHigh, traceIdLow }: SampleIds, k: number): number {
    const context = (this.context ??= this.#beginContext())
    const { span, traceHigh, traceLow } = context
    const row = this.#newRow(stackId)
    copyLanes(span, row, spanId, k)
    copyLanes(traceHigh, row, traceIdHigh, k)
    copyLanes(traceLow, row, traceIdLow, k)
    const mask = this.#contextMask
    const first = hashOfContext(context, row, tableStep(this.#seed, stackId)) & mask
    let slot = first
    for (let entry = this.#contextSlots[slot]!; entry !== 0; entry = this.#contextSlots[slot]!) {
      if (this.stackId[entry - 1] === stackId && hasEqualContext(context, entry - 1, row)) {
        this.count--
        return entry - 1
      }
      slot = (slot + 1) & mask
    }
    this.probes += (slot - first) & mask
    this.#contextSlots[slot] = row + 1
    return row
  }

  /** row += the values of a sample, one a type, from `at` on; exact modulo 2^64. */
  addValues(row: number, values: Int64Column, at: number): void {
    for (let t = 0; t < this.#typeCount; t++) addLanes(this.values[t]!, row, values, at + t)
  }

  /** total[0] = the sum over all rows. */
  sumInto(total: Int64Column, type: number): void {
    total.lo[0] = 0
    total.hi[0] = 0
    const values = this.values[type]!
    for (let row = 0; row < this.count; row++) addLanes(total, 0, values, row)
  }

  /** Appends the rows, sorted; returns how many. */
  appendTo(rows: GrowingRows): number {
    const count = this.count
    const order = this.context === undefined ? this.#orderByStack() : this.#orderByContext(this.context)
    if (this.context !== undefined) rows.enableSpans()
    rows.reserve(count)
    const at = rows.stackId.count
    for (let i = 0; i < count; i++) rows.stackId.array[at + i] = this.stackId[order[i]!]!
    rows.stackId.count += count
    for (let t = 0; t < this.#typeCount; t++) appendOrdered(rows.values[t]!, this.values[t]!, order, count)
    if (rows.spanId !== undefined) {
      appendOrdered(rows.spanId, this.context?.span, order, count)
      appendOrdered(rows.traceIdHigh!, this.context?.traceHigh, order, count)
      appendOrdered(rows.traceIdLow!, this.context?.traceLow, order, count)
    }
    return count
  }

  #newRow(stackId: number): number {
    const row = this.count++
    this.stackId[row] = stackId
    for (let t = 0; t < this.#typeCount; t++) {
      this.values[t]!.lo[row] = 0
      this.values[t]!.hi[row] = 0
    }
    if (this.context === undefined) return row
    const { span, traceHigh, traceLow } = this.context
    copyLanes(span, row, undefined, 0)
    copyLanes(traceHigh, row, undefined, 0)
    copyLanes(traceLow, row, undefined, 0)
    return row
  }

  /** The first row of a profile that has a span or trace: those before it have none. */
  #beginContext(): RowIds {
    const capacity = this.stackId.length
    this.#contextColumns ??= {
      span: allocateInt64Column(capacity),
      traceHigh: allocateInt64Column(capacity),
      traceLow: allocateInt64Column(capacity),
    }
    for (const { lo, hi } of Object.values(this.#contextColumns) as Int64Column[]) {
      lo.fill(0, 0, this.count)
      hi.fill(0, 0, this.count)
    }
    let slots = 64
    while (slots < 2 * this.#rowsMax) slots *= 2
    if (this.#contextSlots.length < slots) this.#contextSlots = new Uint32Array(slots)
    else this.#contextSlots.fill(0, 0, slots)
    this.#contextMask = slots - 1
    return this.#contextColumns
  }

  /** Without contexts stack ids are unique, and dense in a head: those of this profile are seen by their stamps. */
  #orderByStack(): Uint32Array {
    const { count } = this
    const order = this.#order
    let last = 0
    for (let row = 0; row < count; row++) if (this.stackId[row]! > last) last = this.stackId[row]!
    if (last < STAMPS_PER_ROW_MAX * count) {
      let at = 0
      for (let id = 0; id <= last; id++) if (this.#stamp[id] === this.#epoch) order[at++] = this.#slot[id]!
      return order
    }
    for (let row = 0; row < count; row++) order[row] = this.stackId[row]!
    order.subarray(0, count).sort()
    for (let i = 0; i < count; i++) order[i] = this.#slot[order[i]!]!
    return order
  }

  /** By stack in one native sort, then rows of one stack, of which there are few, by span and trace. */
  #orderByContext(context: RowIds): Uint32Array {
    const { count, stackId } = this
    const order = this.#order
    const compare = (a: number, b: number): number => compareContexts(context, a, b)
    if (count > KEY_ROWS) {
      for (let row = 0; row < count; row++) order[row] = row
      order.subarray(0, count).sort((a, b) => stackId[a]! - stackId[b]! || compare(a, b))
      return order
    }
    if (this.#keys.length < count) this.#keys = new Float64Array(stackId.length)
    const keys = this.#keys.subarray(0, count)
    for (let row = 0; row < count; row++) keys[row] = stackId[row]! * KEY_ROWS + row
    keys.sort()
    for (let i = 0; i < count; i++) order[i] = keys[i]! % KEY_ROWS
    for (let start = 0; start < count; ) {
      let end = start + 1
      while (end < count && stackId[order[end]!] === stackId[order[start]!]) end++
      if (end > start + 1) order.subarray(start, end).sort(compare)
      start = end
    }
    return order
  }

  #growStamps(stackId: number): void {
    const capacity = Math.max(stackId + 1, this.#stamp.length * 2)
    const stamp = new Uint32Array(capacity)
    const slot = new Uint32Array(capacity)
    stamp.set(this.#stamp)
    slot.set(this.#slot)
    this.#stamp = stamp
    this.#slot = slot
  }
}

const SIGN = 0x80000000 | 0

/** to[row] += from[at]: in integers of 32 bits at every tier of a compiler, where sums past 2^31 would become doubles. */
function addLanes(to: Int64Column, row: number, from: Int64Column, at: number): void {
  const before = to.lo[row]! | 0
  const sum = (before + (from.lo[at]! | 0)) | 0
  // Both as unsigned: less than before is a carry.
  const carry = (sum ^ SIGN) < (before ^ SIGN) ? 1 : 0
  to.lo[row] = sum
  to.hi[row] = ((to.hi[row]! | 0) + (from.hi[at]! | 0) + carry) | 0
}

function copyLanes(to: Int64Column, row: number, from: Int64Column | undefined, at: number): void {
  to.lo[row] = from === undefined ? 0 : from.lo[at]!
  to.hi[row] = from === undefined ? 0 : from.hi[at]!
}

/** `start`: with the seed and the stack in it. */
function hashOfContext({ span, traceHigh, traceLow }: RowIds, row: number, start: number): number {
  let state = tableStep(tableStep(start, span.lo[row]!), span.hi[row]!)
  state = tableStep(tableStep(state, traceHigh.lo[row]!), traceHigh.hi[row]!)
  return mix32(tableStep(tableStep(state, traceLow.lo[row]!), traceLow.hi[row]!))
}

function compareContexts({ span, traceHigh, traceLow }: RowIds, a: number, b: number): number {
  return compareLanes(span, a, b) || compareLanes(traceHigh, a, b) || compareLanes(traceLow, a, b)
}

function compareLanes({ lo, hi }: Int64Column, a: number, b: number): number {
  return hi[a]! - hi[b]! || lo[a]! - lo[b]!
}

function hasEqualContext({ span, traceHigh, traceLow }: RowIds, a: number, b: number): boolean {
  return (
    span.lo[a] === span.lo[b] &&
    span.hi[a] === span.hi[b] &&
    traceHigh.lo[a] === traceHigh.lo[b] &&
    traceHigh.hi[a] === traceHigh.hi[b] &&
    traceLow.lo[a] === traceLow.lo[b] &&
    traceLow.hi[a] === traceLow.hi[b]
  )
}

function appendOrdered(to: GrowingInt64, from: Int64Column | undefined, order: Uint32Array, count: number): void {
  to.reserve(count)
  const at = to.lo.count
  const lo = to.lo.array
  const hi = to.hi.array
  if (from === undefined) {
    lo.fill(0, at, at + count)
    hi.fill(0, at, at + count)
  } else {
    for (let i = 0; i < count; i++) {
      const row = order[i]!
      lo[at + i] = from.lo[row]!
      hi[at + i] = from.hi[row]!
    }
  }
  to.lo.count += count
  to.hi.count += count
}
