/**
 * Steps that queries stand behind pushes where both want the same core. On Linux the call is for the calling thread and
 * those that it starts; elsewhere it would be for the whole process, and is not made. Across control groups it means
 * nothing: there the shares of the groups decide.
 */
import { getPriority, setPriority } from 'node:os'

/** A query of seconds may take 1.5 times as long, a push that waits for it ten. */
const QUERY_NICENESS = 5

export function standBehindPushes(): void {
  // What is nicer already stays so: going back is not allowed.
  if (process.platform === 'linux' && getPriority(0) < QUERY_NICENESS) setPriority(0, QUERY_NICENESS)
}
