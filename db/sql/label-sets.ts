/**
 * Distinct label sets of tenants over data hours: whole, reduced to named labels, or their label names alone. Reducing
 * happens here, so that one label with a value per request costs those who ask for it, and nobody else.
 *
 * One more than the limit is fetched: the caller refuses, never cuts. Sets repeat from hour to hour, and taking a set
 * apart costs more than finding repeats: the hashes of all hours come first, by the key alone, then one row of each. Of a
 * tenant with 10,000 sets an hour a day's 240,000 rows were sorted on disk.
 *
 * An hour that has its fill keeps a row without a name for the sets that were left out. Every answer that comes over it
 * has that row, so that it is not taken for all.
 */
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '../client.ts'

/**
 * Of a tenant in a data hour: 10,000 series with their types are a large service mesh; more are labels with a value per
 * request, which 200 bytes a set and hour would keep for as long as the data. A commit may go past it by what it brings.
 */
export const LABEL_SETS_PER_HOUR_MAX = 10_000

/** Of the row that stands for sets that were left out. No label has an empty name, no set this hash. */
export const CUT_HOUR_HASH = '00000000-0000-0000-0000-000000000000'
export const CUT_HOUR_PAIRS = ['', '']

/** The answer is not all there is. */
export function isCut(sets: readonly { readonly pairs: readonly string[] }[]): boolean {
  return sets.some(({ pairs }) => pairs[0] === '')
}

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

/**
 * Odd elements are names. An element at n belongs to the pair whose name is at n - 1 + n % 2. Of one name the first place
 * where its text stands is enough, unless that is another label's value.
 */
function selectReduced(sql: SqlSession, request: LabelSetsRequest, fetched: number) {
  const picked = sql`array(
      select element.text from unnest(whole.pairs) with ordinality as element(text, n)
      where whole.pairs[n - 1 + n % 2] = any(${request.names}::text[]) order by n
    )`
  const [name] = request.names
  const reduced =
    request.names.length > 1
      ? sql`case when whole.pairs[1] = '' then whole.pairs else ${picked} end`
      : sql`case
          when whole.pairs[1] = '' then whole.pairs
          when first.at is null then '{}'
          when first.at % 2 = 1 then whole.pairs[first.at : first.at + 1]
          else ${picked} end`
  return sql<{ pairs: string[] }[]>`
    select distinct ${reduced} as pairs
    from ${wholeSets(sql, request)} as whole
    cross join lateral (select array_position(whole.pairs, ${name!}::text) as at) as first
    limit ${fetched}`
}

function selectNames(sql: SqlSession, request: LabelSetsRequest, fetched: number) {
  return sql<{ pairs: string[] }[]>`
    select array[name, ''] as pairs from (
      select distinct element.text as name
      from ${wholeSets(sql, request)} as whole, unnest(whole.pairs) with ordinality as element(text, n)
      where n % 2 = 1 limit ${fetched}
    ) as named`
}

/**
 * The newest row of each set. That no tenant of the question was ever deleted is found out once, not row by row. Rows of
 * one hash have the same pairs, whatever their incarnation.
 */
function wholeSets(sql: SqlSession, { tenants, startMs, endMs }: LabelSetsRequest) {
  const once = tenants.length > 1 ? sql`distinct on (f.hash)` : sql``
  return sql`(
    with found as materialized (
      select l.tenant, l.hash, max(l.window_start_ms) as window_start_ms
      from label_sets l
      where l.tenant = any(${tenants}::text[])
        and l.window_start_ms > ${startMs}::bigint - ${MS_PER_HOUR} and l.window_start_ms <= ${endMs}
        and (
          not exists (select from tenant_incarnations i where i.tenant = any(${tenants}::text[]))
          or not exists (
            select from tenant_incarnations i where i.tenant = l.tenant and l.incarnation < i.live_from
          )
        )
      group by l.tenant, l.hash
    )
    select ${once} newest.pairs
    from found f cross join lateral (
      select l.pairs from label_sets l
      where l.tenant = f.tenant and l.window_start_ms = f.window_start_ms and l.hash = f.hash limit 1
    ) as newest
  )`
}
