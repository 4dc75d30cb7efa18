/**
 * What would go below a bound: live datasets of a scope and what they hold. Packed segments are counted too. It reads the
 * live rows of the scope below the bound and changes nothing.
 */
import type { RetentionScope } from '#core/retention/rules.ts'
import type { SqlSession } from '../client.ts'
import { unpackedDatasets } from './source-rows.ts'

export interface ExpiryPreview {
  readonly datasets: number
  /** Objects that hold them; one that is shared stays until its last dataset goes. */
  readonly objects: number
  readonly bytes: number
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
}

/** `exceptServices`, `exceptTenants`: those have a rule of their own. */
export interface PreviewRequest extends RetentionScope {
  readonly boundMs: number
  readonly exceptServices: readonly string[]
  readonly exceptTenants: readonly string[]
}

export async function selectExpiryPreview(sql: SqlSession, request: PreviewRequest): Promise<ExpiryPreview> {
  const { tenant, service, boundMs, exceptServices, exceptTenants } = request
  const inScope = sql`(${tenant} = '' or d.tenant = ${tenant}) and (${service} = '' or d.service = ${service})
    and d.max_time_ms < ${boundMs}::bigint
    and not d.tenant = any(${exceptTenants}::text[]) and not d.service = any(${exceptServices}::text[])`
  const [row] = await sql<
    { datasets: number; objects: number; bytes: number; oldest: number | null; newest: number | null }[]
  >`
    select count(*)::int as datasets, count(distinct object_id)::int as objects,
      coalesce(sum(size_bytes), 0)::float8 as bytes, min(min_time_ms) as oldest, max(max_time_ms) as newest
    from (
      select d.object_id, d.size_bytes, d.min_time_ms, d.max_time_ms from datasets d
      where d.is_live and d.window_start_ms < ${boundMs}::bigint and ${inScope}
      union all
      select s.object_id, d.size_bytes, d.min_time_ms, d.max_time_ms
      from segments s cross join lateral ${unpackedDatasets(sql)}
      where s.is_live and s.min_time_ms < ${boundMs}::bigint and get_bit(s.live, (d.n - 1)::int) = 1 and ${inScope}
    ) as below`
  const { oldest, newest, ...counts } = row!
  return { ...counts, oldestMs: oldest ?? undefined, newestMs: newest ?? undefined }
}
