/**
 * Fills a metastore's database as a large installation leaves it after a day: made in Postgres by `insert … select`, which
 * is what COPY would write without a detour through this process.
 *
 * 1. `datasets`: per service three blocks of 6 h, six closed hours, and two tiers of the current hour: 11 a service.
 * 2. `segments` of the last hour, nearly all retired, a thousand live; their objects and ids.
 * 3. `profile_ids` of 15 minutes and `label_sets` of a day, one tenant far above the others.
 * Ids are made from numbers: the same numbers give the same database. It must run on an empty, migrated database.
 */
import { MS_PER_HOUR, floorTo } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { datasetPartitions, ensurePartition, segmentPartitions } from '#db/partitions.ts'

export interface IndexSize {
  readonly tenants: number
  readonly servicesPerTenant: number
  readonly retiredSegments: number
  readonly liveSegments: number
  readonly profileIds: number
}

/** The size that the figures are about: 5.5 M rows of datasets. */
export const DAY_OF_A_MILLION_OBJECTS_AN_HOUR: IndexSize = {
  tenants: 100,
  servicesPerTenant: 5_000,
  // A tenth of an hour's: they cost space, and a partial index leaves them out.
  retiredSegments: 100_000,
  // Three and a half seconds of 278 a second.
  liveSegments: 1_000,
  // 15 minutes of 1,000 profiles a second.
  profileIds: 900_000,
}

/** Datasets of one service: what compaction leaves of a day, 18 hours of which are in blocks of 6 h. */
const LAYERS = [
  ...[0, 6, 12].map((hour) => ({ hour, windowHours: 6, level: 6, objectServices: 100 })),
  ...[18, 19, 20, 21, 22, 23].map((hour) => ({ hour, windowHours: 1, level: 5, objectServices: 400 })),
  { hour: 24, windowHours: 1, level: 2, objectServices: 2_000 },
  { hour: 24, windowHours: 1, level: 1, objectServices: 5_000 },
]

const SEGMENT_DATASETS = 20

export const tenantName = (n: number) => `tenant-${n}`
export const serviceName = (n: number) => `service-${n}`

/** Returns the start of the current hour and how many datasets there are. */
export async function fillIndex(
  sql: Sql,
  size: IndexSize,
  nowMs: number,
): Promise<{ hourMs: number; datasets: number }> {
  const hourMs = floorTo(nowMs, MS_PER_HOUR)
  const starts = LAYERS.map(({ hour }) => hourMs - (24 - hour) * MS_PER_HOUR)
  for (const partition of [...datasetPartitions(starts, nowMs), ...segmentPartitions(nowMs)]) {
    if (!(await ensurePartition(sql, partition))) throw new Error(`no partition ${partition.name}`)
  }
  await sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    for (const [n, layer] of LAYERS.entries()) {
      const { level, windowHours, objectServices } = layer
      const windowStartMs = hourMs - (24 - layer.hour) * MS_PER_HOUR
      await tx`
        insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms,
          window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
        select ${`layer${n}-`} || t || '-' || s / ${objectServices}::int, s % ${objectServices}::int, ${level}::int,
          64 << 20, 'tenant-' || t, 'service-' || s, ${windowStartMs}::bigint, ${windowHours * MS_PER_HOUR}::bigint,
          ${windowStartMs}::bigint, ${windowStartMs + windowHours * MS_PER_HOUR - 1}::bigint,
          8 + 100000 * (s % ${objectServices}::int), 100000, 20000, 360, 36000
        from generate_series(0, ${size.tenants - 1}::int) as t, generate_series(0, ${size.servicesPerTenant - 1}::int) as s`
    }
    await tx`
      insert into objects (id, level, size_bytes, live_datasets, created_at)
      select object_id, min(level), min(object_size_bytes), count(*), now() - interval '10 minutes'
      from datasets group by object_id`
    await fillSegments(tx as unknown as Sql, size, hourMs)
    await tx`
      insert into profile_ids (id, created_at)
      select decode(md5(n::text), 'hex'), now() - n * interval '1 millisecond' from generate_series(1, ${size.profileIds}::int) as n`
    await tx`
      insert into label_sets (tenant, window_start_ms, hash, pairs)
      select 'tenant-' || t, ${hourMs}::bigint - h * ${MS_PER_HOUR}::bigint, md5('pairs' || s)::uuid,
        array['__name__', 'process_cpu', 'namespace', 'ns-' || s % 40, 'service_name', 'service-' || s]
      from generate_series(0, ${size.tenants - 1}::int) as t, generate_series(0, 23) as h,
        generate_series(0, case t when 0 then 9999 else 499 end) as s`
    await tx`insert into object_ids (id) select id from objects`
  })
  await sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`analyze`
  })
  return { hourMs, datasets: LAYERS.length * size.tenants * size.servicesPerTenant }
}

async function fillSegments(sql: Sql, size: IndexSize, hourMs: number): Promise<void> {
  const count = size.retiredSegments + size.liveSegments
  const live = '1'.repeat(SEGMENT_DATASETS)
  const dead = '0'.repeat(SEGMENT_DATASETS)
  const repeated = (value: string) => sql.unsafe(`array_fill(${value}, array[${SEGMENT_DATASETS}])`)
  await sql`
    insert into segments (object_id, created_at, size_bytes, min_time_ms, max_time_ms, live, is_live, tenant, service,
      window_start_ms, window_ms, dataset_min_time_ms, dataset_max_time_ms, dataset_offset, dataset_size_bytes,
      head_bytes, profile_count, sample_count, skip_dataset, skip_position)
    select 'segment-' || n, at.time, 200000, ${hourMs}::bigint, ${hourMs}::bigint + 60000,
      case when n < ${size.liveSegments}::int then ${live}::bit varying else ${dead}::bit varying end,
      n < ${size.liveSegments}::int,
      array(select 'tenant-' || (n + d) % ${size.tenants}::int from generate_series(1, ${SEGMENT_DATASETS}::int) as d),
      array(select 'service-' || (n * 7 + d) % ${size.servicesPerTenant}::int from generate_series(1, ${SEGMENT_DATASETS}::int) as d),
      ${repeated(`${hourMs}::bigint`)}, ${repeated(`${MS_PER_HOUR}::bigint`)}, ${repeated(`${hourMs}::bigint`)},
      ${repeated(`${hourMs + 60_000}::bigint`)}, ${repeated('8::bigint')}, ${repeated('10000::bigint')},
      ${repeated('2000::bigint')}, ${repeated('12')}, ${repeated('1200::bigint')}, '{}', '{}'
    from generate_series(0, ${count - 1}::int) as n,
      lateral (select now() - n * interval '4 milliseconds' as time) as at`
  await sql`
    insert into objects (id, level, size_bytes, live_datasets, created_at)
    select object_id, 0, size_bytes, bit_count(live), created_at from segments`
}
