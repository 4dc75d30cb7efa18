/**
 * From the writer's verdicts to one answer, as a pure function: all stored, duplicate or empty is success; otherwise
 * a rejection that a retry mends decides the code, because the retry of the whole stores nothing twice and no retry would
 * lose what it mends; else the first. All messages are joined, because the caller sees nothing else.
 */
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND, isRetryable } from '#core/errors.ts'
import { getLabel, LABEL_SERVICE_NAME } from '#core/labels/labels.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'

/** A request may hold thousands of profiles with one and the same fault; past this the rest is counted. */
const MESSAGES_MAX = 16
/** Longer names are refused anyway, and their message is about that. */
const NAME_CHARS_MAX = 100

/** Undefined if nothing was rejected. `series`: of the request, in the order of the verdicts. */
export function errorOfVerdicts(
  verdicts: readonly ProfileVerdict[],
  series: readonly WriteSeries[] = [],
): CinderError | undefined {
  const rejected = verdicts.filter((verdict) => verdict.status === 'rejected')
  const first = rejected.find(({ kind }) => isRetryable(kindOf(kind))) ?? rejected[0]
  if (first === undefined) return undefined
  const messages = messagesOf(verdicts, servicesOf(series))
  const shown = messages.slice(0, MESSAGES_MAX)
  if (messages.length > MESSAGES_MAX) shown.push(`and ${messages.length - MESSAGES_MAX} more`)
  // Not as arguments of one call: a request may hold more profiles than a stack.
  const retryAfterMs = rejected.reduce((most, verdict) => Math.max(most, verdict.retryAfterMs), 0)
  return new CinderError(kindOf(first.kind), shown.join('\n'), {
    reason: first.reason,
    outcome: rejected.length === verdicts.length ? 'not-applied' : 'unknown',
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  })
}

function messagesOf(verdicts: readonly ProfileVerdict[], services: readonly string[]): string[] {
  const messages = new Set<string>()
  for (const [i, { status, message }] of verdicts.entries()) {
    if (status === 'rejected') messages.add(services[i] === undefined ? message : `${services[i]}: ${message}`)
  }
  return [...messages]
}

/** Of each profile; none where a request has one service, whose agent knows which. */
function servicesOf(series: readonly WriteSeries[]): string[] {
  const names = series.map(({ labels }) => getLabel(labels, LABEL_SERVICE_NAME))
  if (new Set(names).size < 2) return []
  return series.flatMap(({ profiles }, i) =>
    profiles.map(() => `service ${JSON.stringify(names[i]!.slice(0, NAME_CHARS_MAX))}`),
  )
}

export function kindOfVerdict({ kind }: ProfileVerdict): ErrorKind {
  return kindOf(kind)
}

/** A writer of a later version may know kinds that this process does not. */
function kindOf(kind: string): ErrorKind {
  return Object.hasOwn(HTTP_STATUS_BY_KIND, kind) ? (kind as ErrorKind) : 'unknown'
}
