/** A duration for people, in the largest unit that shows it whole: `31d`, `12h`, `90m`. What is read back is the same. */
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

const UNITS: readonly [string, number][] = [
  ['d', MS_PER_DAY],
  ['h', MS_PER_HOUR],
  ['m', MS_PER_MINUTE],
  ['s', MS_PER_SECOND],
  ['ms', 1],
]

export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0'
  const [name, size] = UNITS.find(([, unitMs]) => durationMs % unitMs === 0) ?? ['ms', 1]
  return `${durationMs / size}${name}`
}
