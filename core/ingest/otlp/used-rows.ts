/**
 * Rows of one profile by number of the request: which entry of a table of many became which row of a small one. A number
 * that is below those of this profile is of an earlier one, so that nothing is wiped between two: 500 profiles of a large
 * dictionary cost what they use.
 */

/** Then all is wiped: 2^30 keeps what is stored, and a row beyond it, in 31 bits. */
const BASE_MAX = 2 ** 30

export class UsedRows {
  /** `base` + row; less than `base`: not used by this profile. */
  rows: Uint32Array
  base = 1
  readonly #baseMax: number
  #top = 1

  constructor(count: number, baseMax = BASE_MAX) {
    this.rows = new Uint32Array(count)
    this.#baseMax = baseMax
  }

  get sizeBytes(): number {
    return this.rows.byteLength
  }

  /** Negative if it is not used. */
  get(number: number): number {
    return this.rows[number]! - this.base
  }

  set(number: number, row: number): void {
    const value = this.base + row
    this.rows[number] = value
    if (value >= this.#top) this.#top = value + 1
  }

  /** Makes room for numbers below `count`. */
  reserve(count: number): void {
    if (count <= this.rows.length) return
    const grown = new Uint32Array(Math.max(count, this.rows.length * 2))
    grown.set(this.rows)
    this.rows = grown
  }

  clear(): void {
    this.base = this.#top
    if (this.base <= this.#baseMax) return
    this.rows.fill(0)
    this.base = this.#top = 1
  }
}
