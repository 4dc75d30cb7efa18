/**
 * The status report as gauges: what alert rules and dashboards look at. Read anew at a scrape, at most once a second
 * (status.ts). Every replica says the same of the shared state, so rules take the maximum, not the sum.
 */
import type { StatusReport, StatusService } from '#core/rpc/status.ts'
import type { Counter, Gauge, Registry } from '#platform/metrics/registry.ts'

const LEVELS_MAX = 16
const LEASES_MAX = 64
const DUTIES_MAX = 64

type Set = (report: StatusReport) => void

export function addStatusMetrics(registry: Registry, status: StatusService): void {
  const setters = [
    addDatabase(registry),
    addBacklog(registry),
    addLeases(registry),
    addDuties(registry),
    addQueues(registry),
    addPlacement(registry),
  ]
  registry.collect(async () => {
    const report = await status.getStatus()
    for (const set of setters) set(report)
  })
}

function addDatabase(registry: Registry): Set {
  const up = registry.gauge('cinder_database_up', '1 if the database answers and takes writes.')
  const state = registry.gauge('cinder_database_state', '1 for the state that the database is in.', { state: 16 })
  const failed = registry.gauge('cinder_status_sections_failed', 'Parts of the status report that could not be read.')
  const restore = registry.gauge(
    'cinder_restore_detected',
    '1 while the database is behind its bucket: nothing is deleted.',
  )
  const transaction = registry.gauge(
    'cinder_database_oldest_transaction_seconds',
    'Age of the oldest transaction that keeps vacuum waiting.',
  )
  return ({ database, nowMs, failed: sections, restore: { state: restoreState } }) => {
    transaction.set(ageSeconds(database.oldTransaction?.sinceMs ?? 0, nowMs))
    up.set(Number(database.state === 'ok'))
    state.clear()
    state.set(1, database.state)
    failed.set(sections.length)
    restore.set(Number(restoreState !== 'none'))
  }
}

/** `level` is that of the inputs, as the peers have it: 0 is what writers put. */
function addBacklog(registry: Registry): Set {
  const jobs = registry.gauge(
    'pyroscope_metastore_compaction_scheduler_queue_jobs',
    'The total number of jobs in the queue.',
    {
      level: LEVELS_MAX,
      status: 4,
    },
  )
  const waiting = registry.gauge('cinder_compaction_waiting_objects', 'Inputs that no job holds yet.', {
    level: LEVELS_MAX,
  })
  const bytes = registry.gauge('cinder_compaction_backlog_bytes', 'Bytes of inputs that wait, are queued or run.', {
    level: LEVELS_MAX,
  })
  const age = registry.gauge(
    'cinder_compaction_backlog_age_seconds',
    'Age of the oldest input or job that is not done.',
    {
      level: LEVELS_MAX,
    },
  )
  const input = registry.gauge(
    'cinder_compaction_oldest_input_age_seconds',
    'Age of the oldest segment that waits for its first compaction.',
  )
  return ({ backlog, nowMs, oldestInputMs }) => {
    for (const gauge of [jobs, waiting, bytes, age]) gauge.clear()
    for (const row of backlog) {
      const level = String(row.level - 1)
      jobs.set(row.queued, level, 'unassigned')
      jobs.set(row.running, level, 'assigned')
      jobs.set(row.parked, level, 'failed')
      waiting.set(row.waiting, level)
      bytes.set(row.waitingBytes + row.queuedBytes + row.runningBytes, level)
      age.set(ageSeconds(row.oldestMs, nowMs), level)
    }
    input.set(ageSeconds(oldestInputMs, nowMs))
  }
}

function addLeases(registry: Registry): Set {
  const held = registry.gauge('cinder_lease_held', '1 while somebody holds the lease.', { lease: LEASES_MAX })
  const epoch = registry.gauge('cinder_lease_epoch', 'Term of the lease: it grows with every holder.', {
    lease: LEASES_MAX,
  })
  const changes = registry.counter('cinder_lease_holder_changes_total', 'Holders seen after another one.', {
    lease: LEASES_MAX,
  })
  const holders = new Map<string, string>()
  return ({ leases }) => {
    held.clear()
    epoch.clear()
    for (const lease of leases) {
      held.set(Number(lease.isHeld), lease.name)
      epoch.set(lease.epoch, lease.name)
      noteHolder(holders, changes, lease)
    }
  }
}

function noteHolder(
  holders: Map<string, string>,
  changes: Counter,
  { name, holder }: { name: string; holder: string },
): void {
  const last = holders.get(name)
  changes.add(last === undefined || last === holder ? 0 : 1, name)
  if (holders.size < LEASES_MAX || last !== undefined) holders.set(name, holder)
}

function addDuties(registry: Registry): Set {
  const labels = { duty: DUTIES_MAX }
  const failures = registry.gauge('cinder_duty_failures', 'Failed runs of the duty in a row.', labels)
  const last = registry.gauge(
    'cinder_duty_last_run_timestamp_seconds',
    'End of the last run of the duty; 0 = none.',
    labels,
  )
  return ({ duties }) => {
    failures.clear()
    last.clear()
    for (const duty of duties) {
      failures.set(duty.failures, duty.name)
      last.set(duty.finishedMs / 1_000, duty.name)
    }
  }
}

function addPlacement(registry: Registry): Set {
  const generation = registry.gauge('cinder_placement_generation', 'Of the placement table that edges read.')
  const writers = registry.gauge('cinder_placement_writers', 'Registered segment-writers.', { state: 4 })
  const slots = registry.gauge('cinder_placement_slots_max', 'Routing slots of the writer that has the most.')
  const spread = registry.gauge('cinder_placement_spread_services', 'Services over more than one slot.')
  const width = registry.gauge('cinder_placement_width_max', 'Slots of the widest service.')
  return ({ placement, writers: registered }) => {
    generation.set(placement?.generation ?? 0)
    spread.set(placement?.servicesTotal ?? 0)
    width.set(placement?.services[0]?.width ?? 1)
    writers.clear()
    for (const state of ['serving', 'leaving', 'away'])
      writers.set(registered.filter((writer) => writer.state === state).length, state)
    slots.set(registered.reduce((most, writer) => Math.max(most, writer.slots), 0))
  }
}

function addQueues(registry: Registry): Set {
  const gauge = (name: string, help: string): Gauge => registry.gauge(name, help)
  const parked = gauge('cinder_jobs_parked', 'Jobs that failed for good and wait for a person.')
  const queued = gauge('cinder_tombstones', 'Objects that wait to be deleted.')
  const due = gauge('cinder_tombstones_due', 'Objects past their grace.')
  const overdue = gauge('cinder_tombstones_overdue', 'Objects that should be deleted by now.')
  const refused = gauge('cinder_tombstones_refused', 'Objects that the store refused to delete.')
  const workers = gauge('cinder_compaction_workers', 'Workers that poll.')
  const deletions = gauge('cinder_deletions_open', 'Deletions of tenants and changes of retention on their way.')
  return ({ parkedTotal, tombstones, workers: list, deletions: open }) => {
    parked.set(parkedTotal)
    queued.set(tombstones.queued)
    due.set(tombstones.due)
    overdue.set(tombstones.overdue)
    refused.set(tombstones.refused)
    workers.set(list.filter(({ isAlive }) => isAlive).length)
    deletions.set(open.filter(({ state }) => state !== 'done' && state !== 'restored').length)
  }
}

function ageSeconds(sinceMs: number, nowMs: number): number {
  return sinceMs === 0 ? 0 : Math.max(0, nowMs - sinceMs) / 1_000
}
