/**
 * Bodies that are no pprof yet, before anything is known of their services: each becomes the series it holds, or a verdict.
 * What is pprof already passes through. Synchronous, and bounded by the tenant's limit of a profile's size.
 */
import { CinderError } from '#core/errors.ts'
import { isTextFormat, readTextProfile } from '#core/ingest/text-profile.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { emptyVerdict, rejectedVerdict } from './verdicts.ts'

export type ReadSeries =
  | { readonly kind: 'series'; readonly series: WriteSeries }
  | { readonly kind: 'verdict'; readonly verdict: ProfileVerdict }

export function* readBodies(request: readonly WriteSeries[], limits: TenantLimits): Generator<ReadSeries> {
  for (const series of request) {
    if (!isTextFormat(series.ingest?.format)) {
      yield { kind: 'series', series }
      continue
    }
    for (const { bytes } of series.profiles) yield* readText(series, bytes, limits)
  }
}

function* readText({ labels, ingest }: WriteSeries, bytes: Uint8Array, limits: TenantLimits): Generator<ReadSeries> {
  const read = readTextProfile({ labels, ingest: ingest!, bytes }, limits)
  if (!read.ok) {
    const error = new CinderError('invalid_argument', read.fault.message, { reason: read.fault.reason })
    yield { kind: 'verdict', verdict: rejectedVerdict(error, bytes.length) }
    return
  }
  if (read.series.length === 0) yield { kind: 'verdict', verdict: emptyVerdict(bytes.length) }
  for (const series of read.series) yield { kind: 'series', series }
}
