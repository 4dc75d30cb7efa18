/** Numbers and times as operators read them: two units at most, no unit that needs a table. */
import { KIB, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

/** How the reason of a job begins whose outputs were not what its sources are: people and the status page know it by that. */
export const NOT_CONSERVED = 'not conserved'

const AGE_STEPS: readonly (readonly [string, number])[] = [
  ['d', MS_PER_DAY],
  ['h', MS_PER_HOUR],
  ['min', MS_PER_MINUTE],
  ['s', MS_PER_SECOND],
]

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 d 4 h`. A negative age (clocks differ) is 0. */
export function formatAge(durationMs: number): string {
  const ageMs = Math.max(0, durationMs)
  if (ageMs < 10 * MS_PER_SECOND) return `${(Math.floor(ageMs / 100) / 10).toFixed(1)} s`
  const first = AGE_STEPS.findIndex(([, stepMs]) => ageMs >= stepMs)
  const [name, stepMs] = AGE_STEPS[first]!
  const whole = Math.floor(ageMs / stepMs)
  const next = AGE_STEPS[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ageMs - whole * stepMs) / next[1])
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${next![0]}`
}

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Three digits: `0 B`, `1.50 MiB`, `320 GiB`. */
export function formatSize(sizeBytes: number): string {
  let size = sizeBytes
  let unit = 0
  for (; size >= KIB && unit < SIZE_UNITS.length - 1; unit++) size /= KIB
  const digits = unit === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2
  return `${size.toFixed(digits)} ${SIZE_UNITS[unit]!}`
}

/** Thousands apart: `12,345`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `2026-11-21 13:10:00Z`; '' for no time. */
export function formatInstant(timeMs: number): string {
  if (timeMs === 0) return ''
  return new Date(timeMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

/** `12 s ago`, `in 3 min`, '' for no time. */
export function formatWhen(timeMs: number, nowMs: number): string {
  if (timeMs === 0) return ''
  return timeMs <= nowMs ? `${formatAge(nowMs - timeMs)} ago` : `in ${formatAge(timeMs - nowMs)}`
}
