/**
 * Counts equal profiles within one request: the first has ordinal 0, the next 1. So two byte-equal profiles of one
 * request both count, and the retry of the request has the same ordinals. Lives as long as its request.
 */
export class RequestOrdinals {
  readonly #seen = new Map<string, number>()

  next(key: string): number {
    const ordinal = this.#seen.get(key) ?? 0
    this.#seen.set(key, ordinal + 1)
    return ordinal
  }
}
