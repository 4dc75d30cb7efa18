/**
 * `from` and `until` of `/ingest`, leniently: agents send seconds, milliseconds, microseconds or nanoseconds, told apart
 * by their number of digits, and what cannot be read means now.
 *
 * 1. RFC 3339 and decimal seconds, as people write them;
 * 2. without spaces, `_` and `,`: digits alone are an instant (8 digits that are a date: its midnight in UTC);
 * 3. else everything before the first + or - is "now", and a chain of `<number><unit>` is added or taken away.
 */
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, NANOS_PER_MS } from '../units.ts'

const NANOS_PER_SECOND = 1_000_000_000n
const INT64_MAX = 2n ** 63n - 1n

/** Longer texts are no time; the pattern below would still read them in linear time. */
const TEXT_MAX = 64

/** Unix nanoseconds; now if the text is absent, or is no time. */
export function parseIngestTime(text: string | undefined, nowMs: number): bigint {
  const nowNanos = BigInt(Math.floor(nowMs)) * NANOS_PER_MS
  if (text === undefined || text.length > TEXT_MAX) return nowNanos
  const nanos = readNanos(text.trim(), nowNanos)
  // A date of the year 1000 or 3000 is a time that int64 does not hold.
  return nanos === undefined || nanos > INT64_MAX || nanos < -INT64_MAX ? nowNanos : nanos
}

function readNanos(text: string, nowNanos: bigint): bigint | undefined {
  const instant = rfc3339Nanos(text) ?? decimalNanos(text)
  if (instant !== undefined) return instant
  const compact = text.replace(/[ _,]/g, '')
  return /^\d+$/.test(compact) ? digitsNanos(compact) : nowNanos + offsetNanos(compact)
}

/**
 * The time of a profile pushed with a range: old agents wrote microseconds where nanoseconds belong, which lie in 1970,
 * or nothing. Then the range knows better.
 */
export function ingestTimeNanos(timeNanos: bigint, fromNanos: bigint): bigint {
  const endOf1970Nanos = BigInt(365 * MS_PER_DAY) * NANOS_PER_MS
  return timeNanos >= 0n && timeNanos < endOf1970Nanos ? fromNanos : timeNanos
}

function rfc3339Nanos(text: string): bigint | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/.exec(text)
  if (match === null) return undefined
  const [, seconds, fraction = '', zone] = match
  const ms = Date.parse(`${seconds!.replace(/[t ]/, 'T')}${zone!.toUpperCase()}`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * NANOS_PER_MS + BigInt(fraction.padEnd(9, '0'))
}

function decimalNanos(text: string): bigint | undefined {
  const match = /^(\d{1,10})\.(\d{1,9})$/.exec(text)
  return match === null ? undefined : BigInt(match[1]!) * NANOS_PER_SECOND + BigInt(match[2]!.padEnd(9, '0'))
}

function digitsNanos(digits: string): bigint {
  if (digits.length === 8) {
    const ms = Date.parse(`${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}T00:00:00Z`)
    // Some engines take the 31st of any month; such a date does not come back as it was written.
    if (!Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10).replaceAll('-', '') === digits) {
      return BigInt(ms) * NANOS_PER_MS
    }
  }
  return BigInt(digits) * nanosPerUnit(digits.length)
}

/** 13 digits are milliseconds, 16 microseconds, 19 nanoseconds, anything else seconds. */
function nanosPerUnit(digits: number): bigint {
  if (digits === 13) return 1_000_000n
  if (digits === 16) return 1_000n
  return digits === 19 ? 1n : NANOS_PER_SECOND
}

function offsetNanos(text: string): bigint {
  const at = text.search(/[+-]/)
  if (at < 0) return 0n
  let offsetMs = 0n
  for (const [, count, unit] of text.slice(at + 1).matchAll(/(\d+)([a-zA-Z]*)/g))
    offsetMs += BigInt(count!) * BigInt(unitMs(unit!))
  const nanos = offsetMs * NANOS_PER_MS
  // An offset that leaves int64 is no time.
  if (nanos > INT64_MAX / 4n) return 0n
  return text[at] === '-' ? -nanos : nanos
}

/** By prefix, as Graphite's: `M` and `mon` are months, `m` and `min` minutes. Unknown units count nothing. */
function unitMs(unit: string): number {
  if (unit.startsWith('s')) return MS_PER_SECOND
  if (unit.startsWith('mon') || unit.startsWith('M')) return 30 * MS_PER_DAY
  if (unit.startsWith('m')) return MS_PER_MINUTE
  if (unit.startsWith('h')) return MS_PER_HOUR
  if (unit.startsWith('d')) return MS_PER_DAY
  if (unit.startsWith('w')) return 7 * MS_PER_DAY
  return unit.startsWith('y') ? 365 * MS_PER_DAY : 0
}
