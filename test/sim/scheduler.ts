/**
 * One virtual clock for a world. Everything that happens is an event at a millisecond; events of one millisecond happen
 * in an order drawn from the seed. Between two events every promise that can settle without a third has settled, so a
 * run is a function of its seed.
 *
 * It must not look at a real clock, and nothing in a world may wait for anything but an event.
 */
import type { Dice } from './dice.ts'

export interface SimEvent {
  readonly atMs: number
  readonly tie: number
  /** Undefined once it was cancelled: it is passed over. */
  run: (() => void) | undefined
}

/** A world that makes more has a loop that never waits: a world of a minute has a few thousand. */
const EVENTS_MAX = 200_000

export class Scheduler {
  nowMs: number
  #steps = 0
  readonly #dice: Dice
  readonly #heap: SimEvent[] = []

  constructor(startMs: number, dice: Dice) {
    this.nowMs = startMs
    this.#dice = dice
  }

  get steps(): number {
    return this.#steps
  }

  after(delayMs: number, run: () => void): SimEvent {
    const event = { atMs: this.nowMs + Math.max(0, Math.ceil(delayMs)), tie: this.#dice.below(1 << 30), run }
    this.#push(event)
    return event
  }

  /** Lets the world run until the time has come, or `isOver` says so after an event. */
  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#pop()
      if (next.run === undefined) continue
      if (++this.#steps > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events`)
      this.nowMs = next.atMs
      next.run()
      await settled()
      if (isOver()) return
    }
    this.nowMs = Math.max(this.nowMs, untilMs)
  }

  #push(event: SimEvent): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.tie < b.tie
}

/** Microtasks are done before the next turn of the event loop. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
