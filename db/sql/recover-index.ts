/** What the index holds of objects, for the comparison with their footers. */
import type { LineageDataset } from '#core/recovery/lineage.ts'
import type { SqlSession } from '../client.ts'

export interface IndexedObject {
  readonly objectId: string
  readonly level: number
  /** By position; one that has no row any more has no profiles. */
  readonly datasets: readonly LineageDataset[]
  readonly live: readonly number[]
}

interface Row {
  id: string
  level: number
  index: number | null
  tenant: string
  service: string
  profiles: number
  is_live: boolean
}

/** Those of the ids that are registered; retired before any commit = nothing of it is live. */
export async function selectIndexed(sql: SqlSession, objectIds: readonly string[]): Promise<IndexedObject[]> {
  const rows = await sql<Row[]>`
    select k.id, coalesce(o.level, 0) as level, d.index, d.tenant, d.service, d.profiles, d.is_live
    from unnest(${objectIds}::text[]) as k(id)
    join object_ids i on i.id = k.id
    left join objects o on o.id = k.id
    left join lateral (
      select (u.n - 1)::int as index, u.tenant, u.service, get_bit(s.live, (u.n - 1)::int) = 1 as is_live,
        u.profile_count - (select count(*) from unnest(s.skip_dataset) as k(n) where k.n = u.n - 1) as profiles
      from segments s
      cross join lateral unnest(s.tenant, s.service, s.profile_count) with ordinality as u(tenant, service, profile_count, n)
      where s.created_at = o.created_at and s.object_id = o.id
      union all
      select d.dataset_index, d.tenant, d.service, d.is_live, d.profile_count - cardinality(d.skip_positions)
      from datasets d where d.object_id = o.id
    ) as d on true`
  const byId = new Map<string, { level: number; datasets: LineageDataset[]; live: Set<number> }>()
  for (const row of rows) {
    const object = byId.get(row.id) ?? { level: row.level, datasets: [], live: new Set<number>() }
    byId.set(row.id, object)
    if (row.index === null) continue
    while (object.datasets.length <= row.index) object.datasets.push({ tenant: '', service: '', profileCount: 0 })
    object.datasets[row.index] = { tenant: row.tenant, service: row.service, profileCount: row.profiles }
    if (row.is_live) object.live.add(row.index)
  }
  return [...byId].map(([objectId, { level, datasets, live }]) => ({
    objectId,
    level,
    datasets,
    live: [...live].sort((a, b) => a - b),
  }))
}
