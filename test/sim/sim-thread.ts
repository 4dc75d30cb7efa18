/**
 * Threads of a writer in a world: what runs in the product's thread, behind messages that take time. One may die, or hang:
 * hear everything and never answer. Both end with it; its writer is told of a death alone.
 */
import { createThreadHost, type ThreadHostDeps } from '../../apps/segment-writer/thread-host.ts'
import type { ThreadQuestion, ThreadReply, ThreadSettings } from '../../apps/segment-writer/thread-messages.ts'
import type { Dice } from './dice.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'

const MESSAGE_MS_MAX = 3

export interface SimThreadDeps extends Pick<ThreadHostDeps, 'codec' | 'digest'> {
  readonly scheduler: Scheduler
  readonly life: Life
  readonly dice: Dice
}

/** As much of a `Worker` as a writer uses. */
export class SimThread {
  onmessage: ((event: { data: ThreadReply }) => void) | undefined
  onerror: ((event: { message: string }) => void) | undefined
  #state: 'runs' | 'hangs' | 'dead' = 'runs'
  readonly #deps: SimThreadDeps
  readonly #tell: ReturnType<typeof createThreadHost>

  constructor(deps: SimThreadDeps) {
    this.#deps = deps
    const { codec, digest, life } = deps
    const post = (data: ThreadReply): void => this.#after(() => this.onmessage?.({ data }))
    this.#tell = createThreadHost({ codec, digest, clock: life.clock, post })
  }

  get isRunning(): boolean {
    return this.#state === 'runs' && !this.#deps.life.isDead
  }

  postMessage(message: ThreadSettings | ThreadQuestion): void {
    this.#after(() => this.#tell(message))
  }

  addEventListener(): void {
    // A death is told by `onerror`.
  }

  terminate(): void {
    this.#state = 'dead'
  }

  die(): void {
    this.#state = 'dead'
    this.#deps.scheduler.after(0, () => this.#deps.life.deliver(() => this.onerror?.({ message: 'it was killed' })))
  }

  hang(): void {
    this.#state = 'hangs'
  }

  /** Messages of one line keep their order. */
  #lastMs = 0
  #after(run: () => void): void {
    const { scheduler, life, dice } = this.#deps
    this.#lastMs = Math.max(this.#lastMs + 1, scheduler.nowMs + dice.below(MESSAGE_MS_MAX))
    scheduler.after(this.#lastMs - scheduler.nowMs, () => {
      life.deliver(() => {
        if (this.#state === 'runs') run()
      })
    })
  }
}
