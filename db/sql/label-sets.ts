/** Distinct label sets of tenants over data hours. One more than the limit is fetched: the caller refuses, never cuts. */
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '../client.ts'

export async function selectLabelSets(
  sql: SqlSession,
  request: LabelSetsRequest,
  limit: number,
): Promise<{ pairs: string[] }[]> {
  const rows = await sql<{ pairs: string[] }[]>`
    select distinct on (hash) pairs from label_sets
    where tenant = any(${request.tenants}::text[])
      and window_start_ms > ${request.startMs}::bigint - ${MS_PER_HOUR} and window_start_ms <= ${request.endMs}
    order by hash limit ${limit + 1}`
  return [...rows]
}
