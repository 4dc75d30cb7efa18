/** Units and the windows of time that the product is built on. Instants are Unix time; a window is half open. */

export const NANOS_PER_MS = 1_000_000n
export const MS_PER_SECOND = 1_000
export const MS_PER_MINUTE = 60_000
export const MS_PER_HOUR = 3_600_000
export const MS_PER_DAY = 86_400_000
export const KIB = 1024
export const MIB = 1024 * 1024

/** Floor division that is right for times before 1970: `floorTo(-1, 10)` is -10. */
export function floorTo(value: number, step: number): number {
  return Math.floor(value / step) * step
}

/** Start of the data hour of an instant. A dataset never spans two of them (below the hour level). */
export function hourStartMs(timeMs: number): number {
  return floorTo(timeMs, MS_PER_HOUR)
}

/** floor(nanos / 3.6e12) of an int64 in two lanes, exact: hours since 1970. */
export function hourOfNanos(hi: number, lo: number): number {
  const guess = Math.floor((hi * 4294967296 + lo) / 3.6e12)
  // The double is off by at most 1,024 ns: only an instant that close to a full hour can be in the wrong one.
  const rest = hi * 4294967296 + lo - guess * 3.6e12
  if (rest > 4096 && rest < 3.6e12 - 4096) return guess
  return (
    Number((((BigInt(hi) << 32n) | BigInt(lo)) - BigInt(guess - 1) * 3_600_000_000_000n) / 3_600_000_000_000n) +
    guess -
    1
  )
}
