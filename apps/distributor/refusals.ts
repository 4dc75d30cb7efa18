/**
 * What the edge refuses by itself, counted beside what writers count: a tenant that has to wait, a body over its limit, an
 * envelope that cannot be read. Each is a request; what is in it is not known.
 *
 * Must not: count what a writer has judged, which has its rows already, or cost a push that is taken anything.
 */
import { CinderError } from '#core/errors.ts'
import type { PushCounts } from '#core/ingest/push-counts.ts'
import type { Clock } from '#core/ports/clock.ts'

export class Refusals {
  readonly #counts: Pick<PushCounts, 'note'> | undefined
  readonly #clock: Pick<Clock, 'nowMs'>
  /** Errors that came from a writer. */
  readonly #judged = new WeakSet<object>()

  constructor(counts: Pick<PushCounts, 'note'> | undefined, clock: Pick<Clock, 'nowMs'>) {
    this.#counts = counts
    this.#clock = clock
  }

  /** Whatever it throws is the writer's. */
  async ofWriter<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      this.judged(error)
      throw error
    }
  }

  judged(error: unknown): void {
    if (error instanceof Error) this.#judged.add(error)
  }

  /** `service`: empty if it is not known yet. */
  note(tenant: string, service: string, error: unknown): void {
    if (!(error instanceof CinderError) || this.#judged.has(error)) return
    this.noteAs(tenant, service, error)
  }

  noteAs(tenant: string, service: string, { reason, message }: { readonly reason: string; readonly message: string }) {
    const nowMs = this.#clock.nowMs()
    const nothing = { bytes: 0, decompressedBytes: 0 }
    this.#counts?.note({ tenant, service, nowMs, outcome: 'refused', reason, message, ...nothing })
  }
}
