/**
 * Times in the query string of the render endpoints: what `/ingest` takes (core/ingest/time-range.ts), and nothing else.
 *
 *   digits           8 that are a date: YYYYMMDD, midnight UTC; 13 milliseconds, 16 microseconds, 19 nanoseconds, any other
 *                    number of digits seconds
 *   now, now-1h30m   a chain of <n><unit>: s, m, h, d, w, M = 30 d, y = 365 d
 *   RFC 3339, 1676282400.5
 *
 * Where pushes take whatever else they get for "now", this is a fault: an answer about another time than the one meant
 * is a wrong answer.
 */
import { invalidArgument } from '../errors.ts'
import { parseIngestTime } from '../ingest/time-range.ts'
import { NANOS_PER_MS } from '../units.ts'

const FORMS = [
  /^\d{1,19}$/,
  /^\d{1,10}\.\d{1,9}$/,
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i,
  /^now(?:[+-](?:\d{1,9}(?:s|m|h|d|w|M|y|sec|min|mon|hours?|days?|weeks?|years?))+)?$/,
]

/** Milliseconds. `name` is the parameter, for the message. Fails with `invalid_argument`. */
export function parseRenderTime(name: string, text: string, nowMs: number): number {
  const compact = text.trim().replace(/[ _,]/g, '')
  if (FORMS.some((form) => form.test(compact))) return Number(parseIngestTime(compact, nowMs) / NANOS_PER_MS)
  throw invalidArgument(
    `${JSON.stringify(name)} is ${JSON.stringify(text.slice(0, 64))}: a Unix time, RFC 3339 or now-<n><unit> is allowed`,
    'invalid_time',
  )
}
