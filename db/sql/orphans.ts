/**
 * Orphans: objects that nobody committed. A candidate is remembered with the time at which it was first seen, by the
 * clock of this server; what is committed meanwhile is no candidate any more. An orphan is retired by the row of
 * `object_ids` that every commit must insert first: whoever is first decides, so that a commit in flight either has
 * the object for good or is refused for good. Only then it gets a tombstone.
 */
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'

export interface OrphanSearch {
  /** Last key that was looked at; empty at the start of a pass. */
  readonly cursor: string
  readonly isDue: boolean
  readonly candidates: number
}

export async function readOrphanSearch(sql: SqlSession): Promise<OrphanSearch> {
  const [row] = await sql<{ cursor: string; is_due: boolean; candidates: number }[]>`
    select orphan_cursor as cursor, orphan_cursor <> '' or orphan_pass_due_at <= now() as is_due,
      (select count(*) from orphan_candidates) as candidates
    from recovery_state`
  return { cursor: row!.cursor, isDue: row!.is_due, candidates: row!.candidates }
}

/** One slice of the listing: what no commit knows becomes a candidate. `cursor` '' ends the pass. */
export async function noteSlice(
  sql: SqlSession,
  slice: { readonly objectIds: readonly string[]; readonly cursor: string; readonly passIntervalMs: number },
): Promise<void> {
  await sql`
    with seen as (
      insert into orphan_candidates (object_id)
      select k.id from unnest(${slice.objectIds}::text[]) as k(id)
      where not exists (select from object_ids i where i.id = k.id)
      order by k.id on conflict (object_id) do nothing
    )
    update recovery_state set orphan_cursor = ${slice.cursor}, orphan_pass_due_at = case ${slice.cursor}
      when '' then now() + ${slice.passIntervalMs}::float8 * interval '1 millisecond' else orphan_pass_due_at end`
}

/** What was committed or retired since it was seen. */
export async function forgetCandidates(sql: SqlSession, limit: number): Promise<number> {
  const result = await sql`
    with known as materialized (
      select c.object_id from orphan_candidates c join object_ids i on i.id = c.object_id
      order by c.object_id limit ${limit} for update of c skip locked
    )
    delete from orphan_candidates c using known where c.object_id = known.object_id`
  return result.count
}

export interface OldCandidate {
  readonly objectId: string
  readonly firstSeenMs: number
  readonly nowMs: number
}

export async function selectOldCandidates(sql: SqlSession, graceMs: number, limit: number): Promise<OldCandidate[]> {
  const rows = await sql<{ object_id: string; seen: number; now: number }[]>`
    select object_id, (extract(epoch from first_seen_at) * 1000)::float8 as seen,
      (extract(epoch from now()) * 1000)::float8 as now
    from orphan_candidates where first_seen_at <= now() - ${graceMs}::float8 * interval '1 millisecond'
    order by first_seen_at limit ${limit}`
  return rows.map((row) => ({ objectId: row.object_id, firstSeenMs: row.seen, nowMs: row.now }))
}

/** Candidates that somebody else answers for count as first seen now: they are looked at again after another grace. */
export async function deferCandidates(sql: SqlSession, objectIds: readonly string[]): Promise<void> {
  await sql`
    with held as materialized (
      select object_id from orphan_candidates where object_id = any(${objectIds}::text[])
      order by object_id for update
    )
    update orphan_candidates c set first_seen_at = now() from held where c.object_id = held.object_id`
}

/** Returns the ids that were retired: those that a commit had first are not, nor any if the lease has moved. */
export async function retireOrphans(sql: SqlSession, objectIds: readonly string[], term: LeaseTerm): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    with lease as materialized (
      select 1 from leases
      where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
      for share
    ), healthy as materialized (
      select 1 from lease, recovery_state where behind_since is null
    ), retired as (
      insert into object_ids (id, retired_at)
      select k.id, now() from healthy, unnest(${objectIds}::text[]) as k(id) order by k.id
      on conflict (id) do nothing returning id
    ), tombstone as (
      insert into tombstones (object_id, due_at) select id, now() from retired on conflict (object_id) do nothing
    ), judged as (
      delete from orphan_candidates c using healthy where c.object_id = any(${objectIds}::text[])
    ), counted as (
      update recovery_state set orphans_retired = orphans_retired + (select count(*) from retired)
    )
    select id from retired`
  return rows.map(({ id }) => id)
}

/** Ids of the retired list that are old enough, once their objects are gone. */
export async function forgetRetired(sql: SqlSession, limits: { ageMs: number; batchRows: number }): Promise<number> {
  const result = await sql`
    with old as materialized (
      select i.id from object_ids i
      where i.retired_at < now() - ${limits.ageMs}::float8 * interval '1 millisecond'
        and not exists (select from tombstones t where t.object_id = i.id)
        and not exists (select from objects o where o.id = i.id)
      order by i.retired_at limit ${limits.batchRows} for update of i skip locked
    )
    delete from object_ids i using old where i.id = old.id`
  return result.count
}
