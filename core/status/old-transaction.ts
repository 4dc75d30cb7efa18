/** The concern about a transaction that keeps vacuum waiting: who it is, and since when. Pure. */
import type { Concern, StatusReport } from '../rpc/status.ts'
import { MS_PER_MINUTE } from '../units.ts'
import { formatAge } from './words.ts'

/** Claims stay quick beside it, tables grow: at 800 changes a second 240,000 dead rows by then. A dump takes longer at times. */
export const OLD_TRANSACTION_MS = 5 * MS_PER_MINUTE

export function oldTransactionConcern({ database, nowMs }: StatusReport): Concern[] {
  const { oldTransaction } = database
  if (oldTransaction === undefined || nowMs - oldTransaction.sinceMs < OLD_TRANSACTION_MS) return []
  const { pid, application, user, state, sinceMs } = oldTransaction
  const name = application === '' ? 'an unnamed client' : application
  const who = pid === 0 ? `${name} of ${user} (prepared)` : `${name} of ${user} (process ${pid}, ${state})`
  const end = pid === 0 ? 'commit or roll it back' : `end it, or select pg_terminate_backend(${pid})`
  const text = `a transaction of ${who} is open for ${formatAge(nowMs - sinceMs)} and keeps dead rows in the tables: ${end}`
  return [{ severity: 'warning', subject: 'database', text }]
}
