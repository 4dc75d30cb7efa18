/**
 * The status report: one reading of the whole, for pages, `cinder status` and metrics.
 *
 * 1. A report is kept for a second, or for four times as long as it took to read, and callers at the same time share one
 *    reading: however many look, the database spends a fifth of one connection on it at most.
 * 2. The database's own facts come first. If they do not come, the report says so and holds no more; else each section is
 *    read by one statement, one after another on one connection of the pool, all within READ_MAX_MS.
 * 3. A section that fails is named in `failed`; the others stand.
 * 4. What a person should look at is judged from the report alone (core/status/concerns.ts).
 *
 * It never fails: a page that answers 500 while the database is away is of no use to who was woken by that.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { DatabaseStatus, StatusReport, StatusService, StoreStatus } from '#core/rpc/status.ts'
import { findConcerns } from '#core/status/concerns.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { selectBacklog } from '#db/sql/status-backlog.ts'
import { type DatabaseFacts, selectDatabaseFacts } from '#db/sql/status-database.ts'
import { selectDefaultRetention, selectDeletions } from '#db/sql/status-deletions.ts'
import { selectDutyStatus } from '#db/sql/status-duties.ts'
import { selectStatusJobs } from '#db/sql/status-jobs.ts'
import { selectLeases } from '#db/sql/status-leases.ts'
import { selectRestore } from '#db/sql/status-restore.ts'
import { selectTombstoneStatus } from '#db/sql/status-tombstones.ts'
import { selectOldTransaction } from '#db/sql/status-transactions.ts'
import { selectWorkers } from '#db/sql/status-workers.ts'
import { readPlacementStatus } from './placement-status.ts'

export interface StatusDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly version: string
  readonly instanceId: string
  /** What holds where no rule says otherwise, not even one for everybody. */
  readonly retentionDefaultMs: number
  /** What this process has seen of the object store; without it nothing is said of it. */
  readonly store?: (() => StoreStatus) | undefined
  /** Default: judged by the reading itself. */
  readonly health?: () => Pick<DatabaseStatus, 'state' | 'sinceMs' | 'words' | 'lastError'>
}

/** How old a report may be: a page refreshes every 5 s, a scrape comes every 15. */
const REPORT_AGE_MAX_MS = MS_PER_SECOND
/** 100,000 segments waiting, 110,000 jobs and a million tombstones take 3 s to count on two busy cores. */
const AGE_PER_READING = 4
/** A person waits this long for a page; a statement ends by its own limit (5 s). */
const READ_MAX_MS = 4 * MS_PER_SECOND
/** Due so long and still there: deleting goes in slices of seconds. */
const TOMBSTONE_OVERDUE_MS = 30 * MS_PER_MINUTE

export function createStatus(deps: StatusDeps): StatusService {
  const startedMs = deps.clock.nowMs()
  let last: { report: StatusReport; readMs: number; keptMs: number } | undefined
  let reading: Promise<StatusReport> | undefined
  const read = async () => {
    const beganMs = deps.clock.nowMs()
    const report = await readReport(deps, startedMs)
    const readMs = deps.clock.nowMs()
    // That it does not answer is no work for it, and that it does again is news.
    const spentMs = report.database.serverVersion === '' ? 0 : readMs - beganMs
    last = { report, readMs, keptMs: Math.max(REPORT_AGE_MAX_MS, AGE_PER_READING * spentMs) }
    return report
  }
  return {
    async getStatus() {
      const ageMs = deps.clock.nowMs() - (last?.readMs ?? Number.NEGATIVE_INFINITY)
      // Negative: the clock was set back.
      if (last !== undefined && ageMs >= 0 && ageMs < last.keptMs) return last.report
      reading ??= read().finally(() => {
        reading = undefined
      })
      return await reading
    },
  }
}

async function readReport(deps: StatusDeps, startedMs: number): Promise<StatusReport> {
  const report = emptyReport(deps, startedMs)
  const done = new AbortController()
  const late = deps.clock.sleep(READ_MAX_MS, done.signal).then(() => {
    throw new CinderError('deadline_exceeded', `no answer within ${READ_MAX_MS / MS_PER_SECOND} s`)
  })
  late.catch(() => undefined)
  try {
    await readFacts(deps, report, late)
    if (report.database.serverVersion !== '') await readSections(deps, report, late)
  } finally {
    done.abort()
  }
  if (deps.store !== undefined) report.store = deps.store()
  report.concerns = findConcerns(report)
  return report
}

async function readFacts(deps: StatusDeps, report: StatusReport, late: Promise<never>): Promise<void> {
  const { sql, clock, health } = deps
  let facts: DatabaseFacts | undefined
  let error = ''
  try {
    facts = await Promise.race([selectDatabaseFacts(sql), late])
  } catch (cause) {
    error = sentenceOf(cause)
  }
  report.nowMs = facts?.nowMs ?? clock.nowMs()
  const judged = health?.() ?? {
    state: facts === undefined ? 'unreachable' : 'ok',
    sinceMs: 0,
    words: facts === undefined ? 'the database does not answer' : 'the database answers',
    lastError: error,
  }
  // Our own question failed just now, whatever was seen last.
  const isNews = facts === undefined && judged.state === 'ok'
  report.database = {
    ...(isNews ? { ...judged, state: 'unreachable', words: 'the database does not answer', lastError: error } : judged),
    serverVersion: facts?.serverVersion ?? '',
    schemaVersion: facts?.schemaVersion ?? 0,
  }
}

async function readSections(deps: StatusDeps, report: StatusReport, late: Promise<never>): Promise<void> {
  const { sql } = deps
  let isLate = false
  late.catch(() => {
    isLate = true
  })
  const section = async (name: string, read: () => Promise<Partial<StatusReport>>) => {
    try {
      // A database that stands still is not asked more and more.
      if (isLate) return await late
      Object.assign(report, await Promise.race([read(), late]))
    } catch (error) {
      report.failed.push({ section: name, message: sentenceOf(error) })
    }
  }
  await section('transactions', async () => ({
    database: { ...report.database, oldTransaction: await selectOldTransaction(sql) },
  }))
  await section('backlog', async () => {
    const { levels, oldestInputMs } = await selectBacklog(sql)
    return { backlog: levels, oldestInputMs }
  })
  await section('jobs', () => selectStatusJobs(sql))
  await section('leases', async () => ({ leases: await selectLeases(sql) }))
  await section('duties', async () => ({ duties: await selectDutyStatus(sql) }))
  await section('writers', () => readPlacementStatus(sql))
  await section('tombstones', async () => ({ tombstones: await selectTombstoneStatus(sql, TOMBSTONE_OVERDUE_MS) }))
  await section('workers', async () => ({ workers: await selectWorkers(sql) }))
  await section('retention', async () => {
    const retentionMs = await selectDefaultRetention(sql)
    return retentionMs === undefined ? {} : { retentionDefaultMs: retentionMs }
  })
  await section('deletions', async () => ({ deletions: await selectDeletions(sql) }))
  await section('restore', async () => ({ restore: await selectRestore(sql) }))
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function emptyReport(deps: StatusDeps, startedMs: number): StatusReport {
  const { version, instanceId, retentionDefaultMs } = deps
  return {
    nowMs: 0,
    version,
    instanceId,
    startedMs,
    database: { state: '', sinceMs: 0, words: '', lastError: '', serverVersion: '', schemaVersion: 0 },
    concerns: [],
    failed: [],
    backlog: [],
    oldestInputMs: 0,
    running: [],
    runningTotal: 0,
    parked: [],
    parkedTotal: 0,
    leases: [],
    duties: [],
    workers: [],
    writers: [],
    tombstones: { queued: 0, due: 0, overdue: 0, oldestDueMs: 0, deleting: 0, refused: 0, refusal: '' },
    deletions: [],
    restore: { state: 'none', words: '', sinceMs: 0 },
    retentionDefaultMs,
  }
}
