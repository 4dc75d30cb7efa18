/**
 * Objects of a bucket that the index does not know become part of it. Each statement begins with the id's row in
 * `object_ids`, as every commit does: what somebody committed meanwhile is left as it is, and a repeat changes nothing.
 *
 * Datasets of a deleted tenant (an object that was begun long before the tenant's incarnation died belongs to it) are of
 * the incarnation that died while the deletion can be undone, and are not adopted once it cannot; nor are those below the
 * bound of their retention.
 */
import { LATE_COMMIT_MS } from '#core/retention/tenant-object.ts'
import type { DatasetDescriptor, LabelSet } from '#core/rpc/metastore.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import type { HiddenTenant } from './commit-segment.ts'
import type { SqlSession } from '../client.ts'
import { formatIntArray, formatTextArray } from '../array-literal.ts'

export interface AdoptedOutput {
  readonly objectId: string
  readonly level: number
  readonly sizeBytes: number
  /** The live ones alone, each with header positions that another dataset counts. */
  readonly datasets: readonly { readonly descriptor: DatasetDescriptor; readonly skip: readonly number[] }[]
  readonly labelSets: readonly LabelSet[]
  /** Of these tenants it is dead although its begin does not prove it. */
  readonly hidden: readonly HiddenTenant[]
}

/** An object above level 0. False: its id was registered already. */
export async function adoptOutput(
  sql: SqlSession,
  output: AdoptedOutput,
  options: { readonly deletionGraceMs: number },
): Promise<boolean> {
  const { objectId, level, sizeBytes, datasets, labelSets } = output
  const rows = datasets.map(({ descriptor }) => descriptor)
  const begunMs = ulidTimeMs(objectId)
  // Undone meanwhile: the deletion is open no more, and what was named lives.
  const isDead = sql`(coalesce(extract(epoch from i.died_at) * 1000 >= ${begunMs}::float8 + ${LATE_COMMIT_MS}, false) or (
    o.id is not null and i.tenant = any(${output.hidden.map(({ tenant }) => tenant)}::text[])))`
  const isGone = sql`(${isDead} and (i.is_final or o.id is null)
    or coalesce(extract(epoch from o.previous_died_at) * 1000 >= ${begunMs}::float8 + ${LATE_COMMIT_MS}, false))`
  const incarnation = sql`case when ${isDead} then i.live_from - 1 else coalesce(i.incarnation, 1) end`
  const result = await sql`
    with gate as (
      insert into object_ids (id) values (${objectId}::text) on conflict (id) do nothing returning id
    ), dataset as (
      insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms,
        window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count,
        skip_positions, incarnation)
      select ${objectId}::text, d.index, ${level}::int, ${sizeBytes}::bigint, d.tenant, d.service, d.window_start_ms,
        d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes, d.head_bytes, d.profile_count,
        d.sample_count, d.skip::int[], ${incarnation}
      from gate, unnest(
        ${rows.map((d) => d.index)}::int[], ${rows.map((d) => d.tenant)}::text[], ${rows.map((d) => d.service)}::text[],
        ${rows.map((d) => d.windowStartMs)}::bigint[], ${rows.map((d) => d.windowMs)}::bigint[],
        ${rows.map((d) => d.minTimeMs)}::bigint[], ${rows.map((d) => d.maxTimeMs)}::bigint[],
        ${rows.map((d) => d.offset)}::bigint[], ${rows.map((d) => d.sizeBytes)}::bigint[],
        ${rows.map((d) => d.headBytes)}::bigint[], ${rows.map((d) => d.profileCount)}::int[],
        ${rows.map((d) => d.sampleCount)}::bigint[], ${datasets.map(({ skip }) => formatIntArray([...skip]))}::text[]
      ) as d(index, tenant, service, window_start_ms, window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes,
        head_bytes, profile_count, sample_count, skip)
      left join tenant_incarnations i on i.tenant = d.tenant
      left join tenant_deletions o on o.tenant = d.tenant and o.state in ('hiding', 'hidden')
      where cardinality(d.skip::int[]) < d.profile_count and not ${isGone}
        and d.max_time_ms >= coalesce((
          select r.bound_ms from retention_rules r where r.tenant in (d.tenant, '') and r.service in (d.service, '')
          order by r.tenant desc, r.service desc limit 1
        ), d.max_time_ms)
      returning dataset_index
    ), object as (
      insert into objects (id, level, size_bytes, live_datasets)
      select id, ${level}::int, ${sizeBytes}::bigint, (select count(*) from dataset) from gate
    ), tombstone as (
      insert into tombstones (object_id, due_at)
      select id, now() + ${options.deletionGraceMs}::float8 * interval '1 millisecond' from gate
      where not exists (select from dataset)
    ), label_set as (
      insert into label_sets (tenant, window_start_ms, hash, pairs, incarnation)
      select l.tenant, l.window_start_ms, md5(l.pairs)::uuid, l.pairs::text[], ${incarnation}
      from gate, unnest(${labelSets.map((set) => set.tenant)}::text[], ${labelSets.map((set) => set.windowStartMs)}::bigint[],
        ${labelSets.map((set) => formatTextArray(set.pairs))}::text[]) as l(tenant, window_start_ms, pairs)
      left join tenant_incarnations i on i.tenant = l.tenant
      left join tenant_deletions o on o.tenant = l.tenant and o.state in ('hiding', 'hidden')
      where not ${isGone}
      order by l.tenant collate "C", l.window_start_ms, md5(l.pairs)
      on conflict do nothing
    )
    select id from gate`
  return result.length === 1
}

/** Objects without a live dataset: registered, so that nothing publishes them, and deleted after the grace. */
export async function adoptGarbage(
  sql: SqlSession,
  objects: readonly { readonly objectId: string; readonly level: number; readonly sizeBytes: number }[],
  options: { readonly deletionGraceMs: number },
): Promise<void> {
  await sql`
    with gate as (
      insert into object_ids (id) select k.id from unnest(${objects.map((o) => o.objectId)}::text[]) as k(id) order by k.id
      on conflict (id) do nothing returning id
    ), object as (
      insert into objects (id, level, size_bytes, live_datasets)
      select o.id, o.level, o.size_bytes, 0
      from unnest(${objects.map((o) => o.objectId)}::text[], ${objects.map((o) => o.level)}::int[],
        ${objects.map((o) => o.sizeBytes)}::bigint[]) as o(id, level, size_bytes)
      where o.id in (select id from gate)
    )
    insert into tombstones (object_id, due_at)
    select id, now() + ${options.deletionGraceMs}::float8 * interval '1 millisecond' from gate
    on conflict (object_id) do nothing`
}

/** Registered and nothing else: not searched for as an orphan, not deleted, until somebody looks at it. The mark is for a later version. */
export async function quarantine(sql: SqlSession, objectIds: readonly string[]): Promise<void> {
  await sql`
    insert into object_ids (id, is_unreadable) select k.id, true from unnest(${objectIds}::text[]) as k(id) order by k.id
    on conflict (id) do nothing`
}
