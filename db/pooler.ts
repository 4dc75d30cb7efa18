/**
 * Whether a connection pooler stands between us and Postgres. PgBouncer in transaction mode gives each transaction another
 * session: prepared statements, LISTEN, settings and locks of a session are then lost, or somebody else's.
 *
 * One connection, opened as ours are, tells by the first of these:
 * 1. It is refused because of a setting at its start (08P01): Postgres takes those, PgBouncer does not know them.
 * 2. The process id that the greeting named is not the one that runs the statement: the greeting was a pooler's own.
 * 3. A setting from the start of the session is not there: somebody swallowed it.
 * Session mode looks the same and is treated so: it costs us only prepared statements.
 */
import { type ClientSettings, createSql } from './client.ts'
import { codeOf } from './errors.ts'

/** Undefined: none. Else what gave it away, for people. */
export type Pooler = string | undefined

/** No default of anything. */
const MARK_MS = 5_003

export async function detectPooler(settings: ClientSettings): Promise<Pooler> {
  const sql = createSql({ ...settings, name: 'probe', maxConnections: 1, statementTimeoutMs: MARK_MS })
  try {
    const result = await sql<{ pid: number; timeout: string }[]>`
      select pg_backend_pid() as pid, (select setting from pg_settings where name = 'statement_timeout') as timeout`
    const [row] = result
    if (row?.pid !== result.state.pid) return 'the session answers under another process id than it was opened with'
    if (row.timeout !== String(MARK_MS)) return 'settings of a session do not reach the server'
    return undefined
  } catch (error) {
    const isRefused = codeOf(error) === '08P01' && /startup parameter/.test(String(error))
    if (isRefused) return 'settings of a session are refused'
    throw error
  } finally {
    await sql.end({ timeout: 1 }).catch(() => undefined)
  }
}
