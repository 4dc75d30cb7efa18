/**
 * A JFR recording on its way in: one push that becomes a profile a profile type, all of one request, one service, one
 * time. They are stored together or not at all.
 *
 * What an agent says goes with the request (`from`, `until`, `sampleRate`); what the profiler says of itself (`event`)
 * becomes the label `jfr_event`. The names of labels are Pyroscope's.
 */
import { CinderError } from '#core/errors.ts'
import type { Recording, RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import { LABEL_NAME, type LabelPair } from '#core/labels/labels.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { MIB } from '#core/units.ts'

const LABEL_JFR_EVENT = 'jfr_event'

/** The labels of 100,000 contexts; agents send under 100 KB. */
const LABELS_BYTES_MAX = 8 * MIB

export function isRecording(ingest: IngestForm | undefined): ingest is IngestForm {
  return ingest?.format === 'jfr'
}

/** Of what is decoded: what it may be after inflating, and is where it came as it is. */
function checkRecordingSize(bytes: Uint8Array, { maxRecordingSizeBytes }: TenantLimits): void {
  if (maxRecordingSizeBytes === 0 || bytes.length <= maxRecordingSizeBytes) return
  throw new CinderError(
    'invalid_argument',
    `the JFR recording exceeds the size limit (maxRecordingSizeBytes, actual: ${bytes.length}, limit: ${maxRecordingSizeBytes}): upload more often, or raise the limit`,
    { reason: 'profile_size_limit' },
  )
}

/** In slices, the last of which has the recording; it is borrowed until the decoder's next. */
export function decodeRecording(
  decoder: RecordingDecoder,
  of: {
    readonly raw: Uint8Array
    readonly ingest: IngestForm
    readonly limits: TenantLimits
    readonly codec: Codec
  },
): Generator<void, Recording> {
  const { raw, ingest, limits, codec } = of
  const { fromNanos, untilNanos = fromNanos, sampleRate = 0, recordingLabels = new Uint8Array(0) } = ingest
  checkRecordingSize(raw, limits)
  const isGzip = recordingLabels[0] === 0x1f && recordingLabels[1] === 0x8b
  return decoder.decodeInSlices({
    bytes: raw,
    labels: isGzip ? codec.gunzip(recordingLabels, LABELS_BYTES_MAX) : recordingLabels,
    timeNanos: fromNanos,
    durationNanos: untilNanos > fromNanos ? untilNanos - fromNanos : 0n,
    sampleRate,
    maxSamples: limits.maxSamples,
    maxStackDepth: limits.maxStackDepth,
    maxSymbolBytes: limits.maxSymbolBytes,
  })
}

/** Of one of its profiles. */
export function recordingLabels(labels: readonly LabelPair[], event: string, name: string): readonly LabelPair[] {
  const others = labels.filter((label) => label.name !== LABEL_NAME && (event === '' || label.name !== LABEL_JFR_EVENT))
  const named = [...others, { name: LABEL_NAME, value: name }]
  return event === '' ? named : [...named, { name: LABEL_JFR_EVENT, value: event }]
}

/** Of the tables that all profiles of a recording share: what they are made of. */
export function recordingTablesDigest(
  digest: Digest,
  raw: Uint8Array,
  ingest: IngestForm,
  limits: TenantLimits,
): Uint8Array {
  const labels = ingest.recordingLabels ?? new Uint8Array(0)
  const settings = new TextEncoder().encode(`jfr ${limits.maxSymbolBytes} ${limits.maxStackDepth}`)
  const parts = new Uint8Array(32 + settings.length)
  parts.set(digest.digest128(raw))
  parts.set(digest.digest128(labels), 16)
  parts.set(settings, 32)
  return digest.digest128(parts)
}
