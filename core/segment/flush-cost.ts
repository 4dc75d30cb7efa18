/**
 * What a flush costs when little else is in its way: the shortest of the last ones.
 *
 * The pace of flushes is a multiple of it (flush-policy.ts). The last duration alone made one hiccup of 40 ms, a collection
 * or a core that queries had, an interval of 160 ms for every push of the moment; a store that is slow, or a machine that is
 * full, shows in the shortest one as well.
 */

/** A fifth of a second on an idle machine, four seconds at the largest interval. */
const KEPT = 8

export class FlushCost {
  readonly #durationsMs: number[] = []

  /** 0 before the first flush. */
  get costMs(): number {
    return this.#durationsMs.length === 0 ? 0 : Math.min(...this.#durationsMs)
  }

  note(durationMs: number, { isStored }: { readonly isStored: boolean }): void {
    // A clock that was set back says nothing.
    if (durationMs < 0) return
    // Nor does one that had nothing to store, or was refused at once: flushes are not cheaper for it.
    if (!isStored && (this.#durationsMs.length === 0 || durationMs < this.costMs)) return
    this.#durationsMs.push(durationMs)
    if (this.#durationsMs.length > KEPT) this.#durationsMs.shift()
  }
}
