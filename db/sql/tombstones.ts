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

export interface RefusedDeletion extends TombstoneClaim {
  readonly reason: string
}

/**
 * Only the exact claim confirms. The rows of the object's datasets go with it: until then a deletion of their tenant found
 * the object by them. Returns how many tombstones were forgotten.
 */
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
    ), dataset as (
      delete from datasets d using held where d.object_id = held.object_id and not d.is_live
    )
    update objects o set deleted_at = now() from forgotten where o.id = forgotten.object_id returning o.id`
  return rows.length
}

/** A minute, two, … an hour: a store that allows no delete is asked 24 times a day an object, and says why. */
const RETRY_BASE_MS = 60_000
const RETRY_MAX_MS = 3_600_000
const RETRY_DOUBLINGS_MAX = 6
const REASON_CHARS_MAX = 300

/** Claims that the store refused wait longer each time, with the reason; others are not held up by them (H24). */
export async function deferTombstones(
  sql: SqlSession,
  request: { readonly holder: string; readonly refused: readonly RefusedDeletion[] },
): Promise<number> {
  const { holder, refused } = request
  if (refused.length === 0) return 0
  const result = await sql`
    with held as materialized (
      select t.object_id, d.reason
      from unnest(${refused.map((d) => d.objectId)}::text[], ${refused.map((d) => d.epoch)}::bigint[],
        ${refused.map((d) => d.reason.slice(0, REASON_CHARS_MAX))}::text[]) as d(object_id, epoch, reason)
      join tombstones t on t.object_id = d.object_id
      where t.epoch = d.epoch and t.holder = ${holder}
      order by t.object_id for update of t
    )
    update tombstones t set failures = t.failures + 1, reason = held.reason, holder = null, expires_at = null,
      due_at = now() + interval '1 millisecond' * least(${RETRY_MAX_MS}::float8,
        ${RETRY_BASE_MS}::float8 * power(2::float8, least(t.failures, ${RETRY_DOUBLINGS_MAX}::int)))
    from held where t.object_id = held.object_id`
  return result.count
}
