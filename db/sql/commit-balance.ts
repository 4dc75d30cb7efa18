/**
 * The part of the commit of a compaction (commit-compaction.ts) that compares what comes in with what goes out: the rule of
 * core/compaction/balance.ts over the locked rows, and what becomes of a job that breaks it. Fragments of one statement.
 *
 * balance: reads `segment_source`, `dataset_source` and `output`; `unbalanced` has the first cell that differs, in words.
 * Sources and outputs are counted in one grouping, without a join. What is said of a whole source is worked out once a
 * source: each look at a packed array unpacks it.
 * parkUnbalanced: on the verdict `not-conserved`. The outputs' ids stay with the job, so that a repeat is answered alike.
 */
import { quarantineFolder } from '#core/compaction/balance.ts'
import { NOT_CONSERVED } from '#core/status/words.ts'
import type { JobFailureKind } from '#core/compaction/job-failure.ts'
import type { CommitCompactionRequest, OutputObject } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'

const KIND: JobFailureKind = 'conservation'

/** Every dataset of the outputs, as a row of `datasets`. */
export function outputRows(sql: SqlSession, outputs: readonly OutputObject[]) {
  const rows = outputs.flatMap((output) => output.datasets.map((dataset) => ({ output, dataset })))
  return sql`select * from unnest(
        ${rows.map((r) => r.output.objectId)}::text[], ${rows.map((r) => r.dataset.index)}::int[],
        ${rows.map((r) => r.output.level)}::int[], ${rows.map((r) => r.output.sizeBytes)}::bigint[],
        ${rows.map((r) => r.dataset.tenant)}::text[], ${rows.map((r) => r.dataset.service)}::text[],
        ${rows.map((r) => r.dataset.windowStartMs)}::bigint[], ${rows.map((r) => r.dataset.windowMs)}::bigint[],
        ${rows.map((r) => r.dataset.minTimeMs)}::bigint[], ${rows.map((r) => r.dataset.maxTimeMs)}::bigint[],
        ${rows.map((r) => r.dataset.offset)}::bigint[], ${rows.map((r) => r.dataset.sizeBytes)}::bigint[],
        ${rows.map((r) => r.dataset.headBytes)}::bigint[], ${rows.map((r) => r.dataset.profileCount)}::int[],
        ${rows.map((r) => r.dataset.sampleCount)}::bigint[]
      ) as d(object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
        min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)`
}

export function balance(sql: SqlSession, { jobId, epoch, outputs }: CommitCompactionRequest) {
  const datasets = outputs.flatMap((output) => output.datasets)
  const windowMs = datasets.reduce((max, each) => Math.max(max, each.windowMs), 1)
  const hasJoined = datasets.some((each) => each.joinedSamples !== undefined)
  // Down to the window of the output; times before 1970 too, by a multiple of the window that makes every time positive.
  const biasMs = Math.ceil(Number.MAX_SAFE_INTEGER / 2 / windowMs) * windowMs
  const cellOf = (column: string) => sql`${sql(column)} - mod(${sql(column)} + ${biasMs}::bigint, ${windowMs}::bigint)`
  const outputSamples = hasJoined ? sql`sample_count + coalesce(j.samples, 0)` : sql`sample_count`
  return sql`counted as (
      select d.tenant, d.service, ${cellOf('d.start_ms')} as start_ms, k.profiles, d.samples,
        case when k.has_skips then 0 else d.samples end as least_samples, 0 as out_profiles, 0::bigint as out_samples
      from segment_source s
      cross join lateral (
        select cardinality(s.indexes) = cardinality(s.tenant) as is_whole, s.skip_dataset <> '{}' as may_skip offset 0
      ) as of
      cross join lateral unnest(s.tenant, s.service, s.window_start_ms, s.profile_count, s.sample_count)
        with ordinality as d(tenant, service, start_ms, profiles, samples, n)
      cross join lateral (
        select case when of.may_skip then d.profiles - (select count(*) from unnest(s.skip_dataset) as k where k = d.n - 1)
            else d.profiles end as profiles,
          of.may_skip and d.n::int - 1 = any(s.skip_dataset) as has_skips
      ) as k
      where s.is_live and (of.is_whole or d.n::int - 1 = any(s.indexes))
      union all
      select tenant, service, ${cellOf('window_start_ms')}, profile_count - cardinality(skip_positions), sample_count,
        case when cardinality(skip_positions) > 0 then 0 else sample_count end, 0, 0
      from dataset_source
      union all
      select tenant, service, ${cellOf('window_start_ms')}, 0, 0, 0, profile_count, ${outputSamples}
      from output ${hasJoined ? joinedSamples(sql, outputs) : sql``}
    ), unbalanced as materialized (
      select ${NOT_CONSERVED}::text || ': of tenant ' || to_json(tenant) || ', service ' || to_json(service)
        || ', window from ' || to_char(to_timestamp(start_ms / 1000.0) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        || format(', the sources hold %s profiles and %s samples, the outputs %s profiles and %s samples',
          sum(profiles), sum(samples), sum(out_profiles), sum(out_samples))
        || ${`; see ${quarantineFolder({ jobId, epoch })}`}::text as reason
      from counted group by tenant, service, start_ms
      having (sum(profiles) = sum(out_profiles) and sum(out_samples) between sum(least_samples) and sum(samples)) is not true
      order by tenant collate "C", service collate "C", start_ms limit 1
    )`
}

/** Samples that a merge added to others count with those that are stored. */
function joinedSamples(sql: SqlSession, outputs: readonly OutputObject[]) {
  const rows = outputs.flatMap(({ objectId, datasets }) =>
    datasets.filter((each) => each.joinedSamples !== undefined).map((dataset) => ({ objectId, dataset })),
  )
  return sql`left join unnest(
        ${rows.map((r) => r.objectId)}::text[], ${rows.map((r) => r.dataset.index)}::int[],
        ${rows.map((r) => r.dataset.joinedSamples!)}::bigint[]
      ) as j(object_id, dataset_index, samples) using (object_id, dataset_index)`
}

export function parkUnbalanced(sql: SqlSession, { workerId, jobId, epoch, outputs }: CommitCompactionRequest) {
  const outputIds = outputs.map(({ objectId }) => objectId).sort()
  return sql`parked as (
      update jobs j set state = 'parked', holder = null, expires_at = null, started_at = null, progress = 0,
        failures = j.failures + 1, failure_kind = ${KIND}, reason = u.reason, output_ids = ${outputIds}::text[]
      from verdict v, unbalanced u where j.id = ${jobId}::bigint and v.is_first and v.verdict = 'not-conserved'
    ), history as (
      insert into job_failures (job_id, holder, epoch, kind, reason)
      select ${jobId}::bigint, ${workerId}, ${epoch}, ${KIND}, u.reason
      from verdict v, unbalanced u where v.is_first and v.verdict = 'not-conserved'
    )`
}
