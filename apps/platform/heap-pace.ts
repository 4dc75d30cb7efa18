/**
 * When a thread collects its heap. The engine lets garbage grow to two or three times what lives, by 32 MiB at least, and
 * a thread that merges or queries makes that in a second, all of it columns and encoded bytes. A collection every few tens
 * of MB costs no more than what the engine does itself, and keeps 60 MB a merge, 30 MB a query thread.
 *
 * 1. `collectIfGrown`: the heap is collected if it has grown by `growthBytesMax` since the last time, and by a quarter: what lives
 *    is what a collection takes its time for, 80 ms for a million names in a map and 280 for four million cells. So a heap that
 *    only grows is gone through five times over at most, however large it gets.
 * 2. `callEnded`: the same, and after `IDLE_MS` without another it is collected if it has grown by `IDLE_GROWTH_BYTES` at all.
 * What is on the stack lives, and who asked waits: a call is answered before, and only a merge of minutes asks within itself.
 */
import { MIB, MS_PER_SECOND } from '#core/units.ts'

export const IDLE_GROWTH_BYTES = 2 * MIB
/** A dashboard that refreshes every 5 s is no idle time. */
export const IDLE_MS = 10 * MS_PER_SECOND

const GROWTH_SHARE = 1 / 4

export interface HeapPaceDeps {
  /** Of what lives, and of what died since the last collection. */
  readonly heapBytes: () => number
  readonly collect: () => void
  /**
   * What a collection takes, 2 to 6 ms of CPU, should be a hundredth of what makes so much garbage. It is the bound while less
   * than four times as much lives.
   */
  readonly growthBytesMax: number
  /** Once; a thread may end before. */
  readonly later: (delayMs: number, run: () => void) => void
}

export interface HeapPace {
  collectIfGrown(): void
  callEnded(): void
}

export function createHeapPace({ heapBytes, collect, growthBytesMax, later }: HeapPaceDeps): HeapPace {
  let collectedBytes = heapBytes()
  let calls = 0
  let isWatched = false
  const collectAbove = (growthBytes: number, share: number): void => {
    const sizeBytes = heapBytes()
    // The engine has collected by itself.
    if (sizeBytes < collectedBytes) collectedBytes = sizeBytes
    if (sizeBytes - collectedBytes < Math.max(growthBytes, collectedBytes * share)) return
    collect()
    collectedBytes = heapBytes()
  }
  /** One timer at a time: it finds a thread idle that had no call since it was set. */
  const watch = (): void => {
    if (isWatched) return
    isWatched = true
    const before = calls
    later(IDLE_MS, () => {
      isWatched = false
      if (calls === before) collectAbove(IDLE_GROWTH_BYTES, 0)
      else watch()
    })
  }
  const collectIfGrown = (): void => collectAbove(growthBytesMax, GROWTH_SHARE)
  return {
    collectIfGrown,
    callEnded() {
      calls++
      collectIfGrown()
      watch()
    },
  }
}
