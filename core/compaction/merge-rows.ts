/**
 * The rows of a merge, header by header in its order, from wherever the rows of the inputs are.
 *
 * 1. Stack ids are mapped; the rows of a header are sorted again by (stack, span, trace).
 * 2. Values are copied, never added: what was one row stays one row (two stacks of one input are two stacks of the
 *    output), so a merge of merges equals the merge of everything.
 */
import type { GroupRows, SampleGroup } from '../block/dataset.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { HeaderRefs } from './merge-headers.ts'

/** 64 bits of scratch a row, two words: passing over empty words costs less than sorting up to there. */
const BITS_PER_ROW_MAX = 64

/** Rows [start, start + length) of some columns. */
export interface RowSpan {
  readonly rows: GroupRows
  readonly start: number
  readonly length: number
}

export interface RowGatherer {
  readonly refs: HeaderRefs
  /** Stack of the merge, by stack of each input. */
  readonly stackOf: readonly Uint32Array[]
  /** Rows of header `position` of an input. What it returned before may be gone after the next call. */
  spanOf(input: number, position: number): RowSpan
  readonly sorter: RowSorter
}

/** Rows of the headers [first, end) of the merge, all of one group, from row 0 of `out`; its contexts are 0 before. */
export function gatherRows(
  from: RowGatherer,
  headers: { readonly first: number; readonly end: number },
  out: GroupRows,
): void {
  const { refs, sorter } = from
  let at = 0
  for (let h = headers.first; h < headers.end; h++) {
    const input = refs.input[h]!
    const { rows, start, length } = from.spanOf(input, refs.position[h]!)
    const isSorted = sorter.sort(rows, { start, length }, from.stackOf[input]!)
    sorter.putStacks(out.stackId, at, length)
    if (isSorted) copySpan(out, at, rows, { start, length })
    else copyRows({ out, at, length }, rows, sorter.order)
    at += length
  }
}

/**
 * Rows of one frame at a time, in the same memory: fresh columns for every frame cost as much as what is done to them.
 * It grows to the largest frame and to the most types, and may serve one dataset after the other.
 */
export class RowScratch {
  #rowsMax = 0
  #stackId = new Uint32Array(0)
  #values: Int64Column[] = []
  #contexts: readonly Int64Column[] = []

  get sizeBytes(): number {
    return this.#rowsMax * (4 + 8 * (this.#values.length + this.#contexts.length))
  }

  /** Room for so many rows, so that growing frames do not allocate again and again. */
  reserve(rowsMax: number): void {
    if (this.#rowsMax < rowsMax) this.#grow(rowsMax)
  }

  /** Columns of at least `rowCount` rows. Contexts are 0, the rest is what was left. What it gave before is gone. */
  take(group: SampleGroup, rowCount: number, hasContext: boolean): GroupRows {
    this.reserve(rowCount)
    while (this.#values.length < group.types.length) this.#values.push(allocateInt64Column(this.#rowsMax))
    const columns = { rowCount, stackId: this.#stackId, values: this.#values.slice(0, group.types.length) }
    if (!hasContext) return { ...columns, spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
    if (this.#contexts.length === 0) this.#contexts = [0, 1, 2].map(() => allocateInt64Column(this.#rowsMax))
    for (const { lo, hi } of this.#contexts) {
      lo.fill(0, 0, rowCount)
      hi.fill(0, 0, rowCount)
    }
    const [spanId, traceIdHigh, traceIdLow] = this.#contexts
    return { ...columns, spanId, traceIdHigh, traceIdLow }
  }

  #grow(rowCount: number): void {
    this.#rowsMax = rowCount
    this.#stackId = new Uint32Array(rowCount)
    this.#values = []
    this.#contexts = []
  }
}

/** Order of the rows of one header after their stacks are mapped. Scratch, reused. */
export class RowSorter {
  /** New stack id of row start + k. */
  #mapped = new Uint32Array(1024)
  /** Rows of the source in their new order. */
  order = new Uint32Array(1024)
  #rowOfStack = new Uint32Array(1024)
  /** A bit a stack; 0 between two calls. */
  #bits = new Int32Array(64)

  get sizeBytes(): number {
    const columns = [this.#mapped, this.order, this.#rowOfStack, this.#bits]
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  /** True if the rows are in order as they are; else `order` says which. */
  sort(source: GroupRows, { start, length }: Omit<RowSpan, 'rows'>, stackOf: Uint32Array): boolean {
    if (this.#mapped.length < length) {
      this.#mapped = new Uint32Array(length * 2)
      this.order = new Uint32Array(length * 2)
    }
    const mapped = this.#mapped
    const { stackId } = source
    let ascending = true
    let unique = true
    let max = 0
    let before = 0
    for (let k = 0; k < length; k++) {
      const id = stackOf[stackId[start + k]!]!
      if (id < before) ascending = false
      if (k > 0 && stackId[start + k] === stackId[start + k - 1]) unique = false
      mapped[k] = id
      before = id
      if (id > max) max = id
    }
    if (ascending) return true
    if (unique) this.#sortUnique(start, length, max)
    else this.#sortWithContext(stackId, start, length)
    return false
  }

  /**
   * Unique stacks. Where they are dense (a profile of a service uses a good part of its stacks) a bit a stack sorts them in
   * a sixth of the time of the native sort; else the ids are sorted natively, and each one's row is looked up.
   */
  #sortUnique(start: number, length: number, max: number): void {
    if (this.#rowOfStack.length <= max) this.#rowOfStack = new Uint32Array((max + 1) * 2)
    const rowOfStack = this.#rowOfStack
    const mapped = this.#mapped
    const { order } = this
    for (let k = 0; k < length; k++) rowOfStack[mapped[k]!] = start + k
    if (max < length * BITS_PER_ROW_MAX) this.#sortDense(length, max)
    else mapped.subarray(0, length).sort()
    for (let k = 0; k < length; k++) order[k] = rowOfStack[mapped[k]!]!
  }

  #sortDense(length: number, max: number): void {
    const words = (max >>> 5) + 1
    if (this.#bits.length < words) this.#bits = new Int32Array(words * 2)
    const bits = this.#bits
    const mapped = this.#mapped
    for (let k = 0; k < length; k++) {
      const id = mapped[k]!
      bits[id >>> 5] = bits[id >>> 5]! | (1 << (id & 31))
    }
    let at = 0
    for (let w = 0; w < words; w++) {
      for (let rest = bits[w]!; rest !== 0; rest &= rest - 1) mapped[at++] = (w << 5) | (31 - Math.clz32(rest & -rest))
      bits[w] = 0
    }
  }

  /** Rows of equal stacks are already sorted by (span, trace), and their stack maps to one stack: keep their order. */
  #sortWithContext(stackId: Uint32Array, start: number, length: number): void {
    const mapped = this.#mapped
    const order = this.order.subarray(0, length)
    for (let k = 0; k < length; k++) order[k] = k
    order.sort((a, b) => {
      if (mapped[a] !== mapped[b]) return mapped[a]! - mapped[b]!
      return stackId[start + a]! - stackId[start + b]! || a - b
    })
    const sorted = order.map((k) => mapped[k]!)
    mapped.set(sorted)
    for (let k = 0; k < length; k++) order[k]! += start
  }

  /** The mapped ids, ascending. */
  putStacks(out: Uint32Array, at: number, length: number): void {
    out.set(this.#mapped.subarray(0, length), at)
  }
}

function eachColumn(out: GroupRows, source: GroupRows, copy: (to: Int64Column, from: Int64Column) => void): void {
  out.values.forEach((column, t) => copy(column, source.values[t]!))
  if (out.spanId === undefined || source.spanId === undefined) return
  copy(out.spanId, source.spanId)
  copy(out.traceIdHigh!, source.traceIdHigh!)
  copy(out.traceIdLow!, source.traceIdLow!)
}

/** The first `length` of `rows` of the source become rows at, at + 1, … of the output; their stacks are already in place. */
function copyRows(
  { out, at, length }: { readonly out: GroupRows; readonly at: number; readonly length: number },
  source: GroupRows,
  rows: Uint32Array,
): void {
  eachColumn(out, source, (to, { lo, hi }) => {
    for (let k = 0; k < length; k++) {
      const row = rows[k]!
      to.lo[at + k] = lo[row]!
      to.hi[at + k] = hi[row]!
    }
  })
}

function copySpan(out: GroupRows, at: number, source: GroupRows, { start, length }: Omit<RowSpan, 'rows'>): void {
  eachColumn(out, source, (to, { lo, hi }) => {
    for (let k = 0; k < length; k++) {
      to.lo[at + k] = lo[start + k]!
      to.hi[at + k] = hi[start + k]!
    }
  })
}
