/** What a writer holds and has done, as gauges read at a scrape. */
import type { Registry } from '#platform/metrics/registry.ts'
import type { SegmentWriterStatus } from './app.ts'

export function addWriterMetrics(registry: Registry, status: () => SegmentWriterStatus): void {
  const pending = registry.gauge('cinder_writer_pending_bytes', 'Bytes of pushes that are not settled.')
  const peak = registry.gauge(
    'cinder_writer_pending_bytes_peak',
    'Most bytes of pushes that were not settled, since the start.',
  )
  const flushes = registry.gauge('cinder_writer_flushes_in_flight', 'Segments on their way to the store.')
  const segments = registry.reading('cinder_writer_segments_total', 'Segments committed, since the start.')
  const shed = registry.reading('cinder_writer_shed_total', 'Pushes refused because memory was full, since the start.')
  const journalled = registry.reading(
    'cinder_writer_journalled_total',
    'Commits written to the journal, since the start.',
  )
  registry.collect(() => {
    const { journalled: entries, pendingBytes, peakPendingBytes, flushesInFlight, shed: refused, ...done } = status()
    pending.set(pendingBytes)
    peak.set(peakPendingBytes)
    flushes.set(flushesInFlight)
    segments.set(done.segments)
    shed.set(refused)
    journalled.set(entries)
  })
}
