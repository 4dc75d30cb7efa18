/**
 * When answers of query threads come back into a loop that also takes pushes. What follows an answer there (merge, cut,
 * encoding, packing) takes milliseconds in one piece, and eight clients that ask without pause would have the loop do
 * nothing else, with every turn of a push behind one of theirs.
 *
 * 1. Without pushes an answer is given at once.
 * 2. With pushes one answer is given, and what the loop then did until its next turn is measured; the next answer waits
 *    `REST` times as long. So answers take a third of the loop at most, and what they cost is what they pay.
 * 3. An answer that waits keeps its slot, so that the thread finds nothing more to do and leaves its core to the pushes.
 */
/** Two parts of rest to one of work. */
const REST = 2
/** A collection or a stolen core is not the answer's doing. */
const WORK_MS_MAX = 30

export interface PaceClock {
  /** Monotonic. */
  nowMs(): number
  /** After the events of this turn. */
  afterTurn(run: () => void): void
  after(delayMs: number, run: () => void): void
}

const LOOP_CLOCK: PaceClock = {
  nowMs: () => performance.now(),
  afterTurn: (run) => void setImmediate(run),
  after: (delayMs, run) => void setTimeout(run, delayMs),
}

export class AnswerPace {
  readonly #isPressed: () => boolean
  readonly #clock: PaceClock
  /** At most one a slot of a thread. */
  readonly #waiting: (() => void)[] = []
  #restUntilMs = 0
  #isResting = false

  /** `isPressed`: there are pushes. */
  constructor(isPressed: () => boolean, clock: PaceClock = LOOP_CLOCK) {
    this.#isPressed = isPressed
    this.#clock = clock
  }

  deliver(give: () => void): void {
    if (!this.#isPressed() && this.#waiting.length === 0) {
      give()
      return
    }
    this.#waiting.push(give)
    if (!this.#isResting) this.#next()
  }

  #next(): void {
    this.#isResting = true
    const { nowMs, after, afterTurn } = this.#clock
    const restMs = this.#restUntilMs - nowMs()
    if (restMs > 0) {
      after(restMs, () => this.#next())
      return
    }
    const startMs = nowMs()
    this.#waiting.shift()?.()
    afterTurn(() => {
      const endMs = nowMs()
      this.#restUntilMs = endMs + Math.min(WORK_MS_MAX, endMs - startMs) * REST
      if (this.#waiting.length > 0) this.#next()
      else this.#isResting = false
    })
  }
}
