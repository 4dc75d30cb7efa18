/**
 * The oldest transaction of this database whose snapshot or writes keep vacuum from removing what has died since: queues,
 * which change all their rows, grow meanwhile. Sessions of other users are seen by whoever may (`pg_read_all_stats`);
 * prepared transactions by all.
 */
import type { OldTransaction } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

/** Statements of the product take 5 s at most; a dump of the database is seen after this. */
const AGE_MIN_SECONDS_DEFAULT = 10
const NAME_CHARS_MAX = 100

export async function selectOldTransaction(
  sql: SqlSession,
  options: { readonly ageMinSeconds?: number } = {},
): Promise<OldTransaction | undefined> {
  const { ageMinSeconds = AGE_MIN_SECONDS_DEFAULT } = options
  const [row] = await sql<{ pid: number; application: string; user: string; state: string; since_ms: number }[]>`
    with open as (
      select a.pid, a.application_name as application, a.usename::text as user, a.state, a.xact_start as since
      from pg_stat_activity a
      where a.datname = current_database() and (a.backend_xmin is not null or a.backend_xid is not null)
        and a.backend_type <> 'autovacuum worker'
      union all
      select 0, p.gid, p.owner::text, 'prepared', p.prepared from pg_prepared_xacts p where p.database = current_database()
    )
    select pid, left(coalesce(application, ''), ${NAME_CHARS_MAX}) as application, coalesce("user", '') as "user",
      coalesce(state, '') as state, floor(extract(epoch from since) * 1000)::float8 as since_ms
    from open where since < now() - ${ageMinSeconds}::float8 * interval '1 second' order by since limit 1`
  if (row === undefined) return undefined
  const { since_ms: sinceMs, ...rest } = row
  return { ...rest, sinceMs }
}
