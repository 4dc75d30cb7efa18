/** What a worker has and has done, as figures read at a scrape. Job counts by level are those of the metered metastore. */
import type { Registry } from '#platform/metrics/registry.ts'
import type { WorkerStatus } from './worker-status.ts'

export function addWorkerMetrics(registry: Registry, status: () => WorkerStatus): void {
  const budget = registry.gauge('cinder_worker_memory_budget_bytes', 'Memory that jobs may take together.')
  const used = registry.gauge('cinder_worker_memory_used_bytes', 'Memory that running jobs have taken.')
  const capacity = registry.gauge('cinder_worker_capacity_jobs', 'Jobs that run at once at most.')
  const samples = registry.reading('cinder_worker_samples_total', 'Samples of the sources of committed jobs.')
  const input = registry.reading('cinder_worker_input_bytes_total', 'Bytes of the sources of committed jobs.')
  const quarantined = registry.reading(
    'cinder_worker_quarantined_total',
    'Jobs whose outputs did not hold what their sources hold: kept below quarantine/, not published.',
  )
  const totalsLeftOut = registry.reading(
    'cinder_worker_totals_left_out_total',
    'Merged datasets without their totals by function, because those did not add up.',
  )
  registry.collect(() => {
    const now = status()
    budget.set(now.budgetBytes)
    used.set(now.usedBytes)
    capacity.set(now.capacity)
    samples.set(now.samples)
    quarantined.set(now.quarantined)
    totalsLeftOut.set(now.totalsLeftOut)
    input.set(now.inputBytes)
  })
}
