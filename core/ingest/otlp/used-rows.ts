/**
 * Rows of one profile by number of the request: which entry of a table of many became which row of a small one. Wiped
 * by what was used, so that 500 profiles of a large dictionary cost what they use.
 */
import { GrowingUint32 } from '../../wire/growing.ts'

export class UsedRows {
  /** Row + 1; 0 = not used by this profile. */
  #rows: Uint32Array
  readonly #used = new GrowingUint32(128)

  constructor(count: number) {
    this.#rows = new Uint32Array(count)
  }

  get sizeBytes(): number {
    return this.#rows.byteLength + this.#used.array.byteLength
  }

  /** -1 if it is not used. */
  get(number: number): number {
    return this.#rows[number]! - 1
  }

  set(number: number, row: number): void {
    this.#rows[number] = row + 1
    this.#used.push(number)
  }

  /** Makes room for numbers below `count`. */
  reserve(count: number): void {
    if (count <= this.#rows.length) return
    const grown = new Uint32Array(Math.max(count, this.#rows.length * 2))
    grown.set(this.#rows)
    this.#rows = grown
  }

  clear(): void {
    const { array, count } = this.#used
    for (let i = 0; i < count; i++) this.#rows[array[i]!] = 0
    this.#used.count = 0
  }
}
