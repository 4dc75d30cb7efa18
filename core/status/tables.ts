/**
 * A report as tables of short texts, for the page and for the terminal alike: which columns, in which order, in which
 * units, and what deserves colour. Pure; whoever shows a cell escapes it, because names of tenants, workers and reasons
 * come from outside.
 */
import type { StatusReport } from '../rpc/status.ts'
import { formatCount, formatInstant, formatSize, formatWhen } from './words.ts'

export type Tone = 'plain' | 'quiet' | 'good' | 'warn' | 'bad'

export interface Cell {
  readonly text: string
  readonly tone: Tone
  /** 0 to 1, drawn as a bar where there is room. */
  readonly fraction?: number
}

export interface Column {
  readonly name: string
  /** Right aligned, digits of one width. */
  readonly isNumber: boolean
}

export interface StatusTable {
  /** Fragment of its address. */
  readonly id: string
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
  /** Instead of rows. */
  readonly empty: string
  /** Below the rows: what is left out. */
  readonly note: string
}

const text = (value: string, tone: Tone = 'plain'): Cell => ({ text: value, tone })
const quiet = (value: string): Cell => text(value, 'quiet')
const count = (value: number, tone: Tone = 'plain'): Cell => text(formatCount(value), value === 0 ? 'quiet' : tone)
const rate = (value: number): Cell => text(value < 10 ? value.toFixed(1) : formatCount(Math.round(value)))
const size = (value: number): Cell => text(formatSize(value), value === 0 ? 'quiet' : 'plain')

/** `name` is text, `name#` a number. */
function columns(...names: string[]): Column[] {
  return names.map((name) => ({ name: name.replace(/#$/, ''), isNumber: name.endsWith('#') }))
}

/** What one line at the top says. */
export function statusFacts(report: StatusReport): readonly (readonly [string, Cell])[] {
  const { database, nowMs, oldestInputMs, restore } = report
  const isOk = database.state === 'ok'
  const server =
    database.serverVersion === '' ? '' : `Postgres ${database.serverVersion}, schema ${database.schemaVersion}`
  return [
    ['database', text(isOk ? server : database.words, isOk ? 'good' : 'bad')],
    ['oldest input', oldestInputMs === 0 ? text('none waits', 'good') : text(formatWhen(oldestInputMs, nowMs))],
    ['retention', text(retentionWords(report.retentionDefaultMs))],
    ['version', text(report.version)],
    ['this replica', text(`${report.instanceId}, up since ${formatInstant(report.startedMs)}`, 'quiet')],
    ['time', text(formatInstant(nowMs), 'quiet')],
    ...(restore.words === ''
      ? []
      : [['recovery', text(restore.words, restore.state === 'none' ? 'plain' : 'bad')] as const]),
  ]
}

function retentionWords(retentionMs: number): string {
  return retentionMs === 0 ? 'kept for ever' : `${formatCount(retentionMs / 86_400_000)} days by default`
}

function backlogTable({ backlog, nowMs }: StatusReport): StatusTable {
  return {
    id: 'backlog',
    title: 'Compaction backlog',
    columns: columns('level', 'waiting#', 'bytes#', 'queued#', 'bytes#', 'running#', 'bytes#', 'parked#', 'oldest#'),
    rows: backlog.map((row) => [
      text(`L${row.level - 1} → L${row.level}`),
      count(row.waiting),
      size(row.waitingBytes),
      count(row.queued),
      size(row.queuedBytes),
      count(row.running, 'good'),
      size(row.runningBytes),
      count(row.parked, 'warn'),
      row.oldestMs === 0 ? quiet('–') : text(formatWhen(row.oldestMs, nowMs)),
    ]),
    empty: 'Nothing waits.',
    note: '',
  }
}

function runningTable({ running, runningTotal, nowMs }: StatusReport): StatusTable {
  return {
    id: 'running',
    title: 'Running jobs',
    columns: columns(
      'job',
      'level',
      'worker',
      'progress',
      'sources#',
      'size#',
      'taken#',
      'planned#',
      'lease#',
      'failures#',
    ),
    rows: running.map((job) => [
      text(job.jobId),
      text(`L${job.level}`),
      text(job.holder),
      { ...text(`${Math.round(job.progress * 100)} %`), fraction: job.progress },
      count(job.sources),
      size(job.sizeBytes),
      text(formatWhen(job.startedMs, nowMs)),
      quiet(formatWhen(job.createdMs, nowMs)),
      text(formatWhen(job.expiresMs, nowMs), job.expiresMs <= nowMs ? 'warn' : 'quiet'),
      count(job.failures, 'warn'),
    ]),
    empty: 'No job runs.',
    note: leftOut(running.length, runningTotal),
  }
}

function parkedTable({ parked, parkedTotal, nowMs }: StatusReport): StatusTable {
  return {
    id: 'parked',
    title: 'Parked jobs',
    columns: columns('job', 'level', 'tenant', 'sources#', 'size#', 'failures#', 'planned#', 'reason'),
    rows: parked.map((job) => [
      text(job.jobId),
      text(`L${job.level}`),
      job.tenant === '' ? quiet('several') : text(job.tenant),
      count(job.sources),
      size(job.sizeBytes),
      count(job.failures, 'warn'),
      quiet(formatWhen(job.createdMs, nowMs)),
      text(job.reason, 'warn'),
    ]),
    empty: 'None: no job has failed for good.',
    note: leftOut(parked.length, parkedTotal),
  }
}

function leasesTable({ leases, nowMs }: StatusReport): StatusTable {
  return {
    id: 'leases',
    title: 'Leases',
    columns: columns('lease', 'holder', 'held since#', 'until#', 'epoch#'),
    rows: leases.map((lease) => [
      text(lease.name),
      lease.isHeld ? text(lease.holder, 'good') : quiet(`free, last ${lease.holder}`),
      lease.isHeld ? text(formatWhen(lease.sinceMs, nowMs)) : quiet('–'),
      quiet(formatWhen(lease.expiresMs, nowMs)),
      text(formatCount(lease.epoch)),
    ]),
    empty: 'No lease was ever taken.',
    note: '',
  }
}

function dutiesTable({ duties, nowMs }: StatusReport): StatusTable {
  return {
    id: 'duties',
    title: 'Duties',
    columns: columns('duty', 'last run#', 'took#', 'next#', 'failures#', 'by', 'last error'),
    rows: duties.map((duty) => [
      text(duty.name),
      duty.isRunning ? text('runs now', 'good') : text(formatWhen(duty.startedMs, nowMs)),
      quiet(duty.finishedMs >= duty.startedMs && duty.startedMs > 0 ? `${duty.finishedMs - duty.startedMs} ms` : '–'),
      quiet(formatWhen(duty.nextDueMs, nowMs)),
      count(duty.failures, duty.failures > 2 ? 'bad' : 'warn'),
      quiet(duty.holder),
      duty.lastError === ''
        ? quiet('none')
        : text(`${formatWhen(duty.lastErrorMs, nowMs)}: ${duty.lastError}`, duty.failures > 0 ? 'warn' : 'quiet'),
    ]),
    empty: 'No duty has run yet.',
    note: '',
  }
}

function workersTable({ workers, nowMs }: StatusReport): StatusTable {
  return {
    id: 'workers',
    title: 'Compaction workers',
    columns: columns(
      'worker',
      'state',
      'address',
      'version',
      'threads#',
      'jobs',
      'memory',
      'registered#',
      'last poll#',
    ),
    rows: workers.map((worker) => [
      text(worker.workerId),
      worker.isAlive ? text('active', 'good') : text('gone', 'warn'),
      quiet(worker.address),
      quiet(worker.version),
      count(worker.threads),
      {
        ...text(`${worker.runningJobs.length} of ${worker.capacity}`),
        fraction: worker.runningJobs.length / Math.max(1, worker.capacity),
      },
      {
        ...text(`${formatSize(worker.usedBytes)} of ${formatSize(worker.budgetBytes)}`),
        fraction: worker.usedBytes / Math.max(1, worker.budgetBytes),
      },
      quiet(formatWhen(worker.registeredMs, nowMs)),
      text(formatWhen(worker.lastSeenMs, nowMs)),
    ]),
    empty: 'No worker polls: nothing is compacted or deleted.',
    note: '',
  }
}

function writersTable({ writers, placement, nowMs }: StatusReport): StatusTable {
  const slots = placement?.slots ?? 0
  return {
    id: 'writers',
    title: 'Segment writers',
    columns: columns(
      'writer',
      'state',
      'address',
      'slots',
      'profiles/s#',
      'bytes/s#',
      'registered#',
      'until#',
      'epoch#',
    ),
    rows: writers.map((writer) => [
      text(writer.writerId),
      writer.state === 'serving' ? text('serving', 'good') : text(writer.state, 'warn'),
      quiet(writer.address),
      { ...text(`${formatCount(writer.slots)} of ${formatCount(slots)}`), fraction: writer.slots / Math.max(1, slots) },
      rate(writer.profilesPerSecond),
      size(Math.round(writer.bytesPerSecond)),
      quiet(formatWhen(writer.registeredMs, nowMs)),
      quiet(formatWhen(writer.expiresMs, nowMs)),
      text(formatCount(writer.epoch)),
    ]),
    empty: 'None has registered: a distributor names its writer by address.',
    note:
      placement === undefined
        ? ''
        : `Placement table ${placement.generation}, changed ${formatWhen(placement.changedMs, nowMs)}.`,
  }
}

function spreadTable({ placement }: StatusReport): StatusTable {
  const services = placement?.services ?? []
  return {
    id: 'spread',
    title: 'Services over several slots',
    columns: columns('tenant', 'service', 'slots#', 'writers#', 'profiles/s#', 'bytes/s#'),
    rows: services.map((service) => [
      text(service.tenant),
      text(service.service),
      count(service.width),
      count(service.writers),
      rate(service.profilesPerSecond),
      size(Math.round(service.bytesPerSecond)),
    ]),
    empty: 'None: every service fits into one.',
    note: leftOut(services.length, placement?.servicesTotal ?? 0, 'they are in GET /api/v1/placement.'),
  }
}

function tombstonesTable({ tombstones, nowMs }: StatusReport): StatusTable {
  const { queued, due, overdue, oldestDueMs, deleting, refused, refusal } = tombstones
  const isQuiet = queued === 0
  return {
    id: 'tombstones',
    title: 'Objects to delete',
    columns: columns('queued#', 'past their grace#', 'overdue#', 'being deleted#', 'refused#', 'oldest due#'),
    rows: isQuiet
      ? []
      : [
          [
            count(queued),
            count(due),
            count(overdue, 'bad'),
            count(deleting, 'good'),
            count(refused, 'warn'),
            text(formatWhen(oldestDueMs, nowMs)),
          ],
        ],
    empty: 'None.',
    note: refusal === '' ? '' : `The store refused: ${refusal}`,
  }
}

function deletionsTable({ deletions, nowMs }: StatusReport): StatusTable {
  return {
    id: 'deletions',
    title: 'Tenants and retention on their way out',
    columns: columns('what', 'tenant', 'service', 'state', 'takes effect#', 'detail'),
    rows: deletions.map((deletion) => [
      text(deletion.kind),
      text(deletion.tenant),
      deletion.service === '' ? quiet('all') : text(deletion.service),
      text(deletion.state, deletion.state === 'done' ? 'good' : 'warn'),
      text(formatWhen(deletion.effectiveMs, nowMs)),
      quiet(deletion.detail),
    ]),
    empty: 'No tenant is being deleted, no change of retention is announced.',
    note: '',
  }
}

function leftOut(shown: number, total: number, where = 'cinder jobs list shows them all.'): string {
  return total > shown ? `${formatCount(total - shown)} more: ${where}` : ''
}

export type StatusView = 'status' | 'jobs' | 'ring' | 'writers'

/** The tables of a view, in the order in which a person who was woken up asks. */
export const TABLES_OF_VIEW: Readonly<Record<StatusView, readonly ((report: StatusReport) => StatusTable)[]>> = {
  status: [
    backlogTable,
    parkedTable,
    runningTable,
    leasesTable,
    dutiesTable,
    tombstonesTable,
    deletionsTable,
    workersTable,
    writersTable,
    spreadTable,
  ],
  jobs: [backlogTable, runningTable, parkedTable],
  ring: [workersTable, writersTable, leasesTable],
  writers: [writersTable, spreadTable],
}
