/**
 * A segment-writer whose pushes are counted, under the names that dashboards of the peers ask for. All pushes pass here,
 * whatever runtime their edge has, so the figures are complete where the edge cannot be scraped.
 */
import type { SegmentWriter, WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { type Registry, SIZE_BUCKETS } from './registry.ts'

/** The largest tenants by order of arrival; the rest counts as `other`. */
export const TENANTS_MAX = 200
const REASONS_MAX = 60
/** The clock. */
const REPAIRS_MAX = 8

export function meterPushes(inner: SegmentWriter, registry: Registry): SegmentWriter {
  const tenant = { tenant: TENANTS_MAX }
  const sizes = { buckets: SIZE_BUCKETS, labels: tenant }
  const perReason = { reason: REASONS_MAX, ...tenant }
  const compressed = registry.histogram(
    'pyroscope_distributor_received_compressed_bytes',
    'The number of compressed bytes per profile received.',
    sizes,
  )
  const decompressed = registry.histogram(
    'pyroscope_distributor_received_decompressed_bytes',
    'The number of decompressed bytes per profile received.',
    sizes,
  )
  const profiles = registry.counter('pyroscope_distributor_profiles_received_total', 'Profiles received.', tenant)
  const discarded = registry.counter(
    'pyroscope_discarded_samples_total',
    'Profiles refused or dropped, by reason.',
    perReason,
  )
  const discardedBytes = registry.counter(
    'pyroscope_discarded_bytes_total',
    'Decompressed bytes of profiles refused or dropped.',
    perReason,
  )
  const duplicates = registry.counter(
    'cinder_duplicate_profiles_total',
    'Profiles that had been counted before.',
    tenant,
  )
  const repaired = registry.counter(
    'cinder_repaired_profiles_total',
    'Profiles stored in another way than they came, by what was repaired.',
    { reason: REPAIRS_MAX, ...tenant },
  )
  return {
    async write(...call) {
      const [request] = call
      let response: WriteResponse
      const sizesSent = sizesOf(request)
      try {
        response = await inner.write(...call)
      } catch (error) {
        const reason = error instanceof Error && 'reason' in error ? String(error.reason) : 'internal'
        discarded.add(sizesSent.length, reason, request.tenant)
        throw error
      }
      response.verdicts.forEach(({ status, reason, decompressedBytes }, i) => {
        profiles.add(1, request.tenant)
        compressed.observe(sizesSent[i] ?? 0, request.tenant)
        decompressed.observe(decompressedBytes, request.tenant)
        if (status === 'duplicate') duplicates.add(1, request.tenant)
        if (status === 'stored' && reason !== '') repaired.add(1, reason, request.tenant)
        if (status !== 'rejected' && status !== 'dropped') return
        discarded.add(1, reason, request.tenant)
        discardedBytes.add(decompressedBytes, reason, request.tenant)
      })
      return response
    },
  }
}

/** Before the call: the bytes may be freed with the answer. */
function sizesOf(request: WriteRequest): number[] {
  return request.series.flatMap((series) => series.profiles.map(({ bytes }) => bytes.length))
}
