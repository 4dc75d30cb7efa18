/**
 * Bodies that are no pprof yet, before anything is known of their services: each becomes the series it holds, or a verdict.
 * What is pprof already passes through, or has a decoder of its own (JFR, OpenTelemetry). A form that this version does not
 * know is refused as retryable: taken for pprof it would be malformed, and the agent would drop it, though the next writer
 * or the next version knows it. Synchronous, and bounded by the tenant's limit of a profile's size.
 */
import { CinderError } from '#core/errors.ts'
import { isTextFormat, readTextProfile } from '#core/ingest/text-profile.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { IngestForm, ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { isOtlp } from './otlp-intake.ts'
import { isRecording } from './recording-intake.ts'
import { emptyVerdict, rejectedVerdict } from './verdicts.ts'

export type ReadSeries =
  | { readonly kind: 'series'; readonly series: WriteSeries }
  | { readonly kind: 'verdict'; readonly verdict: ProfileVerdict }

export function* readBodies(request: readonly WriteSeries[], limits: TenantLimits): Generator<ReadSeries> {
  for (const series of request) {
    const { ingest } = series
    if (!isTextFormat(ingest?.format)) {
      if (isRead(ingest)) yield { kind: 'series', series }
      else for (const { bytes } of series.profiles) yield unknownFormat(ingest!, bytes.length)
      continue
    }
    for (const { bytes } of series.profiles) yield* readText(series, bytes, limits)
  }
}

function isRead(ingest: IngestForm | undefined): boolean {
  return !ingest?.format || isRecording(ingest) || isOtlp(ingest)
}

function unknownFormat({ format }: IngestForm, sizeBytes: number): ReadSeries {
  const error = new CinderError(
    'unavailable',
    `this writer does not know the form ${JSON.stringify(format)} of a profile: upgrade segment-writers before distributors`,
    { reason: 'unknown_format', outcome: 'not-applied', retryAfterMs: 1000 },
  )
  return { kind: 'verdict', verdict: rejectedVerdict(error, sizeBytes) }
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
