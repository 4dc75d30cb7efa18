/** Writers with what they say of themselves, and the row of the placement table, for the status report. */
import type { WriterStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

/** A page of more is not read; their number is in the table. */
const ROWS_MAX = 200

/** `slots` is of the table, which this statement does not read. */
export async function selectWriters(sql: SqlSession): Promise<Omit<WriterStatus, 'slots'>[]> {
  const rows = await sql<Omit<WriterStatus, 'slots'>[]>`
    select w.writer_id as "writerId", w.address, w.epoch,
      floor(extract(epoch from w.expires_at) * 1000)::float8 as "expiresMs",
      case when w.expires_at <= now() then 'away' else w.state end as state,
      floor(extract(epoch from w.registered_at) * 1000)::float8 as "registeredMs",
      coalesce((select sum(b) from unnest(r.bytes_per_second) as b), 0)
        + coalesce(r.rest_bytes_per_second, 0) as "bytesPerSecond",
      coalesce((select sum(p) from unnest(r.profiles_per_second) as p), 0)
        + coalesce(r.rest_profiles_per_second, 0) as "profilesPerSecond"
    from writers w left join writer_rates r using (writer_id)
    order by w.writer_id limit ${ROWS_MAX}`
  return rows.map((row) => ({ ...row }))
}

export async function selectPlacementRow(
  sql: SqlSession,
): Promise<{ readonly content: string; readonly state: string; readonly changedMs: number } | undefined> {
  const [row] = await sql<{ content: string; state: string; changedMs: number }[]>`
    select content, state, floor(extract(epoch from changed_at) * 1000)::float8 as "changedMs" from placement`
  return row
}
