/** What an agent says of a sample besides its stack: labels, span and trace, by number; equal ones are one row. */
import { CONTEXT_ID, SPAN_ID, SPAN_NAME, TRACE_ID_HIGH, TRACE_ID_LOW } from './event-types.ts'
import type { Captured } from './layout.ts'
import type { TupleRows } from './tuple-rows.ts'

const SLOTS = [CONTEXT_ID, SPAN_ID, SPAN_NAME, TRACE_ID_HIGH, TRACE_ID_LOW] as const

/** Two lanes each: context, span, span's name, trace's high half, trace's low half. */
export const CONTEXT_WORDS = 2 * SLOTS.length

/** Row 0 is the sample of which nothing is said. */
export function beginContexts(contexts: TupleRows): void {
  contexts.begin()
  for (let i = 0; i < CONTEXT_WORDS; i++) contexts.values.push(0)
  contexts.take()
}

export function contextOf(contexts: TupleRows, { lo, hi }: Captured): number {
  let bits = 0
  for (const slot of SLOTS) bits |= lo[slot]! | hi[slot]!
  if (bits === 0) return 0
  for (const slot of SLOTS) {
    contexts.values.push(lo[slot]!)
    contexts.values.push(hi[slot]!)
  }
  return contexts.take()
}
