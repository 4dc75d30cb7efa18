/**
 * Deadlines of callers that are further away than a timer can run. Both headers may name years (ten digits of milliseconds,
 * eight of hours), and the timers of most runtimes end after a millisecond where they are given more than 2^31 - 1 of
 * them: such a call would fail at once, for all time. It has no deadline here; a call does not last for 24 days.
 *
 * It must not judge what is no timeout: that is for who parses it.
 */

/** 24.8 days: what a timer holds. */
const TIMER_MAX_MS = 2_147_483_647

/** Of gRPC: hours, minutes, seconds; what eight digits of smaller units name is within the bound. */
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000 }

/** The same headers, or a copy without the timeout. */
export function withoutLongTimeout(headers: Headers): Headers {
  const names = ['connect-timeout-ms', 'grpc-timeout'].filter((name) => isLong(headers.get(name) ?? ''))
  if (names.length === 0) return headers
  const copy = new Headers(headers)
  for (const name of names) copy.delete(name)
  return copy
}

/** Ten digits alone are of Connect, eight and a unit of gRPC. */
function isLong(timeout: string): boolean {
  const [, digits, unit] = /^(\d{1,10})$/.exec(timeout) ?? /^(\d{1,8})([HMS])$/.exec(timeout) ?? []
  return digits !== undefined && Number(digits) * (unit === undefined ? 1 : UNIT_MS[unit]!) > TIMER_MAX_MS
}
