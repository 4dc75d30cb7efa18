/** Recording rules and settings of a deleted tenant that were there when it was deleted; what was stored since is the next life's. */
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

/** At most 25 rules and 100 settings a tenant: one statement. Returns when the deletion was asked for; undefined if the lease has moved. */
export async function removeRecordingRules(
  sql: SqlSession,
  request: { readonly term: LeaseTerm; readonly deletionId: number },
): Promise<number | undefined> {
  const [row] = await sql<{ requested_ms: number }[]>`
    with lease as materialized (${heldLease(sql, request.term)}),
    deletion as materialized (
      select tenant, requested_at from lease, tenant_deletions where id = ${request.deletionId}::bigint
    ), removed as (
      delete from recording_rules r using deletion d where r.tenant = d.tenant and r.changed_at < d.requested_at
    ), forgotten as (
      delete from tenant_settings s using deletion d where s.tenant = d.tenant and s.changed_at < d.requested_at
    )
    select (extract(epoch from requested_at) * 1000)::float8 as requested_ms from deletion`
  return row?.requested_ms
}
