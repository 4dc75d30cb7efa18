/** A database with enough rows that walking through a table would show, in plans and in the server's counters. */
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { datasetPartitions, ensurePartition, segmentPartitions } from '#db/partitions.ts'
import type { Sql } from '#db/client.ts'

/** The last of three days of data. */
export const SEEDED_DAY_MS = Date.UTC(2026, 2, 3)
const TENANTS = 50

export async function seedMetastore(sql: Sql): Promise<void> {
  const days = [0, 1, 2].map((d) => SEEDED_DAY_MS - d * MS_PER_DAY)
  for (const partition of datasetPartitions(days, SEEDED_DAY_MS)) await ensurePartition(sql, partition)
  for (const partition of segmentPartitions(Date.now())) await ensurePartition(sql, partition)
  // 3 days x 24 hours x 50 tenants x 4 services; every third row is retired.
  await sql`insert into datasets (object_id, dataset_index, level, object_size_bytes, is_live, tenant, service,
      window_start_ms, window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    select 'o' || n, 0, 1, 1, n % 3 > 0, 't' || n % ${TENANTS}::int, 's' || n % 4, hour, ${MS_PER_HOUR}, hour + 1, hour + 60000, 1, 1, 1, 1, 1
    from generate_series(0, 14399) as n,
      lateral (select ${SEEDED_DAY_MS}::bigint + ${MS_PER_DAY} - (1 + n / 200) * ${MS_PER_HOUR}::bigint as hour) as at`
  // 6,000 segments that are compacted, 30 of them not yet.
  await sql`insert into segments
    select 'l' || n, now(), 1, ${SEEDED_DAY_MS}, ${SEEDED_DAY_MS}, case when n < 30 then B'1' else B'0' end, n < 30,
      array['t' || n % ${TENANTS}::int], array['s'], array[${SEEDED_DAY_MS}::bigint], array[${MS_PER_HOUR}::bigint],
      array[${SEEDED_DAY_MS}::bigint], array[${SEEDED_DAY_MS}::bigint],
      '{1}', '{1}', '{1}', '{1}', '{1}', '{}', '{}'
    from generate_series(0, 5999) as n`
  await sql`insert into objects (id, level, size_bytes, live_datasets)
    select object_id, 0, 1, is_live::int from segments union all select object_id, 1, 1, is_live::int from datasets`
  await sql`insert into object_ids (id) select id from objects`
  await sql`insert into jobs (state, level, size_bytes, rank, finished_at)
    select 'done', 1, 1, n, now() from generate_series(0, 4999) as n`
  await sql`insert into profile_ids (id) select decode(md5(n::text), 'hex') from generate_series(0, 4999) as n`
  await sql`insert into label_sets select 't' || n % ${TENANTS}::int, ${SEEDED_DAY_MS}, md5(n::text)::uuid, array['n', n::text]
    from generate_series(0, 4999) as n`
  await sql`insert into tombstones (object_id, due_at) select 'gone' || n, now() + interval '1 hour' from generate_series(0, 4999) as n`
  await sql.unsafe('analyze')
}
