/**
 * For the journal and the rebuild: ids that a late commit must lose. Of a tenant that was deleted once the ledger keeps ids with the
 * incarnation in them, as the commit of the same segment would make them (commit-segment.ts, born and sent).
 */
import { LATE_COMMIT_MS } from '#core/retention/tenant-object.ts'
import type { SqlSession } from '../client.ts'

/** Milliseconds since 1970, by the clock that ages the ledger. */
export async function readNowMs(sql: SqlSession): Promise<number> {
  const [row] = await sql<{ now: number }[]>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now`
  return row!.now
}

/**
 * From now on these profiles of the tenant are duplicates, for as long as the ledger keeps an id. `beginMs`: when the
 * segment that asks was begun, by its id. `ids`: 16 bytes each.
 */
export async function insertCountedIds(
  sql: SqlSession,
  counted: { readonly tenant: string; readonly beginMs: number; readonly ids: Uint8Array },
): Promise<void> {
  const { tenant, beginMs, ids } = counted
  await sql`
    with born as materialized (
      select case when ${beginMs}::float8 + ${LATE_COMMIT_MS} <= extract(epoch from died_at) * 1000
        then live_from - 1 else incarnation end as incarnation
      from tenant_incarnations where tenant = ${tenant}
    )
    insert into profile_ids (id)
    select distinct case when b.incarnation > 1 then substring(sha256(i.id || int4send(b.incarnation)) for 16) else i.id end
    from generate_series(0, ${ids.length / 16 - 1}::int) as n
    cross join lateral (select substring(${ids}::bytea from n * 16 + 1 for 16) as id) as i
    left join born b on true
    order by 1
    on conflict (id) do nothing`
}
