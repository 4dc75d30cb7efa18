/**
 * The recovery service: starts runs, tells of them, and has the duties that keep index and bucket of one mind.
 *
 * A run is a row; the duty `recovery` takes it up under its lease and works until it is done, through restarts and other
 * replicas. What can be tried again leaves the run open; anything else ends it with the reason.
 */
import { assert, unreachable } from '#core/assert.ts'
import { CinderError, invalidArgument, isRetryable } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { RecoveryFinding, RecoveryKind, RecoveryRun, RecoveryService } from '#core/rpc/recovery.ts'
import { MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import type { Sql } from '#db/client.ts'
import { toCinderError, withSqlErrors } from '#db/errors.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import { readOrphanSearch } from '#db/sql/orphans.ts'
import { addFindings, finishRun, insertRun, listRuns, readRun, saveProgress, takeRun } from '#db/sql/recover-runs.ts'
import { readRecoveryTotals, wakeRecovery } from '#db/sql/recover-status.ts'
import { restoreBackup, writeBackup } from './backup.ts'
import type { Duties, Duty } from './duties.ts'
import { checkIndex } from './fsck.ts'
import { sqlJournalIndex } from './journal-index.ts'
import { createJournal, type Journal } from './journal.ts'
import { orphanDuty } from './orphans.ts'
import { rebuildIndex } from './rebuild.ts'
import type { RebuildDeps, RunReport } from './recovery-run.ts'
import { RestoreGuard } from './restore-guard.ts'
import { settingsDumpDuty } from './settings-dump.ts'

export interface RecoveryDeps {
  readonly sql: Sql
  readonly store: ObjectStore
  readonly codec: Codec
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly deletionGraceMs: number
}

export interface Recovery {
  readonly service: RecoveryService
  readonly guard: RestoreGuard
  readonly journal: Journal
  /** For the metastore beside it. */
  readonly duties: readonly Duty[]
  /** A run that is started begins at once, not with the next look at the duties. */
  attach(duties: Pick<Duties, 'runDue'>): void
}

const DUTY = 'recovery'
/** A run that another replica was asked for begins within this. */
const LOOK_INTERVAL_MS = 15 * MS_PER_SECOND
const RUNS_LISTED = 10
/** Below the idle limits of load balancers; a run is looked at four times a second meanwhile. */
const WAIT_MAX_MS = 20 * MS_PER_SECOND
const WAIT_STEP_MS = 250
/** In one row: about 3 MB. */
const FINDINGS_MAX = 10_000

export function createRecovery(deps: RecoveryDeps): Recovery {
  const { sql, clock, random } = deps
  const guard = new RestoreGuard(deps)
  const all = { ...deps, guard }
  const journal = createJournal({ ...all, index: sqlJournalIndex(all) })
  let duties: Pick<Duties, 'runDue'> | undefined
  return {
    guard,
    journal,
    duties: [
      { name: 'commit-counter', intervalMs: MS_PER_MINUTE, run: async () => void (await guard.check()) },
      journal.duty,
      orphanDuty(all),
      settingsDumpDuty(all),
      {
        name: DUTY,
        intervalMs: LOOK_INTERVAL_MS,
        // A rebuild of a large bucket takes hours; it tells of its progress all the time.
        runMaxMs: MS_PER_DAY,
        run: (term, signal) => workOn(all, term, signal),
      },
    ],
    attach: (attached) => void (duties = attached),
    service: {
      recoveryStatus: () => withSqlErrors('recovery status', () => status(all)),
      async startRecovery({ kind, repair, deep, key }) {
        checkStart(kind, key)
        const id = makeUlid(clock.nowMs(), random.bytes(ULID_RANDOM_BYTES))
        const isStarted = await withSqlErrors('start recovery', () => insertRun(sql, { id, kind, repair, deep, key }))
        if (!isStarted)
          throw new CinderError('failed_precondition', 'another run is open: wait for its end', { reason: 'run_open' })
        await withSqlErrors('start recovery', () => wakeRecovery(sql, DUTY))
        void duties?.runDue()
        return await getRun(sql, id)
      },
      async getRecovery({ runId, waitMs }) {
        const endMs = clock.nowMs() + Math.min(Math.max(0, waitMs), WAIT_MAX_MS)
        for (;;) {
          const run = await getRun(sql, runId)
          const leftMs = endMs - clock.nowMs()
          if (run.finishedMs > 0 || leftMs <= 0) return run
          await clock.sleep(Math.min(leftMs, WAIT_STEP_MS))
        }
      },
    },
  }
}

function checkStart(kind: string, key: string): void {
  const kinds: readonly string[] = ['rebuild', 'fsck', 'backup', 'restore'] satisfies RecoveryKind[]
  if (!kinds.includes(kind))
    throw invalidArgument(`kind is ${JSON.stringify(kind)}; allowed: ${kinds.join(', ')}`, 'recovery_kind')
  if ((kind === 'restore') !== (key !== ''))
    throw invalidArgument('key names the backup of a restore, and nothing else')
}

async function getRun(sql: Sql, runId: string): Promise<RecoveryRun> {
  const run = await withSqlErrors('read run', () => readRun(sql, runId))
  if (run === undefined) throw new CinderError('not_found', `there is no run ${JSON.stringify(runId)}`)
  return run
}

async function status({ sql, guard }: RecoveryDeps & { readonly guard: RestoreGuard }) {
  const { counter, behindSinceMs, behindReason, isChecked } = await guard.standing()
  const { orphansRetired, settingsDumpedMs } = await readRecoveryTotals(sql)
  const { candidates } = await readOrphanSearch(sql)
  const level = isChecked ? 'normal' : 'unchecked'
  return {
    state: behindSinceMs === undefined ? level : 'behind',
    reason: behindReason ?? (isChecked ? '' : 'the commit counter of the bucket was not compared yet'),
    sinceMs: behindSinceMs ?? 0,
    counter,
    orphanCandidates: candidates,
    orphansRetired,
    settingsDumpedMs,
    runs: await listRuns(sql, RUNS_LISTED),
  }
}

async function workOn(deps: RebuildDeps & RecoveryDeps, term: LeaseTerm, signal: AbortSignal): Promise<void> {
  const { sql, log } = deps
  const run = await takeRun(sql, term)
  if (run === undefined) return
  const held = { runId: run.runId, epoch: term.epoch }
  log.info('recovery run begins', { runId: run.runId, kind: run.kind })
  try {
    const key = await perform(deps, run, reportOf(sql, { ...held, run, signal }))
    await finishRun(sql, held, key === undefined ? {} : { key })
    log.info('recovery run is done', { runId: run.runId, kind: run.kind })
  } catch (thrown) {
    const error = toCinderError(run.kind, thrown)
    // The run stays open, and whoever has the lease goes on.
    if (signal.aborted || isRetryable(error.kind)) throw error
    log.error('recovery run failed', { runId: run.runId, kind: run.kind, error })
    await finishRun(sql, held, { error: error.message })
  }
}

/** Returns the key of what was written, if anything was. */
async function perform(
  deps: RebuildDeps & RecoveryDeps,
  run: RecoveryRun,
  report: RunReport,
): Promise<string | undefined> {
  const kind = run.kind as RecoveryKind
  switch (kind) {
    case 'rebuild':
      await checkNeedsRebuild(deps)
      await rebuildIndex(deps, report)
      return undefined
    case 'fsck':
      await checkIndex(deps, report, run)
      return undefined
    case 'backup':
      return await writeBackup(deps, report, run.runId)
    case 'restore':
      await restoreBackup(deps, report, run.key)
      return undefined
    default:
      return unreachable(kind)
  }
}

/** Objects that a level index does not know are on their way to their commit, or orphans: adopting them would be wrong. */
async function checkNeedsRebuild({ guard }: RebuildDeps): Promise<void> {
  await guard.check()
  if ((await guard.standing()).behindSinceMs !== undefined) return
  throw new CinderError(
    'failed_precondition',
    'the database is level with its bucket, there is nothing to rebuild; `cinder fsck` compares both',
    { reason: 'index_level' },
  )
}

function reportOf(
  sql: Sql,
  of: { readonly runId: string; readonly epoch: number; readonly run: RecoveryRun; readonly signal: AbortSignal },
): RunReport {
  const { run, signal } = of
  // A run that is taken up again finds the same things again.
  const known = new Set(run.findings.map(nameOf))
  return {
    async progress(phase, done, total) {
      const isMine = !signal.aborted && (await saveProgress(sql, of, { phase, done, total }))
      if (!isMine) throw new CinderError('aborted', `run ${of.runId} goes on elsewhere`)
    },
    async found(findings) {
      const fresh = findings.filter((finding) => !known.has(nameOf(finding)))
      const room = Math.max(0, FINDINGS_MAX - known.size)
      for (const finding of fresh) known.add(nameOf(finding))
      const told = fresh.slice(0, room)
      if (room > 0 && fresh.length > room)
        told.push({
          kind: 'note',
          subject: 'findings',
          detail: `more than ${FINDINGS_MAX}: the rest is not listed`,
          mend: '',
          isMended: false,
        })
      await addFindings(sql, of, told)
    },
  }
}

function nameOf({ kind, subject, detail }: RecoveryFinding): string {
  assert(kind !== '', 'a finding has a kind')
  return `${kind} ${subject} ${detail}`
}
