/**
 * The queue of deletions: an object whose last dataset retired, due after its grace. Claims are leases with an epoch.
 * Confirming forgets the tombstone and dates the object's row; that row stays for replays until the cleaner drops it.
 */
import type { SqlSession } from '../client.ts'

export interface TombstoneClaim {
  readonly objectId: string
  readonly epoch: number
}

export async function claimTombstones(
  sql: SqlSession,
  request: { readonly holder: string; readonly limit: number; readonly leaseMs: number },
): Promise<TombstoneClaim[]> {
  const rows = await sql<{ object_id: string; epoch: number }[]>`
    with due as materialized (
      select object_id from tombstones
      where due_at <= now() and (expires_at is null or expires_at <= now())
      order by due_at limit ${request.limit} for update skip locked
    )
    update tombstones t set holder = ${request.holder}, epoch = t.epoch + 1,
      expires_at = now() + ${request.leaseMs}::float8 * interval '1 millisecond'
    from due where t.object_id = due.object_id
    returning t.object_id, t.epoch`
  return rows
    .map((row) => ({ objectId: row.object_id, epoch: row.epoch }))
    .sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
}

/** Only the exact claim confirms. Returns how many tombstones were forgotten. */
export async function confirmDeleted(
  sql: SqlSession,
  request: { readonly holder: string; readonly deleted: readonly TombstoneClaim[] },
): Promise<number> {
  if (request.deleted.length === 0) return 0
  const rows = await sql`
    with held as materialized (
      select t.object_id
      from unnest(${request.deleted.map((d) => d.objectId)}::text[], ${request.deleted.map((d) => d.epoch)}::bigint[])
        as d(object_id, epoch)
      join tombstones t on t.object_id = d.object_id
      where t.epoch = d.epoch and t.holder = ${request.holder}
      order by t.object_id for update of t
    ), forgotten as (
      delete from tombstones t using held where t.object_id = held.object_id returning t.object_id
    )
    update objects o set deleted_at = now() from forgotten where o.id = forgotten.object_id returning o.id`
  return rows.length
}
