/**
 * `--from` and `--to`: now, now-1h, now-1d12h, -1h, RFC 3339, or Unix time in seconds, milliseconds, microseconds or
 * nanoseconds (told apart by digits). Unlike agents' times on `/ingest`, what cannot be read is an error.
 */
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { type Arguments, type FlagSpec, usageError } from './arguments.ts'
import { formatInstant } from './quantity.ts'

export const RANGE_FLAGS = {
  from: { value: 'TIME', about: 'start: now-1h, 2026-11-21T13:00:00Z or Unix time', default: 'now-1h' },
  to: { value: 'TIME', about: 'end, included', default: 'now' },
} as const satisfies Record<string, FlagSpec>

export interface QueryRange {
  readonly startMs: number
  readonly endMs: number
}

export function rangeOf(args: Arguments, nowMs: number): QueryRange {
  const startMs = parseTime('from', args.need('from'), nowMs)
  const endMs = parseTime('to', args.need('to'), nowMs)
  if (startMs <= endMs) return { startMs, endMs }
  throw usageError(`flag --from (${formatInstant(startMs)}) is after --to (${formatInstant(endMs)})`)
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: MS_PER_SECOND,
  m: MS_PER_MINUTE,
  h: MS_PER_HOUR,
  d: MS_PER_DAY,
  w: 7 * MS_PER_DAY,
}

export function parseTime(flag: string, text: string, nowMs: number): number {
  const relative = /^(?:now)?(?:([+-])((?:\d{1,9}(?:ms|s|m|h|d|w))+))?$/.exec(text)
  const timeMs = relative !== null && text !== '' ? nowMs + offsetMs(relative[1], relative[2] ?? '') : instantMs(text)
  // What Date can show.
  if (timeMs !== undefined && Math.abs(timeMs) <= 8.64e15) return timeMs
  throw usageError(
    `flag --${flag} is ${JSON.stringify(text)}; allowed: now, now-1h30m, 2026-11-21T13:00:00Z, or Unix time`,
  )
}

function offsetMs(sign: string | undefined, chain: string): number {
  let sumMs = 0
  for (const [, count, unit] of chain.matchAll(/(\d+)(ms|s|m|h|d|w)/g)) sumMs += Number(count) * UNIT_MS[unit!]!
  return sign === '-' ? -sumMs : sumMs
}

function instantMs(text: string): number | undefined {
  if (/^\d{1,19}$/.test(text)) {
    const value = Number(text)
    if (text.length >= 18) return Math.floor(value / 1e6)
    if (text.length >= 15) return Math.floor(value / 1e3)
    return text.length >= 12 ? value : value * MS_PER_SECOND
  }
  if (!/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(text)) return undefined
  // A time without a zone means UTC, as everything that the product prints.
  const zoned = /T|\s\d/.test(text) && !/(Z|[+-]\d{2}:\d{2})$/.test(text) ? `${text}Z` : text
  const timeMs = Date.parse(zoned.replace(' ', 'T'))
  return Number.isNaN(timeMs) ? undefined : timeMs
}
