/**
 * The end of a writer that is told to stop, before it stops taking connections:
 *
 * 1. It says that it leaves (registration.ts), and is not ready any more: edges and balancers stop choosing it.
 * 2. It goes on accepting until no push has come for a while, or edges had the time to read the new table. Who comes later
 *    finds no listener and goes to the next writer: that costs an edge a connection, and nobody data.
 *
 * Then the process stops as ever: requests in flight are answered, the last segment is flushed, the registration goes.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import type { Part } from '#platform/service.ts'
import { LEAVE_WAIT_MS, type Registration } from './registration.ts'

/** Past the longest time between two refreshes of an edge (apps/distributor/placement.ts), within half of a stop. */
export const HAND_OVER_MAX_MS = 2_000
/** Twenty pushes a second come every 50 ms; whoever sends less often can do with a try elsewhere. */
export const QUIET_MS = 300

export interface HandOver extends Part {
  /** What is served instead of the writer. */
  watch(writer: SegmentWriter): SegmentWriter
  /** For `/ready`. */
  missing(): string | undefined
}

export function createHandOver(registration: Registration, clock: Clock): HandOver {
  let lastPushMs = 0
  let isLeaving = false
  return {
    name: 'hand-over',
    watch: (writer) => ({
      write(request, call) {
        lastPushMs = clock.nowMs()
        return writer.write(request, call)
      },
    }),
    missing: () => (isLeaving ? 'the writer is leaving' : undefined),
    async stop() {
      isLeaving = true
      const { state } = registration.status()
      const beganMs = clock.nowMs()
      await registration.leave()
      // Nobody was told of this writer, so nobody is waited for.
      if (state !== 'serving') return
      // Counted by waits too, because the clock may be set back meanwhile.
      let leftMs = HAND_OVER_MAX_MS - Math.min(LEAVE_WAIT_MS, Math.max(0, clock.nowMs() - beganMs))
      while (leftMs > 0) {
        const nowMs = clock.nowMs()
        const quietMs = Math.max(beganMs, lastPushMs) + QUIET_MS - nowMs
        if (quietMs <= 0) return
        const waitMs = Math.min(quietMs, leftMs)
        await clock.sleep(waitMs)
        leftMs -= Math.max(waitMs, clock.nowMs() - nowMs)
      }
    },
  }
}
