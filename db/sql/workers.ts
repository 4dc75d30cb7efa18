/** Workers as they tell of themselves with every poll. A row says who is there, not who holds what. */
import type { WorkerSummary } from '#core/rpc/jobs.ts'
import type { WorkerReport } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'

/** What a report may hold: it comes from outside and is shown to people. */
const TEXT_CHARS_MAX = 200
/** A row that says nothing new is written this often at most: a worker polls once a second. */
const REFRESH_SECONDS = 5

export async function noteWorker(
  sql: SqlSession,
  worker: { readonly workerId: string; readonly running: number; readonly report: WorkerReport | undefined },
  options: { readonly ttlMs: number },
): Promise<void> {
  const { workerId, running, report } = worker
  const text = (value: string | undefined) => (value ?? '').replaceAll('\0', '').slice(0, TEXT_CHARS_MAX)
  const count = (value: number | undefined) => Math.min(2 ** 31 - 1, Math.max(0, Math.trunc(value ?? 0)))
  const bytes = (value: number | undefined) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(value ?? 0)))
  await sql`
    insert into workers as w (worker_id, address, version, threads, capacity, budget_bytes, used_bytes, running, expires_at)
    values (${workerId}, ${text(report?.address)}, ${text(report?.version)}, ${count(report?.threads)},
      ${count(report?.capacity)}, ${bytes(report?.budgetBytes)}, ${bytes(report?.usedBytes)}, ${count(running)},
      now() + ${options.ttlMs}::float8 * interval '1 millisecond')
    on conflict (worker_id) do update set address = excluded.address, version = excluded.version,
      threads = excluded.threads, capacity = excluded.capacity, budget_bytes = excluded.budget_bytes,
      used_bytes = excluded.used_bytes, running = excluded.running, seen_at = now(), expires_at = excluded.expires_at,
      first_seen_at = case when w.expires_at > now() then w.first_seen_at else now() end
    where w.seen_at < now() - ${REFRESH_SECONDS} * interval '1 second'
      or (w.address, w.version, w.threads, w.capacity, w.running, w.used_bytes) is distinct from
        (excluded.address, excluded.version, excluded.threads, excluded.capacity, excluded.running, excluded.used_bytes)`
}

/** Workers that are gone for a day. */
export async function deleteGoneWorkers(sql: SqlSession): Promise<number> {
  return (await sql`delete from workers where expires_at < now() - interval '1 day'`).count
}

/** Those that polled within a day, by name. */
export async function selectWorkers(sql: SqlSession, limit: number): Promise<WorkerSummary[]> {
  return await sql<WorkerSummary[]>`
    select worker_id as "workerId", address, version, threads, capacity, running, budget_bytes as "budgetBytes",
      used_bytes as "usedBytes", round(extract(epoch from first_seen_at) * 1000)::float8 as "firstSeenMs",
      round(extract(epoch from seen_at) * 1000)::float8 as "seenMs", expires_at > now() as "isLive"
    from workers order by worker_id limit ${limit}`
}
