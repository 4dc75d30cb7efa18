/**
 * The samples of one profile of a recording: events of one stack and one context are one sample, whose values are summed.
 * Both values are kept as they come, exact: a number of events (or of periods), and bytes or nanoseconds.
 */
import { GrowingInt64, GrowingUint32 } from '../../wire/growing.ts'
import { addInt64At } from '../../wire/int64.ts'
import { PairRows } from './pair-rows.ts'

export class SampleTable {
  readonly stack = new GrowingUint32(64)
  readonly context = new GrowingUint32(64)
  readonly first = new GrowingInt64(64)
  readonly second = new GrowingInt64(64)
  /** Samples without a context, by stack: row + 1. */
  readonly #plain = new GrowingUint32(64)
  readonly #pairs = new PairRows()
  readonly #rowOfPair = new GrowingUint32(64)

  begin(): void {
    for (const column of [this.stack, this.context, this.#plain, this.#rowOfPair]) column.count = 0
    for (const column of [this.first, this.second]) {
      column.lo.count = 0
      column.hi.count = 0
    }
    this.#pairs.begin()
  }

  get count(): number {
    return this.stack.count
  }

  get sizeBytes(): number {
    return 6 * this.stack.array.byteLength + this.#plain.array.byteLength + this.#pairs.sizeBytes
  }

  /** The row of a stack in a context; context 0 is none. */
  rowOf(stack: number, context: number): number {
    if (context !== 0) {
      const pair = this.#pairs.rowOfPair(stack, context)
      if (pair === this.#rowOfPair.count) this.#rowOfPair.push(this.#add(stack, context))
      return this.#rowOfPair.array[pair]!
    }
    const plain = this.#plain
    while (plain.count <= stack) plain.push(0)
    if (plain.array[stack] === 0) plain.array[stack] = this.#add(stack, 0) + 1
    return plain.array[stack]! - 1
  }

  addFirst(row: number, lo: number, hi: number): void {
    addInt64At({ lo: this.first.lo.array, hi: this.first.hi.array }, row, lo, hi)
  }

  addSecond(row: number, lo: number, hi: number): void {
    addInt64At({ lo: this.second.lo.array, hi: this.second.hi.array }, row, lo, hi)
  }

  #add(stack: number, context: number): number {
    this.stack.push(stack)
    this.context.push(context)
    this.first.push(0, 0)
    this.second.push(0, 0)
    return this.stack.count - 1
  }
}
