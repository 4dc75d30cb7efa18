/**
 * The writer's side of the journal: what becomes of an object that is durable while the metastore gives no answer.
 *
 * - `retry`: the pushes get their retryable error as ever, and then the commit is written down; the metastore repeats it
 *   when its database is back. A retry counts once, by the ids of its profiles.
 * - `acknowledge`: a commit gets COMMIT_PATIENCE_MS, less while the metastore is known to be away; then it is written
 *   down, and once that is durable the pushes are acknowledged.
 * - `off`: nothing is written down, and the object of a commit that failed is an orphan.
 * It must not write down what the metastore has refused, and must not acknowledge what took so long that somebody may have
 * given the object up.
 */
import type { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { encodeJournalEntry, JOURNAL_ENTRY_BYTES_MAX, journalKey } from '#platform/journal.ts'

export const JOURNAL_MODES = ['retry', 'acknowledge', 'off'] as const
export type JournalMode = (typeof JOURNAL_MODES)[number]

/** Half of the 8 s by which a push is answered: as long again for waiting, the object and the entry. */
const COMMIT_PATIENCE_MS = 4 * MS_PER_SECOND
/** While commits fail: two flushes are on their way at a time, and pushes wait for both. */
const COMMIT_PATIENCE_AWAY_MS = MS_PER_SECOND
/** An object that nobody named may be given up a day after it was seen. A process that stood still knows nothing of that. */
const ACKNOWLEDGE_WITHIN_MS = 5 * MS_PER_MINUTE

export interface WriterJournalDeps {
  readonly store: Pick<ObjectStore, 'put'>
  readonly clock: Clock
  readonly log: Log
}

export class WriterJournal {
  readonly #deps: WriterJournalDeps
  readonly mode: JournalMode
  #isAway = false
  #entries = 0

  constructor(deps: WriterJournalDeps, mode: JournalMode) {
    this.#deps = deps
    this.mode = mode
  }

  /** Written since the start. */
  get entries(): number {
    return this.#entries
  }

  /** How long a commit may take in all; undefined: as long as its attempts do. */
  get patienceMs(): number | undefined {
    if (this.mode !== 'acknowledge') return undefined
    return this.#isAway ? COMMIT_PATIENCE_AWAY_MS : COMMIT_PATIENCE_MS
  }

  /** A commit was answered, in time or later: the next one is waited for. */
  noteAnswer(): void {
    this.#isAway = false
  }

  /**
   * After the pushes were told. True if the pushes may be acknowledged instead: the entry is durable, in `acknowledge`.
   * Never fails: without an entry the object is an orphan.
   */
  async write(request: CommitSegmentRequest, startedMs: number): Promise<boolean> {
    if (this.mode === 'off') return false
    this.#isAway = true
    const { store, clock, log } = this.#deps
    const { objectId } = request
    const writtenMs = clock.nowMs()
    let sizeBytes: number
    try {
      const bytes = encodeJournalEntry({ writtenMs, request })
      sizeBytes = bytes.length
      if (sizeBytes > JOURNAL_ENTRY_BYTES_MAX) {
        log.warn('too large for the journal', { objectId, sizeBytes, allowedBytes: JOURNAL_ENTRY_BYTES_MAX })
        return false
      }
      await store.put(journalKey(objectId), bytes)
    } catch (error) {
      log.warn('journal entry not written', {
        objectId,
        message: error instanceof Error ? error.message : String(error),
      })
      return false
    }
    this.#entries++
    log.info('segment journalled', { objectId, sizeBytes, mode: this.mode })
    const tookMs = clock.nowMs() - startedMs
    return this.mode === 'acknowledge' && tookMs >= 0 && tookMs <= ACKNOWLEDGE_WITHIN_MS
  }
}

/** Whether the metastore may have said nothing, or taken it: what it refused is not repeated. */
export function isUnanswered(error: CinderError): boolean {
  return error.kind === 'unavailable' || error.kind === 'deadline_exceeded' || error.kind === 'resource_exhausted'
}
