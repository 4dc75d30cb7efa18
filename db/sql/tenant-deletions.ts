/**
 * Deletions of tenants as rows: asked for, undone, looked at. What they do to data is in tenant-removal.ts.
 *
 * A deletion raises the tenant's incarnation in one row; its commit hides everything of the incarnations below, because
 * every read and every commit asks that row. A commit whose snapshot is older writes the old number and is hidden too.
 */
import type { UndoableDeath } from '#core/retention/tenant-object.ts'
import type { Sql, SqlSession } from '../client.ts'

export type DeletionState = 'hiding' | 'hidden' | 'removing' | 'done' | 'restoring' | 'restored'

export interface DeletionRow {
  readonly id: number
  readonly tenant: string
  readonly state: DeletionState
  readonly deadBelow: number
  readonly requestedAtMs: number
  readonly removeAtMs: number
  readonly removingAtMs: number | undefined
  readonly finishedAtMs: number | undefined
  readonly datasets: number
  readonly profiles: number
  readonly bytes: number
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
  readonly labelSets: number
  /** Objects that hold its data, those of them that others share, and those that are gone from the store. */
  readonly objects: number
  readonly sharedObjects: number
  readonly goneObjects: number
  readonly isRemovalDue: boolean
}

/** Undefined: an earlier deletion is just being undone. A second call while one is open hides what came since. */
export async function beginDeletion(
  sql: Sql,
  request: { readonly tenant: string; readonly delayMs: number },
): Promise<number | undefined> {
  const { tenant, delayMs } = request
  return (await sql.begin(async (tx) => {
    await lockTenant(tx, tenant)
    // Locked, and before the incarnation, as where its removal begins: of a removal that has begun nothing is undone.
    const [open] = await tx<{ id: number; state: DeletionState }[]>`
      select id, state from tenant_deletions where tenant = ${tenant} and state in ('hiding', 'hidden', 'restoring')
      for update`
    if (open?.state === 'restoring') return undefined
    const [before] = await tx<{ live_from: number; died_at: string; is_final: boolean }[]>`
      select live_from, died_at::text as died_at, is_final from tenant_incarnations where tenant = ${tenant}`
    const [now] = await tx<{ live_from: number }[]>`
      insert into tenant_incarnations as i (tenant, incarnation, live_from, died_at) values (${tenant}, 2, 2, now())
      on conflict (tenant) do update set
        incarnation = i.incarnation + 1, live_from = i.incarnation + 1, died_at = now(), is_final = false
      returning live_from`
    const deadBelow = now!.live_from
    if (open !== undefined) {
      await tx`update tenant_deletions set state = 'hiding', dead_below = ${deadBelow} where id = ${open.id}`
      return open.id
    }
    const [made] = await tx<{ id: number }[]>`
      insert into tenant_deletions (tenant, state, dead_below, previous_live_from, previous_died_at, previous_is_final,
        remove_at)
      values (${tenant}, 'hiding', ${deadBelow}, ${before?.live_from ?? 1}, ${before?.died_at ?? null}::text::timestamptz,
        ${before?.is_final ?? false}, now() + ${delayMs}::float8 * interval '1 millisecond')
      returning id`
    return made!.id
  })) as number | undefined
}

/**
 * The deletion that is undone from now on; undefined if none can be: never asked for, its removal has begun, or it is of a
 * rebuild that came after its time and has adopted nothing of it.
 */
export async function beginRestore(sql: Sql, tenant: string): Promise<number | undefined> {
  return (await sql.begin(async (tx) => {
    await lockTenant(tx, tenant)
    const [open] = await tx<{ id: number }[]>`
      update tenant_deletions d set state = 'restoring'
      where d.tenant = ${tenant} and d.state in ('hiding', 'hidden', 'restoring') and not exists (
        select from tenant_incarnations i where i.tenant = d.tenant and i.live_from = d.dead_below and i.is_final)
      returning id`
    if (open === undefined) return undefined
    await tx`update tenant_incarnations i set live_from = d.previous_live_from,
        died_at = coalesce(d.previous_died_at, '-infinity'), is_final = d.previous_is_final
      from tenant_deletions d where d.id = ${open.id} and i.tenant = d.tenant`
    return open.id
  })) as number | undefined
}

async function lockTenant(tx: SqlSession, tenant: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended('tenant ' || ${tenant}::text, 0))`
}

/** Of a tenant (`''`: of every tenant), newest first. */
export async function selectDeletions(
  sql: SqlSession,
  request: { readonly tenant: string; readonly limit: number },
): Promise<DeletionRow[]> {
  const { tenant, limit } = request
  return await selectRows(sql, sql`where ${tenant} = '' or d.tenant = ${tenant} order by d.id desc limit ${limit}`)
}

/** Not finished, oldest first, behind the id given. */
export async function selectOpenDeletions(
  sql: SqlSession,
  request: { readonly afterId: number; readonly limit: number },
): Promise<DeletionRow[]> {
  const { afterId, limit } = request
  return await selectRows(sql, sql`where d.finished_at is null and d.id > ${afterId} order by d.id limit ${limit}`)
}

async function selectRows(sql: SqlSession, which: ReturnType<SqlSession>): Promise<DeletionRow[]> {
  const rows = await sql<(Omit<DeletionRow, NullableKey> & Record<NullableKey, number | null>)[]>`
    select d.id, d.tenant, d.state, d.dead_below as "deadBelow", ${ms(sql, 'requested_at')} as "requestedAtMs",
      ${ms(sql, 'remove_at')} as "removeAtMs", ${ms(sql, 'removing_at')} as "removingAtMs",
      ${ms(sql, 'finished_at')} as "finishedAtMs", d.dataset_count as datasets, d.profile_count as profiles,
      d.size_bytes as bytes, d.oldest_ms as "oldestMs", d.newest_ms as "newestMs", d.label_set_count as "labelSets",
      o.objects, o.shared as "sharedObjects", o.gone as "goneObjects", d.remove_at <= now() as "isRemovalDue"
    from tenant_deletions d cross join lateral (
      select count(*)::int as objects, count(*) filter (where is_shared)::int as shared, count(gone_at)::int as gone
      from tenant_deletion_objects where deletion_id = d.id
    ) as o
    ${which}`
  return rows.map((row) => ({
    ...row,
    removingAtMs: row.removingAtMs ?? undefined,
    finishedAtMs: row.finishedAtMs ?? undefined,
    oldestMs: row.oldestMs ?? undefined,
    newestMs: row.newestMs ?? undefined,
  }))
}

type NullableKey = 'removingAtMs' | 'finishedAtMs' | 'oldestMs' | 'newestMs'

function ms(sql: SqlSession, column: string) {
  return sql`floor(extract(epoch from ${sql.unsafe(`d.${column}`)}) * 1000)::float8`
}

/** What a rebuild must know of a tenant: see core/retention/tenant-object.ts. */
export async function selectTenantDeath(
  sql: SqlSession,
  tenant: string,
  alsoDeadMax: number,
): Promise<
  | {
      readonly incarnation: number
      readonly diedMs: number | undefined
      readonly objectIds: readonly string[]
      /**
       * The deletion that can be undone; `lost` are those of `objectIds` that an earlier one took: an object has one
       * incarnation of a tenant, and the later list names what is still there of the earlier too.
       */
      readonly open: UndoableDeath | undefined
    }
  | undefined
> {
  const [row] = await sql<DeathRow[]>`
    select i.incarnation, case when isfinite(i.died_at) then (extract(epoch from i.died_at) * 1000)::float8 end as died_ms,
      k.object_ids, k.lost, (extract(epoch from o.remove_at) * 1000)::float8 as remove_at_ms, o.previous_live_from,
      case when isfinite(o.previous_died_at) then (extract(epoch from o.previous_died_at) * 1000)::float8 end
        as previous_died_ms, o.previous_is_final
    from tenant_incarnations i
    left join tenant_deletions o on o.tenant = i.tenant and o.state in ('hiding', 'hidden')
    cross join lateral (
      select coalesce(array_agg(object_id order by object_id desc), '{}') as object_ids,
        coalesce(array_agg(object_id order by object_id) filter (where is_lost), '{}') as lost
      from (
        select k.object_id, bool_or(d.id is distinct from o.id) as is_lost
        from tenant_deletion_objects k join tenant_deletions d on d.id = k.deletion_id
        where d.tenant = i.tenant and k.gone_at is null and d.state not in ('restoring', 'restored')
        group by k.object_id order by k.object_id desc limit ${alsoDeadMax}
      ) as dead
    ) as k
    where i.tenant = ${tenant}`
  if (row === undefined) return undefined
  return {
    incarnation: row.incarnation,
    diedMs: row.died_ms ?? undefined,
    objectIds: row.object_ids,
    open:
      row.remove_at_ms === null
        ? undefined
        : {
            removeAtMs: row.remove_at_ms,
            previousLiveFrom: row.previous_live_from!,
            previousDiedMs: row.previous_died_ms ?? undefined,
            previousIsFinal: row.previous_is_final!,
            lost: row.lost,
          },
  }
}

interface DeathRow {
  readonly incarnation: number
  readonly died_ms: number | null
  readonly object_ids: string[]
  readonly lost: string[]
  readonly remove_at_ms: number | null
  readonly previous_live_from: number | null
  readonly previous_died_ms: number | null
  readonly previous_is_final: boolean | null
}
