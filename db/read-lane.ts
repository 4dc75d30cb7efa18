/**
 * One connection for small reads, taken while it is free; who finds it taken reads over the pool, and nobody waits.
 *
 * A pool hands out its connections in turns, and each is a server process that learns for itself: its catalogue when a table
 * is first named (5 ms for the partitions of a plan), a statement when it is first prepared, and a plan for any values only
 * after five with values (1 ms each, 0.3 after that). Ten connections take sixty questions to learn what one knows after
 * six: the first twenty questions of a process took three to ten times as long in Postgres as later ones.
 *
 * Where the server, or the limit of our role, has no room for it, the pool may have all the connections it needs: it answers,
 * and the lane rests.
 *
 * Must not: be used for writes, or for anything that waits for a lock.
 */
import type { Sql } from './client.ts'

/** A refusal takes a connection attempt, up to a second while they fail. */
export const RESTS_FOR_READS = 100
/** too_many_connections. */
const NO_CONNECTION = '53300'

interface Lane {
  readonly sql: Sql
  readonly isOwn: boolean
  readonly leave: () => void
}

export class ReadLane {
  readonly #pool: Sql
  readonly #own: Sql | undefined
  #isTaken = false
  #restReads = 0

  /** `own`: a pool of one connection; absent: the pool alone. */
  constructor(pool: Sql, own: Sql | undefined) {
    this.#pool = pool
    this.#own = own
  }

  async read<Result>(run: (sql: Sql) => Promise<Result>): Promise<Result> {
    const lane = this.#enter()
    try {
      return await run(lane.sql)
    } catch (error) {
      this.#restOrThrow(lane, error)
    } finally {
      lane.leave()
    }
    return run(this.#pool)
  }

  async *stream<Part>(run: (sql: Sql) => AsyncIterable<Part>): AsyncGenerator<Part> {
    const lane = this.#enter()
    let isBegun = false
    try {
      for await (const part of run(lane.sql)) {
        isBegun = true
        yield part
      }
      return
    } catch (error) {
      if (isBegun) throw error
      this.#restOrThrow(lane, error)
    } finally {
      lane.leave()
    }
    yield* run(this.#pool)
  }

  #restOrThrow({ isOwn }: Lane, error: unknown): void {
    if (!isOwn || (error as { code?: unknown } | undefined)?.code !== NO_CONNECTION) throw error
    this.#restReads = RESTS_FOR_READS
  }

  #enter(): Lane {
    if (this.#own === undefined || this.#isTaken || this.#restReads > 0) {
      this.#restReads = Math.max(0, this.#restReads - 1)
      return { sql: this.#pool, isOwn: false, leave: () => undefined }
    }
    this.#isTaken = true
    const leave = (): void => {
      this.#isTaken = false
    }
    return { sql: this.#own, isOwn: true, leave }
  }
}
