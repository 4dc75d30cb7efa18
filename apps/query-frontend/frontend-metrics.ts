/** What a query-frontend counts of itself: who waits for admission, and how often a query-backend had to be helped out. */
import type { Registry } from '#platform/metrics/registry.ts'
import type { AdmissionGate } from './admission-gate.ts'
import type { SpreadDeps } from './spread-backend.ts'

/** As many as the setting takes. */
const BACKENDS_MAX = 64
const CLASSES_MAX = 2

export function createFrontendMetrics(registry: Registry) {
  const backends = { backend: BACKENDS_MAX }
  const retries = registry.counter('cinder_query_call_retries_total', 'Calls of a query-backend tried again.', backends)
  const hedges = registry.counter(
    'cinder_query_call_hedges_total',
    'Calls that a second query-backend got too.',
    backends,
  )
  const calls: NonNullable<SpreadDeps['on']> = {
    retry: (name) => retries.add(1, name),
    hedge: (name) => hedges.add(1, name),
  }
  return {
    calls,
    addAdmission(gate: AdmissionGate): void {
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
    },
  }
}
