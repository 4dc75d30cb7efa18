/**
 * Sends counts of pushes to the metastore, every few seconds, in small batches.
 *
 * 1. A batch has this process' name and a number, so that it counts once, however often it is sent.
 * 2. A batch that was not answered is sent again, as it was, before any other. Counts go on meanwhile, in their bound.
 *    One that the metastore refuses for good is dropped and said.
 * 3. At the stop what is left is sent once, for as long as a stop may wait.
 * Must not: delay a push, fail one, or keep the process.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import type { PushCounts } from '#core/ingest/push-counts.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { IngestLedger, RecordPushesRequest } from '#core/rpc/ingest-ledger.ts'
import { MS_PER_SECOND } from '#core/units.ts'

/** Who looks for a profile looks for it seconds later. */
export const INTERVAL_MS = 5 * MS_PER_SECOND
/** About 30 ms of Postgres. */
const BATCH_ROWS_MAX = 1_000
/** 5,000 rows are all that there may be. */
const BATCHES_PER_TURN_MAX = 5
/** Within the five seconds of a stop. */
const STOP_WAIT_MS = MS_PER_SECOND

export interface LedgerSenderDeps {
  readonly counts: PushCounts
  readonly ledger: Pick<IngestLedger, 'recordPushes'>
  readonly clock: Clock
  readonly log: Log
  /** Of this process life. */
  readonly source: string
}

export interface LedgerSender {
  readonly name: string
  stop(): Promise<void>
}

export function startLedgerSender(deps: LedgerSenderDeps): LedgerSender {
  const { clock } = deps
  const stopping = new AbortController()
  const sender = new BatchSender(deps)
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(INTERVAL_MS, stopping.signal)
      if (!stopping.signal.aborted) await sender.turn()
    }
  })()
  return {
    name: 'ingest ledger',
    async stop() {
      stopping.abort()
      const over = new AbortController()
      const late = clock.sleep(STOP_WAIT_MS, over.signal)
      await Promise.race([running.then(() => sender.turn()), late])
      over.abort()
    },
  }
}

/** The batches of one process life, a turn at a time. */
export class BatchSender {
  readonly #deps: Omit<LedgerSenderDeps, 'clock'>
  #sequence = 0
  /** What was sent and not answered. */
  #open: RecordPushesRequest | undefined
  #isFailing = false

  constructor(deps: Omit<LedgerSenderDeps, 'clock'>) {
    this.#deps = deps
  }

  /** A batch was sent and not answered. */
  get hasOpen(): boolean {
    return this.#open !== undefined
  }

  async turn(): Promise<void> {
    const { counts, ledger, log, source } = this.#deps
    for (let batch = 0; batch < BATCHES_PER_TURN_MAX; batch++) {
      if (this.#open === undefined) {
        const rows = counts.take(BATCH_ROWS_MAX)
        if (rows.length === 0) return
        this.#open = { source, sequence: ++this.#sequence, rows }
      }
      try {
        await ledger.recordPushes(this.#open)
      } catch (error) {
        if (error instanceof CinderError && !isRetryable(error.kind)) {
          log.error('counts of pushes are refused, and lost', { rows: this.#open.rows.length, error })
          this.#open = undefined
          return
        }
        // Said once: pushes go on, and whoever cannot reach the metastore says so anyway.
        if (!this.#isFailing) log.warn('counts of pushes are not recorded, trying again', { error })
        this.#isFailing = true
        return
      }
      this.#isFailing = false
      this.#open = undefined
    }
  }
}
