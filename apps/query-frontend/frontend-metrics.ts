/** What a query-frontend counts of itself: who waits for admission, and how often a query-backend had to be helped out. */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { ADMISSION_DEFAULT } from '#core/query/admission.ts'
import type { MissingDataset } from '#core/query/plan-missing.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import { AdmissionGate } from './admission-gate.ts'
import type { QuerySources } from './execute.ts'
import type { SpreadDeps } from './spread-backend.ts'

/** As many as the setting takes. */
const BACKENDS_MAX = 64
/** Gone and damaged. */
const FAULTS_MAX = 2
/** Light and heavy. */
const CLASSES_MAX = 2

/** Calls that were helped out, by the backend that needed it, and by the one that helped. */
export function callMetrics(registry: Registry): NonNullable<SpreadDeps['on']> {
  const backends = { backend: BACKENDS_MAX }
  const retries = registry.counter('cinder_query_call_retries_total', 'Calls of a query-backend tried again.', backends)
  const hedges = registry.counter(
    'cinder_query_call_hedges_total',
    'Calls that a second query-backend got too.',
    backends,
  )
  return { retry: (name) => retries.add(1, name), hedge: (name) => hedges.add(1, name) }
}

/** What a frontend on Bun is given beside its services. */
export function openGuards(clock: Clock, registry: Registry, log: Log) {
  return { admission: openAdmission(clock, registry), onMissing: missingMetrics(registry, log) }
}

/** What answers lack: counted, and named in the log, because few clients show the warning. */
function missingMetrics(registry: Registry, log: Log): NonNullable<QuerySources['onMissing']> {
  const datasets = registry.counter('cinder_query_missing_datasets_total', 'Datasets that answers lack.', {
    fault: FAULTS_MAX,
  })
  // From the start: the first ones would be no increase otherwise.
  for (const fault of ['gone', 'damaged']) datasets.add(0, fault)
  return (missing) => {
    for (const { fault } of missing) datasets.add(1, fault)
    const [{ objectId, reason }] = missing as [MissingDataset]
    log.warn('query answered without datasets', { datasets: missing.length, objectId, reason })
  }
}

/** The gate of one process, with its figures at every scrape. */
function openAdmission(clock: Clock, registry: Registry): AdmissionGate {
  const gate = new AdmissionGate(ADMISSION_DEFAULT, clock)
  const classes = { class: CLASSES_MAX }
  const running = registry.gauge('cinder_query_admission_running', 'Queries that read.', classes)
  const waiting = registry.gauge('cinder_query_admission_waiting', 'Queries that wait for their turn.', classes)
  const memory = registry.gauge('cinder_query_admission_memory_bytes', 'What running queries may hold.', classes)
  registry.collect(() => {
    for (const [name, status] of Object.entries(gate.status)) {
      running.set(status.running, name)
      waiting.set(status.waiting, name)
      memory.set(status.memoryBytes, name)
    }
  })
  return gate
}
