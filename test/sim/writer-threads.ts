/** The threads of all writers of a world, and the loss of them: one dies or hangs while its process goes on. */
import { Dice } from './dice.ts'
import type { Faults } from './faults.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'
import type { ProcessPorts } from './services.ts'
import { SimThread } from './sim-thread.ts'

export interface WriterThreadsDeps {
  readonly seed: number
  readonly scheduler: Scheduler
  readonly faults: Faults
  readonly note: (what: string) => void
}

const HANGS_PERCENT = 40

export class WriterThreads {
  readonly #deps: WriterThreadsDeps
  readonly #threads: SimThread[] = []
  lost = 0

  constructor(deps: WriterThreadsDeps) {
    this.#deps = deps
  }

  start({ life, codec, digest }: ProcessPorts): SimThread {
    const { seed, scheduler } = this.#deps
    const dice = new Dice(seed, `${life.name}/${this.#threads.length}`)
    const thread = new SimThread({ scheduler, life, dice, codec, digest })
    this.#threads.push(thread)
    return thread
  }

  async lose(life: Life, dice: Dice): Promise<void> {
    const { faults, note } = this.#deps
    while (faults.isOn) {
      await life.clock.sleep(dice.between(1_000, 8_000))
      const hangs = dice.chance(HANGS_PERCENT)
      const at = dice.below(1_000)
      const running = this.#threads.filter(({ isRunning }) => isRunning)
      if (running.length === 0 || !faults.has('thread')) continue
      const thread = running[at % running.length]!
      note(hangs ? 'one hangs' : 'one dies')
      this.lost++
      if (hangs) thread.hang()
      else thread.die()
    }
  }
}
