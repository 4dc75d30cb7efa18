/**
 * Takes one pushed profile in: bytes to rows of a head, or a verdict why not. Synchronous and without I/O.
 *
 * Order, which decides the error that a client sees first: inflate, tenant's rate, decode, repairs and name (`/ingest`), the
 * pipeline of core/ingest/pipeline.ts, room in the segment, append. The identity is taken from bytes, labels and time as sent, before any of them is changed.
 */
import { CinderError } from '#core/errors.ts'
import { ingestLabels } from '#core/ingest/profile-name.ts'
import { type LabelsResult, type PipelineResult, runPipeline, servicesFault } from '#core/ingest/pipeline.ts'
import type { RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import { changeBit, type RuleChange } from '#core/ingest/rule-changes.ts'
import { decodeRepairs, repairIngestProfile } from '#core/ingest/spy-repairs.ts'
import { getLabel, LABEL_SERVICE_NAME, labelsKey } from '#core/labels/labels.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { withServiceName } from '#core/pprof/service-name.ts'
import type { SplitProfile } from '#core/pprof/split.ts'
import { profileTimeNanos } from '#core/pprof/validate.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { PROFILE_ID_BYTES, SPLIT_SERIES_MAX } from '#core/segment/head.ts'
import { positionalProfileId, profileIdOf } from '#core/segment/profile-id.ts'
import { tablesDigestOf } from '#core/segment/tables-digest.ts'
import { hourStartMs, MIB, MS_PER_HOUR, NANOS_PER_MS } from '#core/units.ts'
import type { TakeAnswer, TakeInput } from './head-shard.ts'
import { isOtlp, type OtlpRequests } from './otlp-intake.ts'
import type { PolicyCache } from './policy-cache.ts'
import { decodeRecording, isRecording, recordingLabels, recordingTablesDigest } from './recording-intake.ts'
import type { RequestOrdinals } from './request-ordinals.ts'
import type { ShardBatch } from './shard-batch.ts'
import type { TenantRates } from './tenant-rates.ts'
import { droppedVerdict, emptyVerdict, rejectedVerdict } from './verdicts.ts'
import { BATCH_HEADERS_LIMIT, type WriterAccount } from './writer-account.ts'

/** 256 MiB, the default of a whole request: inflating is bounded even where a tenant's limits are off. */
const INFLATED_BYTES_MAX = 256 * MIB

const encoder = new TextEncoder()

/** Reason of what is refused because one commit would not take it. */
export const BATCH_LIMIT = 'batch_limit'

export interface IntakeDeps {
  readonly codec: Codec
  readonly digest: Digest
  readonly decoder: ProfileDecoder
  readonly recordings: RecordingDecoder
  readonly otlp: OtlpRequests
  readonly policies: PolicyCache
  /** Undefined where somebody else counts. */
  readonly rates: TenantRates | undefined
  readonly account: WriterAccount
  /** Which of how many: positional ids of two shards never meet. */
  readonly shard: { readonly index: number; readonly count: number }
}

export interface IntakeInput extends TakeInput {
  readonly ordinals: RequestOrdinals
  readonly into: ShardBatch
}

export function takeProfile(deps: IntakeDeps, input: IntakeInput): TakeAnswer {
  const slices = takeInSlices(deps, input)
  for (;;) {
    const slice = slices.next()
    if (slice.done === true) return slice.value
  }
}

/** Others may have a turn between slices, but no other profile of this shard: decoders hold one at a time. */
export function* takeInSlices(deps: IntakeDeps, input: IntakeInput): Generator<void, TakeAnswer> {
  let decompressedBytes = 0
  try {
    const raw = inflate(deps.codec, input)
    decompressedBytes = raw.length
    deps.rates?.take(input.tenant, decompressedBytes, input.nowMs)
    if (isRecording(input.ingest)) return yield* takeRecording(deps, { ...input, ingest: input.ingest }, raw)
    if (isOtlp(input.ingest)) return takeOtlp(deps, { ...input, ingest: input.ingest })
    return takeDecoded(deps, input, raw)
  } catch (error) {
    if (!(error instanceof CinderError)) throw error
    const isShed = error.reason === BATCH_LIMIT
    return { kind: 'verdict', verdict: rejectedVerdict(error, decompressedBytes), isShed }
  }
}

function inflate(codec: Codec, { profile: { bytes }, limits, ingest }: IntakeInput): Uint8Array {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  if (!isGzip || isOtlp(ingest)) return bytes
  const limit = isRecording(ingest) ? limits.maxRecordingSizeBytes : limits.maxProfileSizeBytes
  return codec.gunzip(bytes, limit || limits.bodyLimitBytes || INFLATED_BYTES_MAX)
}

function takeDecoded(deps: IntakeDeps, input: IntakeInput, raw: Uint8Array): TakeAnswer {
  const { limits, ingest } = input
  const decoded = deps.decoder.decode(raw, limits, ingest === undefined ? {} : decodeRepairs(ingest))
  if (!decoded.ok) throw fault(decoded.fault)
  const profile = ingest === undefined ? decoded.profile : repairIngestProfile(decoded.profile, ingest)
  // A repaired profile has other tables than its bytes say.
  const isAsSent = profile === decoded.profile
  const sent = sentBytes(deps.digest, raw, decoded.profile.timeNanos)
  const checked = check(deps, input, { sent, profile, labelsOf: () => pushedLabels(input, profile) })
  if (checked === undefined) return empty(raw.length)
  if (typeof checked === 'string') return dropped(raw.length, checked)
  const tablesDigest = isAsSent ? digestOfTables(profile, checked.profile, deps.digest) : undefined
  // One that came without a time is none: it never had one.
  const hasOtherTime = sent.timeNanos > 0n && profile.timeNanos !== sent.timeNanos
  const isClockRepaired = checked.isClockRepaired || hasOtherTime
  return append(deps, input, { sent, kept: [{ ...checked, isClockRepaired, tablesDigest }] })
}

/** A profile of a request that shares its tables. What it has in bytes is known once it is decoded. */
function takeOtlp(deps: IntakeDeps, input: IntakeInput & { readonly ingest: IngestForm }): TakeAnswer {
  const { request, limits, tenant, nowMs, ingest } = input
  const { bytes } = input.profile
  const requestBytesMax = limits.bodyLimitBytes || INFLATED_BYTES_MAX
  const decoded = deps.otlp.decode({ request, bytes, ingest, limits, requestBytesMax })
  const { sizeBytes } = decoded
  deps.rates?.correct(tenant, sizeBytes - bytes.length, nowMs)
  if (!decoded.ok) return { kind: 'verdict', verdict: rejectedVerdict(fault(decoded.fault), sizeBytes), isShed: false }
  const { profile } = decoded
  const contentDigest = deps.otlp.contentDigest(deps.digest, request)
  const sent = { sizeBytes, contentDigest: () => contentDigest, timeNanos: profile.timeNanos }
  const labelsOf = (): LabelsResult => ({ ok: true, labels: withServiceName(input.labels) })
  const checked = check(deps, input, { sent, profile, labelsOf })
  if (checked === undefined) return empty(sizeBytes)
  if (typeof checked === 'string') return dropped(sizeBytes, checked)
  return append(deps, input, { sent, kept: [{ ...checked, tablesDigest: undefined }] })
}

/** All of its profiles are checked before the first is stored. */
function* takeRecording(
  deps: IntakeDeps,
  input: IntakeInput & { readonly ingest: IngestForm },
  raw: Uint8Array,
): Generator<void, TakeAnswer> {
  const { ingest, limits } = input
  const { event, profiles } = yield* decodeRecording(deps.recordings, { raw, ingest, limits, codec: deps.codec })
  const labels = withServiceName(input.labels)
  const tablesDigest = profiles.length > 1 ? recordingTablesDigest(deps.digest, raw, ingest, limits) : undefined
  const sent = sentBytes(deps.digest, raw, ingest.fromNanos)
  const kept: KeptProfile[] = []
  let why: DropReason | undefined
  let changes = 0
  for (const { name, profile } of profiles) {
    const labelsOf = (): LabelsResult => ({ ok: true, labels: recordingLabels(labels, event, name) })
    const checked = check(deps, input, { sent, profile, labelsOf })
    if (typeof checked === 'string') {
      why = checked
      changes |= changeBit(PART_CHANGES[checked])
    } else if (checked !== undefined) {
      const hasOwnTables = checked.profile.mappingBuildId !== profile.mappingBuildId
      kept.push({ ...checked, tablesDigest: hasOwnTables ? undefined : tablesDigest })
    }
  }
  if (kept.length === 0) return why === undefined ? empty(raw.length) : dropped(raw.length, why)
  return append(deps, input, { sent, kept, changes })
}

/** As it came, by which it is known again. */
interface Sent {
  /** Uncompressed. */
  readonly sizeBytes: number
  readonly contentDigest: () => Uint8Array
  readonly timeNanos: bigint
}

function sentBytes(digest: Digest, raw: Uint8Array, timeNanos: bigint): Sent {
  return { sizeBytes: raw.length, contentDigest: () => digest.digest128(raw), timeNanos }
}

interface CheckedProfile {
  readonly profile: DecodedProfile
  readonly split: SplitProfile
  readonly isClockRepaired: boolean
  readonly changes: number
  readonly renamedTo: string | undefined
}

type DropReason = Extract<PipelineResult, { readonly kind: 'dropped' }>['reason']

/** What is told where others of the recording are stored. */
const PART_CHANGES: Readonly<Record<DropReason, RuleChange>> = {
  dropped_by_relabel_rules: 'parts_dropped_by_rules',
  dropped_by_sampling: 'parts_dropped_by_sampling',
}

interface CheckInput {
  readonly sent: Sent
  readonly profile: DecodedProfile
  readonly labelsOf: () => LabelsResult
}

/** Undefined if nothing of it can be stored, or the reason why the tenant does not want it. */
function check(
  deps: IntakeDeps,
  input: IntakeInput,
  { sent, profile, labelsOf }: CheckInput,
): CheckedProfile | DropReason | undefined {
  const result = runPipeline({
    profile,
    labelsOf,
    limits: input.limits,
    policy: deps.policies.of(input.policy),
    nowMs: input.nowMs,
    draw: () => drawOf(deps.digest, input, sent),
    seriesMax: SPLIT_SERIES_MAX,
  })
  if (result.kind === 'fault') throw fault(result.fault)
  if (result.kind === 'empty') return undefined
  return result.kind === 'dropped' ? result.reason : result
}

/** From 0 to below 1, and the same for a retry. */
function drawOf(digest: Digest, { profile, tenant, ingest }: IntakeInput, sent: Sent): number {
  const rest = encoder.encode(JSON.stringify([tenant, profile.clientId, String(ingest?.fromNanos ?? 0n)]))
  const bytes = new Uint8Array(PROFILE_ID_BYTES + rest.length)
  bytes.set(sent.contentDigest())
  bytes.set(rest, PROFILE_ID_BYTES)
  const drawn = digest.digest128(bytes)
  return new DataView(drawn.buffer, drawn.byteOffset).getUint32(0) / 2 ** 32
}

type KeptProfile = CheckedProfile & { readonly tablesDigest: Uint8Array | undefined }

interface Checked {
  readonly sent: Sent
  /** Of one time and one service. */
  readonly kept: readonly KeptProfile[]
  /** What the tenant's rules did to others that came with them. */
  readonly changes?: number
}

/** Synchronous from here: profiles of one push get ordinals one after another. */
function append(deps: IntakeDeps, input: IntakeInput, { sent, kept, changes: ofOthers = 0 }: Checked): TakeAnswer {
  const [service, ...others] = kept.map(({ split }) => getLabel(split.series[0]!, LABEL_SERVICE_NAME))
  const other = others.find((name) => name !== service)
  if (other !== undefined) throw fault(servicesFault(service!, other))
  const timeNanos = profileTimeNanos(kept[0]!.profile, input.nowMs)
  const reserved = kept.reduce((sum, { split }) => sum + split.series.length, 0)
  if (!deps.account.reserveHeaders(input.batch.number, reserved)) throw tooManySeries(reserved)
  const { profileId, deduplicate } = identify(deps, input, sent)
  const headsBefore = input.into.headCount
  const entry = input.into.headOf({
    tenant: input.tenant,
    service: service!,
    windowStartMs: hourStartMs(Number(timeNanos / NANOS_PER_MS)),
    windowMs: MS_PER_HOUR,
  })
  let first: number | undefined
  let profiles = 0
  let headers = 0
  try {
    for (const [i, { profile, split, tablesDigest }] of kept.entries()) {
      const result = entry.head.append({
        profile,
        split,
        profileId: i === 0 ? profileId : partId(deps.digest, profileId, i),
        timeNanos,
        stackDepthMax: input.limits.maxStackDepth,
        tablesDigest,
      })
      headers += result.headers
      if (result.ordinal === undefined) continue
      first ??= result.ordinal
      profiles++
    }
  } finally {
    // Also of an append that threw: nobody else would give its place back.
    deps.account.returnHeaders(input.batch.number, reserved - headers)
    input.into.grew(entry)
    input.into.dropEmpty(entry)
  }
  if (first === undefined) return empty(sent.sizeBytes)
  const newHeads = input.into.headCount - headsBefore
  const size = { decompressedBytes: sent.sizeBytes, headers }
  deps.account.addHeads(input.batch.number, newHeads)
  deps.account.add(deps.shard.index, 'pushes', input.into.account(size, newHeads))
  const isClockRepaired = kept.some((profile) => profile.isClockRepaired)
  const changes = kept.reduce((bits, profile) => bits | profile.changes, ofOthers)
  const renamedTo = kept[0]!.renamedTo
  const place = { head: entry.number, ordinal: first, profiles }
  return { kind: 'taken', ...place, deduplicate, size, isClockRepaired, changes, renamedTo }
}

/** Profiles of one push have ids of their own, which follow from the push's. */
function partId(digest: Digest, profileId: Uint8Array, part: number): Uint8Array {
  const bytes = new Uint8Array(profileId.length + 1)
  bytes.set(profileId)
  bytes[profileId.length] = part
  return digest.digest128(bytes)
}

/** Names without type parameters follow from the tables, and are other names: they are known by a digest of their own. */
function digestOfTables(profile: DecodedProfile, fixed: DecodedProfile, digest: Digest): Uint8Array | undefined {
  // Labels are in the mappings then.
  if (fixed.mappingBuildId !== profile.mappingBuildId) return undefined
  const bytes = tablesDigestOf(profile, digest)
  if (bytes !== undefined && fixed.functionName !== profile.functionName) bytes[0]! ^= 0xff
  return bytes
}

function empty(sizeBytes: number): TakeAnswer {
  return { kind: 'verdict', verdict: emptyVerdict(sizeBytes), isShed: false }
}

function dropped(sizeBytes: number, reason: DropReason): TakeAnswer {
  return { kind: 'verdict', verdict: droppedVerdict(reason, sizeBytes), isShed: false }
}

function pushedLabels({ ingest, labels }: IntakeInput, profile: DecodedProfile): LabelsResult {
  const named = withServiceName(labels)
  return ingest === undefined ? { ok: true, labels: named } : ingestLabels(named, profile, ingest.sampleTypeConfig)
}

/** A profile that came with neither id nor time is known within its push alone, and never a duplicate if that has no id. */
function identify(deps: IntakeDeps, input: IntakeInput, sent: Sent): { profileId: Uint8Array; deduplicate: boolean } {
  const { ingest, labels } = input
  const timeNanos = sent.timeNanos > 0n ? sent.timeNanos : (ingest?.fromNanos ?? 0n)
  const isNameless = input.profile.clientId === '' && timeNanos === 0n
  const clientId = isNameless ? (input.pushId ?? '') : input.profile.clientId
  const { index, count } = deps.shard
  if (isNameless && clientId === '')
    return {
      profileId: positionalProfileId(deps.digest, input.batch.objectId, input.into.positions++ * count + index),
      deduplicate: false,
    }
  const contentDigest = sent.contentDigest()
  const equal = `${labelsKey(labels)}\n${clientId}\n${String.fromCharCode(...contentDigest)}`
  const ordinal = input.ordinals.next(equal)
  const identity = { tenant: input.tenant, labels, contentDigest, clientId, timeNanos, ordinal }
  return { profileId: profileIdOf(deps.digest, identity), deduplicate: true }
}

function fault(of: { readonly reason: string; readonly message: string }): CinderError {
  return new CinderError('invalid_argument', of.message, { reason: of.reason })
}

function tooManySeries(series: number): CinderError {
  return new CinderError(
    'unavailable',
    `a profile of ${series} series does not fit into the segment that waits, ${BATCH_HEADERS_LIMIT} series are allowed: try again later`,
    { reason: BATCH_LIMIT, retryAfterMs: 1000 },
  )
}
