/**
 * Growing sample rows of one sample group, and the step that makes the rows of one profile unique and sorted.
 *
 * Rows of a profile are collected unsorted in a `RowScratch`; equal (stack, span, trace) are summed while they are
 * added (one stamp per stack id, no hash), then sorted by (stack, span, trace) and appended to the group.
 */
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import { addInt64At, allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { GroupRows } from '../block/dataset.ts'

/** A writer may hold thousands of heads with a handful of rows each: a new one is small. */
const ROWS_FIRST = 32
const STAMP_MAX = 0xffffffff

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

/** Span and trace of one sample; all zero = none. */
export interface SampleContext {
  spanLo: number
  spanHi: number
  traceHighLo: number
  traceHighHi: number
  traceLowLo: number
  traceLowHi: number
}

export class RowScratch {
  count = 0
  stackId = new Uint32Array(ROWS_FIRST)
  values: Int64Column[] = []
  /** Absent while no row of the profile has a span or trace. */
  context: { span: Int64Column; traceHigh: Int64Column; traceLow: Int64Column } | undefined
  #typeCount = 0
  #stamp = new Uint32Array(ROWS_FIRST)
  #slot = new Uint32Array(ROWS_FIRST)
  #epoch: number
  /** Rows with a span or trace are few per profile; keyed by text only then. */
  #contextSlots = new Map<string, number>()
  #order = new Uint32Array(ROWS_FIRST)
  readonly #zeroContext: SampleContext = {
    spanLo: 0,
    spanHi: 0,
    traceHighLo: 0,
    traceHighHi: 0,
    traceLowLo: 0,
    traceLowHi: 0,
  }

  /** `profiles` that went through it before. */
  constructor(profiles = 0) {
    this.#epoch = profiles
  }

  /** Begins a profile of at most `rowsMax` rows. */
  begin(typeCount: number, rowsMax: number): void {
    this.count = 0
    this.context = undefined
    this.#contextSlots.clear()
    this.#nextEpoch()
    this.#typeCount = typeCount
    if (this.stackId.length < rowsMax) {
      const capacity = Math.max(this.stackId.length * 2, rowsMax)
      const order = new Uint32Array(capacity)
      // All or none, should the memory be refused: a column that is too short would lose rows in silence.
      this.stackId = new Uint32Array(capacity)
      this.#order = order
      this.values = []
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
    const row = this.#newRow(stackId, this.#zeroContext)
    this.#stamp[stackId] = this.#epoch
    this.#slot[stackId] = row
    return row
  }

  /** row of type += (lo, hi), exact modulo 2^64. */
  addValue(type: number, row: number, lo: number, hi: number): void {
    addInt64At(this.values[type]!, row, lo, hi)
  }

  rowWithContext(stackId: number, context: SampleContext): number {
    const key = `${stackId},${context.spanLo},${context.spanHi},${context.traceHighLo},${context.traceHighHi},${context.traceLowLo},${context.traceLowHi}`
    const found = this.#contextSlots.get(key)
    if (found !== undefined) return found
    if (this.context === undefined) {
      const capacity = this.stackId.length
      this.context = {
        span: allocateInt64Column(capacity),
        traceHigh: allocateInt64Column(capacity),
        traceLow: allocateInt64Column(capacity),
      }
    }
    const row = this.#newRow(stackId, context)
    this.#contextSlots.set(key, row)
    return row
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

  #newRow(stackId: number, context: SampleContext): number {
    const row = this.count++
    this.stackId[row] = stackId
    for (let t = 0; t < this.#typeCount; t++) {
      this.values[t]!.lo[row] = 0
      this.values[t]!.hi[row] = 0
    }
    if (this.context !== undefined) {
      this.context.span.lo[row] = context.spanLo
      this.context.span.hi[row] = context.spanHi
      this.context.traceHigh.lo[row] = context.traceHighLo
      this.context.traceHigh.hi[row] = context.traceHighHi
      this.context.traceLow.lo[row] = context.traceLowLo
      this.context.traceLow.hi[row] = context.traceLowHi
    }
    return row
  }

  /** Without contexts stack ids are unique: sort the ids natively, then find each row by its stamp slot. */
  #orderByStack(): Uint32Array {
    const order = this.#order
    for (let i = 0; i < this.count; i++) order[i] = this.stackId[i]!
    order.subarray(0, this.count).sort()
    for (let i = 0; i < this.count; i++) order[i] = this.#slot[order[i]!]!
    return order
  }

  #orderByContext(context: NonNullable<RowScratch['context']>): Uint32Array {
    const columns = [
      this.stackId,
      context.span.hi,
      context.span.lo,
      context.traceHigh.hi,
      context.traceHigh.lo,
      context.traceLow.hi,
      context.traceLow.lo,
    ]
    const order = this.#order
    for (let i = 0; i < this.count; i++) order[i] = i
    order.subarray(0, this.count).sort((a, b) => {
      for (const column of columns) if (column[a] !== column[b]) return column[a]! - column[b]!
      return 0
    })
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
