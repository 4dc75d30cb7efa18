/** A duration from a flag, as settings have it: `31d`, `12h`, `0`. */
import { durationTextMs } from '#core/limits/limits.ts'
import { usageError } from './arguments.ts'

/** Fails with a usage error that names what is allowed. */
export function durationFlag(name: string, text: string): number {
  const durationMs = durationTextMs(text)
  if (durationMs !== undefined && Number.isSafeInteger(durationMs)) return durationMs
  throw usageError(`flag --${name} is ${JSON.stringify(text)}; allowed: a duration such as 31d, 12h or 0`)
}
