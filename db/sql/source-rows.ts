/** Rows of datasets, one per dataset whatever its table, and their grouping into objects as the contract names them. */
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'

export interface DatasetRow {
  object_id: string
  level: number
  object_size_bytes: number
  dataset_index: number
  tenant: string
  service: string
  window_start_ms: number
  window_ms: number
  min_time_ms: number
  max_time_ms: number
  dataset_offset: number
  size_bytes: number
  head_bytes: number
  profile_count: number
  sample_count: number
  skip: number[]
}

/** Columns of DatasetRow from `datasets d`. */
export function datasetColumns(sql: SqlSession) {
  return sql`d.object_id, d.level, d.object_size_bytes, d.dataset_index, d.tenant, d.service, d.window_start_ms,
    d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes, d.head_bytes, d.profile_count,
    d.sample_count, d.skip_positions as skip`
}

/** Columns of DatasetRow from `segments s` and its unpacked arrays `d` (see unpackedDatasets). */
export function segmentColumns(sql: SqlSession) {
  return sql`s.object_id, 0 as level, s.size_bytes as object_size_bytes, (d.n - 1)::int as dataset_index, d.tenant,
    d.service, d.window_start_ms, d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes,
    d.head_bytes, d.profile_count, d.sample_count,
    case when cardinality(s.skip_dataset) = 0 then '{}'::int[] else array(
      select k.position from unnest(s.skip_dataset, s.skip_position) as k(dataset, position)
      where k.dataset = d.n - 1 order by k.position
    ) end as skip`
}

/** The packed arrays of `segments s` as rows `d`; n counts from 1. */
export function unpackedDatasets(sql: SqlSession) {
  return sql`unnest(s.tenant, s.service, s.window_start_ms, s.window_ms, s.dataset_min_time_ms, s.dataset_max_time_ms,
      s.dataset_offset, s.dataset_size_bytes, s.head_bytes, s.profile_count, s.sample_count)
    with ordinality as d(tenant, service, window_start_ms, window_ms, min_time_ms, max_time_ms,
      dataset_offset, size_bytes, head_bytes, profile_count, sample_count, n)`
}

/** Objects by id, datasets by index: an answer does not depend on the order in which Postgres found the rows. */
export function groupBySource(rows: readonly DatasetRow[]): SourceObject[] {
  const byId = new Map<string, SourceObject>()
  for (const row of rows) {
    let object = byId.get(row.object_id)
    if (object === undefined) {
      object = { objectId: row.object_id, level: row.level, sizeBytes: row.object_size_bytes, datasets: [] }
      byId.set(row.object_id, object)
    }
    object.datasets.push({
      descriptor: {
        index: row.dataset_index,
        tenant: row.tenant,
        service: row.service,
        windowStartMs: row.window_start_ms,
        windowMs: row.window_ms,
        minTimeMs: row.min_time_ms,
        maxTimeMs: row.max_time_ms,
        offset: row.dataset_offset,
        sizeBytes: row.size_bytes,
        headBytes: row.head_bytes,
        profileCount: row.profile_count,
        sampleCount: row.sample_count,
      },
      skip: row.skip,
    })
  }
  const objects = [...byId.values()].sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
  for (const object of objects) object.datasets.sort((a, b) => a.descriptor.index - b.descriptor.index)
  return objects
}
