/**
 * Numbers for people: a value in the unit of its sample type. Durations climb from ns to h, bytes from B to PiB, all else
 * is a count with thousands separated. Three significant digits at least; a percent has one decimal.
 */

interface Step {
  readonly name: string
  readonly size: number
}

const DURATION_STEPS: readonly Step[] = [
  { name: 'ns', size: 1 },
  { name: 'µs', size: 1e3 },
  { name: 'ms', size: 1e6 },
  { name: 's', size: 1e9 },
  { name: 'min', size: 60e9 },
  { name: 'h', size: 3600e9 },
]

const BYTE_STEPS: readonly Step[] = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].map((name, i) => ({
  name,
  size: 1024 ** i,
}))

/** Nanoseconds in the unit of a sample type. */
const NANOS_BY_UNIT: Readonly<Record<string, number>> = {
  nanoseconds: 1,
  microseconds: 1e3,
  milliseconds: 1e6,
  seconds: 1e9,
}

/** A bigint is shown as its nearest double: the first three digits are exact. */
export function formatQuantity(value: number | bigint, unit: string): string {
  const plain = Number(value)
  const nanos = Object.hasOwn(NANOS_BY_UNIT, unit) ? NANOS_BY_UNIT[unit] : undefined
  if (nanos !== undefined) return scale(plain * nanos, DURATION_STEPS)
  if (unit === 'bytes') return scale(plain, BYTE_STEPS)
  return formatCount(value)
}

export function formatCount(value: number | bigint): string {
  const [whole, fraction] = (typeof value === 'bigint' ? String(value) : String(round(value))).split('.')
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

export function formatBytes(sizeBytes: number): string {
  return scale(sizeBytes, BYTE_STEPS)
}

export function formatPercent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(1)}%`
}

/** `2026-11-21 13:10:00Z`. */
export function formatInstant(timeMs: number): string {
  return new Date(timeMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

function scale(value: number, steps: readonly Step[]): string {
  const size = Math.abs(value)
  let step = steps[0]!
  for (const next of steps) if (size >= next.size) step = next
  const scaled = value / step.size
  if (Number.isInteger(scaled)) return `${scaled} ${step.name}`
  return `${scaled.toFixed(Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2)} ${step.name}`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
