/**
 * The segment-writer's contract. Shapes equal the protobuf messages of `apps/platform/proto/cinder/v1/segment_writer.proto`, so that a
 * call in process and a call by Connect carry the same values. Times in milliseconds are doubles (exact below 2^53).
 */
import type { LabelPair } from '../labels/labels.ts'

export interface WriteProfile {
  /** As received: pprof, gzip by magic 1f 8b. */
  bytes: Uint8Array
  /** RawSample.ID as sent; empty if none. A UUID becomes the profile's id that queries show. */
  clientId: string
}

/** What only `/ingest` says; the profile's name depends on its sample types, which only the writer decodes. */
export interface IngestForm {
  spyName: string
  fromNanos: bigint
  /** JSON of the form part `sample_type_config`; empty bytes if absent. */
  sampleTypeConfig: Uint8Array
  /**
   * Of the body: '' or absent is pprof; else `groups`, `lines`, `tree`, `trie`, `speedscope`, `jfr`; `otlp-1.9` or `otlp-1.10`
   * is a profile of OpenTelemetry.
   */
  format?: string | undefined
  /** Of formats that do not say what they are of: the application as named, suffix included. */
  app?: string | undefined
  untilNanos?: bigint | undefined
  /** Samples per second, a whole number; 0 = not known. */
  sampleRate?: number | undefined
  /** Of a JFR recording the form part `labels`, gzip or not. */
  recordingLabels?: Uint8Array | undefined
  /** Of profiles of OpenTelemetry, what they refer to. All series of a request have the same object; it travels once. */
  dictionary?: Uint8Array | undefined
}

export interface WriteSeries {
  labels: LabelPair[]
  profiles: WriteProfile[]
  ingest?: IngestForm | undefined
}

export interface WriteRequest {
  tenant: string
  series: WriteSeries[]
  /** Of an operator who brings old profiles: the limit of their age does not hold. All others do. */
  isImport?: boolean | undefined
  /**
   * Random, of one push by one client: it stands for the identity of profiles that came with neither id nor time, where an
   * edge may bring one push to several writers. Absent or empty: such a profile is never a duplicate.
   */
  pushId?: string | undefined
}

/** One per profile, series by series in request order. */
export interface ProfileVerdict {
  /** `stored`; `duplicate` (already counted, fine); `empty` (nothing left to store, fine); `rejected`. */
  status: string
  /** ErrorKind, reason and message of a rejection; empty otherwise. */
  kind: string
  reason: string
  message: string
  /** 0 = none. */
  retryAfterMs: number
  decompressedBytes: number
  /** Of what is stored: what the tenant's rules changed about it (core/ingest/rule-changes.ts). Absent: nothing. */
  changes?: ProfileChange[]
}

export interface ProfileChange {
  reason: string
  message: string
}

export interface WriteResponse {
  verdicts: ProfileVerdict[]
}

/** Of one call, where it goes over a network: a writer in this process knows neither. */
export interface WriteCall {
  /** Nobody waits for the answer any more. What was accepted by then may be stored all the same. */
  readonly signal?: AbortSignal | undefined
  readonly deadlineMs?: number | undefined
}

export interface SegmentWriter {
  /** Resolves when every accepted profile is durable and its metadata committed. Throws `CinderError` if nothing can be accepted. */
  write(request: WriteRequest, call?: WriteCall): Promise<WriteResponse>
}
