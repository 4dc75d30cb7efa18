/** Whether this database is behind its bucket, and what run mends, compares or copies it now. */
import type { RestoreStatus } from '#core/rpc/status.ts'
import { formatCount } from '#core/status/words.ts'
import type { SqlSession } from '../client.ts'

interface RestoreRow {
  readonly behind_ms: number | null
  readonly behind_reason: string | null
  readonly kind: string | null
  readonly phase: string | null
  readonly done: number | null
  readonly total: number | null
}

export async function selectRestore(sql: SqlSession): Promise<RestoreStatus> {
  const [row] = await sql<RestoreRow[]>`
    select floor(extract(epoch from s.behind_since) * 1000)::float8 as behind_ms, s.behind_reason,
      r.kind, r.phase, r.done::float8, r.total::float8
    from recovery_state s
    left join lateral (select * from recovery_runs where state = 'running' order by created_at limit 1) r on true`
  if (row === undefined) return { state: 'none', words: '', sinceMs: 0 }
  const run = row.kind === null ? '' : `${row.kind} runs (${row.phase}: ${progressOf(row)})`
  if (row.behind_ms === null) return { state: 'none', words: run, sinceMs: 0 }
  const why = `the database is behind the bucket: ${row.behind_reason ?? 'it was restored'}`
  const advice = run === '' ? 'nothing is deleted until cinder fsck --repair has run' : run
  return { state: 'behind', words: `${why}; ${advice}`, sinceMs: row.behind_ms }
}

function progressOf({ done, total }: RestoreRow): string {
  return `${formatCount(done ?? 0)} of ${formatCount(total ?? 0)}`
}
