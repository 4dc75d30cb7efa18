/**
 * One connection for small reads, taken while it is free; who finds it taken reads over the pool, and nobody waits.
 *
 * A pool hands out its connections in turns, and each is a server process that learns for itself: its catalogue when a table
 * is first named (5 ms for the partitions of a plan), a statement when it is first prepared, and a plan for any values only
 * after five with values (1 ms each, 0.3 after that). Ten connections take sixty questions to learn what one knows after
 * six: the first twenty questions of a process took three to ten times as long in Postgres as later ones.
 *
 * Must not: be used for writes, or for anything that waits for a lock.
 */
import type { Sql } from './client.ts'

export class ReadLane {
  readonly #pool: Sql
  readonly #own: Sql | undefined
  #isTaken = false

  /** `own`: a pool of one connection; absent: the pool alone. */
  constructor(pool: Sql, own: Sql | undefined) {
    this.#pool = pool
    this.#own = own
  }

  async read<Result>(run: (sql: Sql) => Promise<Result>): Promise<Result> {
    const { sql, leave } = this.#enter()
    try {
      return await run(sql)
    } finally {
      leave()
    }
  }

  async *stream<Part>(run: (sql: Sql) => AsyncIterable<Part>): AsyncGenerator<Part> {
    const { sql, leave } = this.#enter()
    try {
      yield* run(sql)
    } finally {
      leave()
    }
  }

  #enter(): { readonly sql: Sql; readonly leave: () => void } {
    if (this.#own === undefined || this.#isTaken) return { sql: this.#pool, leave: () => undefined }
    this.#isTaken = true
    const leave = (): void => {
      this.#isTaken = false
    }
    return { sql: this.#own, leave }
  }
}
