/**
 * What a person should look at, from a report: a pure table of rules, worst first. The alert rules of
 * apps/metastore/alerts watch the same facts with the same thresholds.
 *
 * It must not depend on more than the report: whoever reads the report can repeat the judgement.
 */
import type { Concern, StatusReport } from '../rpc/status.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'
import { oldTransactionConcern } from './old-transaction.ts'
import { formatAge, formatCount, NOT_CONSERVED } from './words.ts'

export interface ConcernThresholds {
  /** First compaction: past it queries open many small objects. */
  readonly inputAgeMs: number
  /** Far past it: nothing compacts. */
  readonly inputAgeCriticalMs: number
  /** A lease of a duty that nobody holds for so long is not being moved. */
  readonly leaseFreeMs: number
  readonly dutyFailures: number
  readonly writerAwayMs: number
}

export const CONCERN_THRESHOLDS: ConcernThresholds = {
  // The promise is 15 s; a minute is four of them, and past any restart.
  inputAgeMs: MS_PER_MINUTE,
  inputAgeCriticalMs: 10 * MS_PER_MINUTE,
  // Planning renews every 2.5 s and moves within two lease periods (10 s) after a death.
  leaseFreeMs: 30 * MS_PER_SECOND,
  // Three in a row are about 35 s of retries: no blip.
  dutyFailures: 3,
  // A restart takes less; ten minutes later it is forgotten.
  writerAwayMs: MS_PER_MINUTE,
}

/** The one lease that is held all the time; the others are held while their duty runs. */
const STANDING_LEASES = ['planning']

type Rule = (report: StatusReport, thresholds: ConcernThresholds) => Concern[]

export function findConcerns(report: StatusReport, thresholds: ConcernThresholds = CONCERN_THRESHOLDS): Concern[] {
  const found = RULES.flatMap((rule) => rule(report, thresholds))
  return [...found.filter(isCritical), ...found.filter((concern) => !isCritical(concern))]
}

function isCritical({ severity }: Concern): boolean {
  return severity === 'critical'
}

const critical = (subject: string, text: string): Concern => ({ severity: 'critical', subject, text })
const warning = (subject: string, text: string): Concern => ({ severity: 'warning', subject, text })

const database: Rule = ({ database: { state, words, lastError } }) =>
  state === 'ok' ? [] : [critical('database', lastError === '' ? words : `${words} (${lastError})`)]

const sections: Rule = ({ failed, database: { state } }) =>
  // While the database is away every section fails for that one reason.
  state === 'ok' ? failed.map(({ section, message }) => warning(section, `could not be read: ${message}`)) : []

const restore: Rule = ({ restore: { state, words } }) =>
  state === 'none' || state === '' ? [] : [critical('restore', words)]

const store: Rule = ({ store: seen, nowMs }) => {
  if (seen === undefined || seen.state === 'ok' || seen.state === '') return []
  const what =
    seen.state === 'no-writes'
      ? 'takes no writes: pushes are answered as retryable, and nothing is compacted'
      : 'does not answer: pushes and queries fail'
  return [
    critical('object store', `${what}, since ${formatAge(Math.max(0, nowMs - seen.sinceMs))} (${seen.lastError})`),
  ]
}

const firstCompaction: Rule = ({ nowMs, oldestInputMs, workers }, { inputAgeMs, inputAgeCriticalMs }) => {
  if (oldestInputMs === 0) return []
  const ageMs = nowMs - oldestInputMs
  const hasWorker = workers.some(({ isAlive }) => isAlive)
  const why = hasWorker ? 'see the jobs and the log of the workers' : 'no worker polls'
  const text = `a segment has waited ${formatAge(ageMs)} for its first compaction: ${why}`
  if (ageMs >= inputAgeCriticalMs) return [critical('compaction', text)]
  return ageMs >= inputAgeMs ? [warning('compaction', text)] : []
}

const unconserved: Rule = ({ parked: jobs }) => {
  const found = jobs.filter(({ reason }) => reason.startsWith(NOT_CONSERVED))
  if (found.length === 0) return []
  const which = found.length === 1 ? `job ${found[0]!.jobId} is` : `${formatCount(found.length)} jobs are`
  return [
    critical('jobs', `${which} ${NOT_CONSERVED}: a merge has a fault, nothing was published; see quarantine/outputs/`),
  ]
}

const parked: Rule = ({ parkedTotal }) => {
  if (parkedTotal === 0) return []
  const what = parkedTotal === 1 ? '1 job is parked: its' : `${formatCount(parkedTotal)} jobs are parked: their`
  return [warning('jobs', `${what} data stays readable; see cinder jobs list --state parked, mend the cause, retry`)]
}

const leases: Rule = ({ leases, nowMs }, { leaseFreeMs }) =>
  leases
    .filter(
      ({ name, isHeld, expiresMs }) => STANDING_LEASES.includes(name) && !isHeld && nowMs - expiresMs > leaseFreeMs,
    )
    .map(({ name, holder, expiresMs }) =>
      critical('leases', `nobody holds ${name} since ${formatAge(nowMs - expiresMs)}; ${holder} held it last`),
    )

const duties: Rule = ({ duties }, { dutyFailures }) =>
  duties
    .filter(({ failures }) => failures >= dutyFailures)
    .map(({ name, failures, lastError }) =>
      warning('duties', `${name} failed ${formatCount(failures)} times in a row: ${lastError || 'its process died'}`),
    )

/** Away for longer than edges and slots wait: its machine is gone, or it cannot reach the metastore. */
const writers: Rule = ({ writers: all, nowMs }, { writerAwayMs }) => {
  const known = all.filter(({ state }) => state !== '')
  if (known.length > 0 && known.every(({ state }) => state === 'away'))
    return [critical('writers', 'no segment-writer renews its registration: pushes go by the last table')]
  return known
    .filter(({ state, expiresMs }) => state === 'away' && nowMs - expiresMs > writerAwayMs)
    .map(({ writerId, expiresMs }) =>
      warning('writers', `${writerId} has not renewed its registration since ${formatAge(nowMs - expiresMs)}`),
    )
}

const tombstones: Rule = ({ tombstones: { overdue, oldestDueMs }, nowMs }) =>
  overdue === 0
    ? []
    : [
        warning(
          'deletion',
          `${formatCount(overdue)} objects should be deleted by now, the oldest since ${formatAge(nowMs - oldestDueMs)}: ` +
            `workers may be away, or may not delete in the store`,
        ),
      ]

const RULES: readonly Rule[] = [
  database,
  store,
  restore,
  leases,
  unconserved,
  firstCompaction,
  sections,
  parked,
  duties,
  writers,
  tombstones,
  oldTransactionConcern,
]
