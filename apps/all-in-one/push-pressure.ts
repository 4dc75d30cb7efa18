/** Whether pushes are in flight, or were a moment ago: a writer that tells. */
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'

/** Agents that push 20 times a second leave pauses of some 50 ms; what waits for a pause must not take the first one. */
const MOMENT_MS = 200

export interface PushPressure {
  readonly writer: SegmentWriter
  isPressed(): boolean
}

/** `nowMs` is monotonic. */
export function watchPushes(inner: SegmentWriter, nowMs: () => number = () => performance.now()): PushPressure {
  let inFlight = 0
  let lastMs = Number.NEGATIVE_INFINITY
  return {
    writer: {
      async write(...call) {
        inFlight++
        try {
          return await inner.write(...call)
        } finally {
          inFlight--
          lastMs = nowMs()
        }
      },
    },
    isPressed: () => inFlight > 0 || nowMs() - lastMs < MOMENT_MS,
  }
}
