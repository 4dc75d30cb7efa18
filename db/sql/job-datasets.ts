/** The datasets that an open job was planned with, as planning sees them: by object, then position. */
import type { JobDataset } from '#core/compaction/after-failure.ts'
import type { SqlSession } from '../client.ts'

export interface HeldDataset extends JobDataset {
  /** Of the object. */
  readonly level: number
}

/** A dataset whose row has gone keeps its place, with what is known: an object id and a position. */
export async function selectJobDatasets(sql: SqlSession, jobId: string): Promise<HeldDataset[]> {
  const rows = await sql<
    {
      object_id: string
      level: number | null
      index: number
      tenant: string | null
      service: string | null
      window_start_ms: number | null
      size_bytes: number | null
    }[]
  >`
    select js.object_id, o.level, i.index, coalesce(s.tenant[i.index + 1], d.tenant) as tenant,
      coalesce(s.service[i.index + 1], d.service) as service,
      coalesce(s.window_start_ms[i.index + 1], d.window_start_ms) as window_start_ms,
      coalesce(s.dataset_size_bytes[i.index + 1], d.size_bytes) as size_bytes
    from job_sources js cross join lateral unnest(js.indexes) as i(index)
    left join objects o on o.id = js.object_id
    left join segments s on s.created_at = o.created_at and s.object_id = o.id
    left join lateral (
      select * from datasets e where e.object_id = js.object_id and e.dataset_index = i.index limit 1
    ) as d on true
    where js.job_id = ${jobId}::bigint
    order by js.object_id, i.index`
  return rows.map((row) => ({
    objectId: row.object_id,
    level: row.level ?? 0,
    index: row.index,
    tenant: row.tenant ?? '',
    service: row.service ?? '',
    windowStartMs: row.window_start_ms ?? 0,
    sizeBytes: row.size_bytes ?? 0,
  }))
}
