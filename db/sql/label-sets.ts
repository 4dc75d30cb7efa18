/**
 * Distinct label sets of tenants over data hours: whole, reduced to named labels, or their label names alone. Reducing
 * happens here, so that one label with a value per request costs those who ask for it, and nobody else.
 *
 * One more than the limit is fetched: the caller refuses, never cuts. Sets repeat from hour to hour, and taking a set
 * apart costs more than sorting it (7 against 1 µs): repeats go first, by hash.
 */
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '../client.ts'

export async function selectLabelSets(
  sql: SqlSession,
  request: LabelSetsRequest,
  limit: number,
): Promise<{ pairs: string[] }[]> {
  const fetched = limit + 1
  if (request.namesOnly) return [...(await selectNames(sql, request, fetched))]
  if (request.names.length > 0) return [...(await selectReduced(sql, request, fetched))]
  return [...(await sql<{ pairs: string[] }[]>`select pairs from ${wholeSets(sql, request)} as whole limit ${fetched}`)]
}

/** Odd elements are names. An element at n belongs to the pair whose name is at n - 1 + n % 2. */
function selectReduced(sql: SqlSession, request: LabelSetsRequest, fetched: number) {
  return sql<{ pairs: string[] }[]>`
    select distinct array(
      select element.text from unnest(whole.pairs) with ordinality as element(text, n)
      where whole.pairs[n - 1 + n % 2] = any(${request.names}::text[]) order by n
    ) as pairs
    from ${wholeSets(sql, request)} as whole limit ${fetched}`
}

function selectNames(sql: SqlSession, request: LabelSetsRequest, fetched: number) {
  return sql<{ pairs: string[] }[]>`
    select array[name, ''] as pairs from (
      select distinct element.text as name
      from ${wholeSets(sql, request)} as whole, unnest(whole.pairs) with ordinality as element(text, n)
      where n % 2 = 1 limit ${fetched}
    ) as named`
}

function wholeSets(sql: SqlSession, { tenants, startMs, endMs }: LabelSetsRequest) {
  return sql`(
    select distinct on (hash) pairs from label_sets
    where tenant = any(${tenants}::text[])
      and window_start_ms > ${startMs}::bigint - ${MS_PER_HOUR} and window_start_ms <= ${endMs}
      and not exists (
        select from tenant_incarnations i where i.tenant = label_sets.tenant and label_sets.incarnation < i.live_from
      )
    order by hash
  )`
}
