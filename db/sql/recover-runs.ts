/**
 * Runs that compare, restore and back up: one row each, with progress and findings. One is open at a time. Who works on it
 * holds the lease of the duty; its epoch is in the row, and what an earlier holder still writes is refused.
 */
import type { RecoveryFinding, RecoveryRun } from '#core/rpc/recovery.ts'
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'

export interface RunProgress {
  readonly phase: string
  readonly done: number
  readonly total: number
}

interface RunRow {
  id: string
  kind: string
  state: string
  repair: boolean
  deep: boolean
  key: string
  phase: string
  done: number
  total: number
  created: number
  finished: number | null
  error: string | null
  report: RecoveryFinding[]
}

/** A year of weekly checks and daily backups would be 400; findings make a row up to 3 MB. */
const RUNS_KEPT = 50

/** False: another run is open. */
export async function insertRun(
  sql: SqlSession,
  run: {
    readonly id: string
    readonly kind: string
    readonly repair: boolean
    readonly deep: boolean
    readonly key: string
  },
): Promise<boolean> {
  const rows = await sql`
    with old as (
      delete from recovery_runs where state in ('done', 'failed') and id not in (
        select id from recovery_runs order by created_at desc, id desc limit ${RUNS_KEPT}
      )
    )
    insert into recovery_runs (id, kind, repair, deep, key)
    select ${run.id}, ${run.kind}, ${run.repair}, ${run.deep}, ${run.key}
    where pg_try_advisory_xact_lock(hashtextextended('recovery run', 0))
      and not exists (select from recovery_runs where state in ('queued', 'running'))
    returning id`
  return rows.length === 1
}

/** The open run, taken up under this term; undefined if there is none. */
export async function takeRun(sql: SqlSession, term: LeaseTerm): Promise<RecoveryRun | undefined> {
  const [row] = await sql<RunRow[]>`
    update recovery_runs r set state = 'running', epoch = ${term.epoch}
    where r.id = (select id from recovery_runs where state in ('queued', 'running') order by created_at, id limit 1)
    returning ${columns(sql)}`
  return row === undefined ? undefined : toRun(row)
}

/** False: another holder has taken the run up. */
export async function saveProgress(
  sql: SqlSession,
  run: { readonly runId: string; readonly epoch: number },
  progress: RunProgress,
): Promise<boolean> {
  const rows = await sql`
    update recovery_runs set phase = ${progress.phase}, done = ${progress.done}, total = ${progress.total}
    where id = ${run.runId} and epoch = ${run.epoch} and state = 'running' returning id`
  return rows.length === 1
}

export async function addFindings(
  sql: SqlSession,
  run: { readonly runId: string; readonly epoch: number },
  findings: readonly RecoveryFinding[],
): Promise<void> {
  if (findings.length === 0) return
  await sql`update recovery_runs set report = report || ${JSON.stringify(findings)}::text::jsonb
    where id = ${run.runId} and epoch = ${run.epoch} and state = 'running'`
}

export async function finishRun(
  sql: SqlSession,
  run: { readonly runId: string; readonly epoch: number },
  end: { readonly error?: string; readonly key?: string },
): Promise<void> {
  await sql`update recovery_runs set state = ${end.error === undefined ? 'done' : 'failed'}, error = ${end.error ?? null},
      key = coalesce(${end.key ?? null}::text, key), finished_at = now()
    where id = ${run.runId} and epoch = ${run.epoch} and state = 'running'`
}

export async function readRun(sql: SqlSession, runId: string): Promise<RecoveryRun | undefined> {
  const [row] = await sql<RunRow[]>`select ${columns(sql)} from recovery_runs r where r.id = ${runId}`
  return row === undefined ? undefined : toRun(row)
}

/** Newest first, without findings. */
export async function listRuns(sql: SqlSession, limit: number): Promise<RecoveryRun[]> {
  const rows = await sql<RunRow[]>`
    select ${columns(sql)} from recovery_runs r order by r.created_at desc, r.id desc limit ${limit}`
  return rows.map((row) => ({ ...toRun(row), findings: [] }))
}

function columns(sql: SqlSession) {
  return sql`r.id, r.kind, r.state, r.repair, r.deep, r.key, r.phase, r.done, r.total, r.error, r.report,
    (extract(epoch from r.created_at) * 1000)::float8 as created,
    (extract(epoch from r.finished_at) * 1000)::float8 as finished`
}

function toRun(row: RunRow): RecoveryRun {
  const { id, created, finished, error, report, ...same } = row
  return { runId: id, ...same, createdMs: created, finishedMs: finished ?? 0, error: error ?? '', findings: report }
}
