/**
 * Whether the queue should turn to a new generation (db/sql/queue-generations.ts): when what every claim walks over for
 * nothing costs more than moving what is open. Pure.
 *
 * Walking over a dead entry takes about 1 us of every claim, moving a job about 30 us once. A claim of a queue of 100,000
 * jobs takes 10 ms: with a fifth of the last turn's jobs as the bound it takes at most twice that, and a deep queue is
 * copied once while a fortieth of it is worked off, a shallow one at every 500 jobs.
 */

/** 2,000 dead entries are 2 ms of a claim; below them are also entries that are read without their row. */
const DEAD_ENTRIES_MIN = 2_000
const DEAD_ENTRIES_PER_MOVED = 0.2

export function isTurnDue(facts: {
  /** Of one claim. */
  readonly deadEntries: number
  /** By the last turn. */
  readonly moved: number
}): boolean {
  return facts.deadEntries >= DEAD_ENTRIES_MIN + facts.moved * DEAD_ENTRIES_PER_MOVED
}
