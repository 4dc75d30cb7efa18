/**
 * What is on its way out: deletions of tenants that are open or ended within a day, with how far they are, and changes
 * of retention that are announced. Details are sentences for people.
 */
import type { DeletionStatus } from '#core/rpc/status.ts'
import { formatAge, formatCount, formatSize } from '#core/status/words.ts'
import type { SqlSession } from '../client.ts'

const ROWS_MAX = 100

interface TenantRow {
  readonly tenant: string
  readonly state: string
  readonly remove_ms: number
  readonly size_bytes: number
  readonly objects: number
  readonly gone: number
}

interface RetentionRow {
  readonly tenant: string
  readonly service: string
  readonly from_ms: number
  readonly now_ms: number
  readonly pending: number | null
  readonly current: number | null
}

export async function selectDeletions(sql: SqlSession): Promise<DeletionStatus[]> {
  const tenants = await sql<TenantRow[]>`
    with page as materialized (
      select * from tenant_deletions where finished_at is null or finished_at > now() - interval '1 day'
      order by id desc limit ${ROWS_MAX}
    )
    select p.tenant, p.state, floor(extract(epoch from p.remove_at) * 1000)::float8 as remove_ms,
      p.size_bytes::float8, count(o.object_id)::int as objects, count(o.gone_at)::int as gone
    from page p left join tenant_deletion_objects o on o.deletion_id = p.id
    group by p.id, p.tenant, p.state, p.remove_at, p.size_bytes order by p.id desc`
  const rules = await sql<RetentionRow[]>`
    select tenant, service, floor(extract(epoch from pending_from) * 1000)::float8 as from_ms,
      floor(extract(epoch from now()) * 1000)::float8 as now_ms,
      pending_ms::float8 as pending, retention_ms::float8 as current
    from retention_rules where pending_from is not null
    order by pending_from, tenant, service limit ${ROWS_MAX}`
  return [
    ...tenants.map((row) => ({
      kind: 'tenant',
      tenant: row.tenant,
      service: '',
      state: row.state,
      effectiveMs: row.remove_ms,
      detail: `${formatCount(row.gone)} of ${formatCount(row.objects)} objects gone, ${formatSize(row.size_bytes)}`,
    })),
    ...rules.map((row) => ({
      kind: 'retention',
      tenant: row.tenant === '' ? 'every tenant' : row.tenant,
      service: row.service,
      state: row.from_ms > row.now_ms ? 'announced' : 'takes effect',
      effectiveMs: row.from_ms,
      detail: `from ${retentionWords(row.current)} to ${retentionWords(row.pending)}; can be cancelled until then`,
    })),
  ]
}

/** The rule for everybody; undefined if there is none. */
export async function selectDefaultRetention(sql: SqlSession): Promise<number | undefined> {
  const [row] = await sql<{ retention_ms: number | null }[]>`
    select retention_ms::float8 from retention_rules where tenant = '' and service = ''`
  return row?.retention_ms ?? undefined
}

function retentionWords(retentionMs: number | null): string {
  if (retentionMs === null) return 'the default'
  return retentionMs === 0 ? 'for ever' : formatAge(retentionMs)
}
