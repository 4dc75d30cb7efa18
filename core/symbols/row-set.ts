/**
 * A set of rows of one table in order of first use, and the place of each. A row is in it if its place names it, so
 * that nothing is cleared between two uses: time follows the rows that are added, memory the largest table so far.
 */
import { GrowingUint32 } from '../wire/growing.ts'

export class RowSet {
  #place = new Uint32Array(0)
  readonly rows = new GrowingUint32(32)

  /** Empty, for rows below `sourceCount`. */
  begin(sourceCount: number): void {
    this.rows.count = 0
    if (this.#place.length < sourceCount) this.#place = new Uint32Array(sourceCount * 2)
  }

  has(row: number): boolean {
    const place = this.#place[row]!
    return place < this.rows.count && this.rows.array[place] === row
  }

  /** Only of a row that is in the set. */
  placeOf(row: number): number {
    return this.#place[row]!
  }

  /** Only of a row that is not in the set. */
  add(row: number): number {
    const place = this.rows.count
    this.#place[row] = place
    this.rows.push(row)
    return place
  }

  /** Its place, a new one if it has none. */
  addOnce(row: number): number {
    const place = this.#place[row]!
    return place < this.rows.count && this.rows.array[place] === row ? place : this.add(row)
  }

  get sizeBytes(): number {
    return this.#place.byteLength + this.rows.array.byteLength
  }
}
