/**
 * Counts of an edge that has no time of its own: a worker runs while it answers a request, and a little after.
 *
 * 1. Whatever a request counted may be sent after its answer, for as long as the runtime lets it (`waitUntil`).
 * 2. Turns are INTERVAL_MS apart, one at a time: a flood of refusals is one batch, and what comes in between waits for the
 *    first request after it. What a worker that is never asked again has not sent is lost: explanations, never profiles.
 * Must not: make an answer wait.
 */
import { PushCounts } from '#core/ingest/push-counts.ts'
import { BatchSender, INTERVAL_MS, type LedgerSenderDeps } from './ledger-sender.ts'

export class RequestLedger {
  readonly counts = new PushCounts()
  readonly #clock: Pick<LedgerSenderDeps['clock'], 'nowMs'>
  readonly #sender: BatchSender
  #sentMs = Number.NEGATIVE_INFINITY
  #isSending = false

  constructor({
    clock,
    ...deps
  }: Omit<LedgerSenderDeps, 'counts' | 'clock'> & { readonly clock: { nowMs(): number } }) {
    this.#clock = clock
    this.#sender = new BatchSender({ ...deps, counts: this.counts })
  }

  /** Call it with every answer. */
  after(waitUntil: (sending: Promise<void>) => void): void {
    const nowMs = this.#clock.nowMs()
    const hasWork = this.counts.rowCount > 0 || this.#sender.hasOpen
    if (this.#isSending || !hasWork || Math.abs(nowMs - this.#sentMs) < INTERVAL_MS) return
    this.#isSending = true
    this.#sentMs = nowMs
    waitUntil(
      this.#sender.turn().finally(() => {
        this.#isSending = false
      }),
    )
  }
}
