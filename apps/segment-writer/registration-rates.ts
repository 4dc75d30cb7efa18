/**
 * A segment-writer whose pushes are metered by tenant and service: what it took in, in decompressed bytes, as verdicts
 * say. What it refused is no load that more writers would share.
 */
import type { RateMeter } from '#core/placement/rate-meter.ts'
import { serviceOfSeries } from '#core/placement/series-key.ts'
import type { ProfileVerdict, SegmentWriter } from '#core/rpc/segment-writer.ts'

export function meterRates(inner: SegmentWriter, meter: RateMeter): SegmentWriter {
  return {
    async write(request, call) {
      // Before the call: labels may be given back with the answer.
      const sent = request.series.map((series) => ({
        service: serviceOfSeries(series),
        profiles: series.profiles.length,
      }))
      const answer = await inner.write(request, call)
      let at = 0
      for (const { service, profiles } of sent) {
        // A body of text, which comes alone, makes as many verdicts as it holds profiles.
        const end = sent.length === 1 ? answer.verdicts.length : at + profiles
        const taken = sumTaken(answer.verdicts.slice(at, end))
        if (taken.profiles > 0) meter.note({ tenant: request.tenant, service, ...taken })
        at = end
      }
      return answer
    },
  }
}

function sumTaken(verdicts: readonly ProfileVerdict[]): { readonly bytes: number; readonly profiles: number } {
  let bytes = 0
  let profiles = 0
  for (const { status, decompressedBytes } of verdicts) {
    if (status === 'rejected') continue
    bytes += decompressedBytes
    profiles++
  }
  return { bytes, profiles }
}
