/** Who holds which duty's lease by the database's clock. One that has run out shows its last holder. */
import type { LeaseStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

/** They are tens; more by mistake must not make the page unreadable. */
const ROWS_MAX = 200

export async function selectLeases(sql: SqlSession): Promise<LeaseStatus[]> {
  const rows = await sql<
    { name: string; holder: string; epoch: number; since_ms: number; expires_ms: number; is_held: boolean }[]
  >`
    select name, holder, epoch, floor(extract(epoch from acquired_at) * 1000)::float8 as since_ms,
      floor(extract(epoch from expires_at) * 1000)::float8 as expires_ms, expires_at > now() as is_held
    from leases order by name limit ${ROWS_MAX}`
  return rows.map((row) => ({
    name: row.name,
    holder: row.holder,
    epoch: row.epoch,
    sinceMs: row.since_ms,
    expiresMs: row.expires_ms,
    isHeld: row.is_held,
  }))
}
