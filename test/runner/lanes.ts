/**
 * Which batch a lane takes next. Pure.
 *
 * Common lanes take what works first, in order, and what waits when nothing else is left. One lane more takes only what
 * waits: it costs the others little, and its half minutes do not stand in their way. It ends when that is done.
 */

export interface Laned {
  readonly waits: boolean
}

export interface Lanes<Item> {
  /** Undefined: the lane ends. */
  next(lane: 'common' | 'waiting'): Item | undefined
}

export function shareOut<Item extends Laned>(items: readonly Item[]): Lanes<Item> {
  const working = items.filter(({ waits }) => !waits)
  const waiting = items.filter(({ waits }) => waits)
  return {
    next: (lane) => (lane === 'waiting' ? waiting.shift() : (working.shift() ?? waiting.shift())),
  }
}
