/**
 * From the writer's verdicts to one answer, as a pure function: all stored, duplicate or empty is success; otherwise
 * the first rejection decides the code and all messages are joined, because the caller sees nothing else.
 */
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND } from '#core/errors.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'

/** A request may hold thousands of profiles with one and the same fault; past this the rest is counted. */
const MESSAGES_MAX = 16

/** Undefined if nothing was rejected. */
export function errorOfVerdicts(verdicts: readonly ProfileVerdict[]): CinderError | undefined {
  const rejected = verdicts.filter((verdict) => verdict.status === 'rejected')
  const first = rejected[0]
  if (first === undefined) return undefined
  const messages = [...new Set(rejected.map((verdict) => verdict.message))]
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

export function kindOfVerdict({ kind }: ProfileVerdict): ErrorKind {
  return kindOf(kind)
}

/** A writer of a later version may know kinds that this process does not. */
function kindOf(kind: string): ErrorKind {
  return Object.hasOwn(HTTP_STATUS_BY_KIND, kind) ? (kind as ErrorKind) : 'unknown'
}
