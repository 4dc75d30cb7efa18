/**
 * Takes one pushed profile in: bytes to rows of a head, or a verdict why not. Synchronous and without I/O.
 *
 * Order, which decides the error that a client sees first: inflate, tenant's rate, decode, repairs and name (`/ingest`), validate, split,
 * label check, room in the segment, append. The identity is taken from bytes, labels and time as sent, before any of them is changed.
 */
import { CinderError } from '#core/errors.ts'
import { ingestLabels } from '#core/ingest/profile-name.ts'
import { decodeRepairs, repairIngestProfile } from '#core/ingest/spy-repairs.ts'
import { getLabel, LABEL_SERVICE_NAME, type LabelPair, labelsKey } from '#core/labels/labels.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { validateLabels } from '#core/limits/validate-labels.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { ProfileDecoder } from '#core/pprof/decode.ts'
import { fixGoProfile } from '#core/pprof/go-fixes.ts'
import { languageOf } from '#core/pprof/language.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { withServiceName } from '#core/pprof/service-name.ts'
import { type SplitProfile, splitProfile } from '#core/pprof/split.ts'
import { profileTimeNanos, validateProfile } from '#core/pprof/validate.ts'
import { SPLIT_SERIES_MAX } from '#core/segment/head.ts'
import { positionalProfileId, profileIdOf } from '#core/segment/profile-id.ts'
import { tablesDigestOf } from '#core/segment/tables-digest.ts'
import { hourStartMs, MIB, MS_PER_HOUR, NANOS_PER_MS } from '#core/units.ts'
import type { TakeAnswer, TakeInput } from './head-shard.ts'
import type { RequestOrdinals } from './request-ordinals.ts'
import type { ShardBatch } from './shard-batch.ts'
import type { TenantRates } from './tenant-rates.ts'
import { emptyVerdict, rejectedVerdict } from './verdicts.ts'
import { BATCH_HEADERS_LIMIT, type WriterAccount } from './writer-account.ts'

/** 256 MiB, the default of a whole request: inflating is bounded even where a tenant's limits are off. */
const INFLATED_BYTES_MAX = 256 * MIB

/** Reason of what is refused because one commit would not take it. */
export const BATCH_LIMIT = 'batch_limit'

export interface IntakeDeps {
  readonly codec: Codec
  readonly digest: Digest
  readonly decoder: ProfileDecoder
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
  let decompressedBytes = 0
  try {
    const raw = inflate(deps.codec, input.profile.bytes, input.limits)
    decompressedBytes = raw.length
    deps.rates?.take(input.tenant, decompressedBytes, input.nowMs)
    return takeDecoded(deps, input, raw)
  } catch (error) {
    if (!(error instanceof CinderError)) throw error
    const isShed = error.reason === BATCH_LIMIT
    return { kind: 'verdict', verdict: rejectedVerdict(error, decompressedBytes), isShed }
  }
}

function inflate(codec: Codec, bytes: Uint8Array, limits: TenantLimits): Uint8Array {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  if (!isGzip) return bytes
  return codec.gunzip(bytes, limits.maxProfileSizeBytes || limits.bodyLimitBytes || INFLATED_BYTES_MAX)
}

function takeDecoded(deps: IntakeDeps, input: IntakeInput, raw: Uint8Array): TakeAnswer {
  const { limits, nowMs, ingest } = input
  const decoded = deps.decoder.decode(raw, limits, ingest === undefined ? {} : decodeRepairs(ingest))
  if (!decoded.ok) throw fault(decoded.fault)
  const timeAsSentNanos = decoded.profile.timeNanos
  const profile = ingest === undefined ? decoded.profile : repairIngestProfile(decoded.profile, ingest)
  const invalid = validateProfile(profile, limits, nowMs)
  if (invalid !== undefined) throw fault(invalid)
  const labels = pushedLabels(input, profile)
  const fixed = languageOf(labels, profile) === 'go' ? fixGoProfile(profile) : profile
  const split = splitProfile(profile, labels, limits)
  if (split.keptCount === 0) return empty(raw)
  checkSeries(split, limits)
  const timeNanos = profileTimeNanos(profile, nowMs)
  const reserved = split.series.length
  if (!deps.account.reserveHeaders(input.batch.number, reserved)) throw tooManySeries(reserved)
  const { profileId, deduplicate } = identify(deps, input, { raw, timeNanos: timeAsSentNanos })
  const headsBefore = input.into.headCount
  const entry = input.into.headOf({
    tenant: input.tenant,
    service: getLabel(split.series[0]!, LABEL_SERVICE_NAME),
    windowStartMs: hourStartMs(Number(timeNanos / NANOS_PER_MS)),
    windowMs: MS_PER_HOUR,
  })
  const { ordinal, headers } = entry.head.append({
    profile: fixed,
    split,
    profileId,
    timeNanos,
    stackDepthMax: limits.maxStackDepth,
    // A repaired profile has other tables than its bytes say.
    tablesDigest: profile === decoded.profile ? digestOfTables(profile, fixed, deps.digest) : undefined,
  })
  deps.account.returnHeaders(input.batch.number, reserved - headers)
  input.into.grew(entry)
  if (ordinal === undefined) {
    input.into.dropEmpty(entry)
    return empty(raw)
  }
  const newHeads = input.into.headCount - headsBefore
  const size = { decompressedBytes: raw.length, headers }
  deps.account.addHeads(input.batch.number, newHeads)
  deps.account.add(deps.shard.index, 'pushes', input.into.account(size, newHeads))
  return { kind: 'taken', head: entry.number, ordinal, deduplicate, size }
}

/** Names without type parameters follow from the tables, and are other names: they are known by a digest of their own. */
function digestOfTables(profile: DecodedProfile, fixed: DecodedProfile, digest: Digest): Uint8Array | undefined {
  const bytes = tablesDigestOf(profile, digest)
  if (bytes !== undefined && fixed.functionName !== profile.functionName) bytes[0]! ^= 0xff
  return bytes
}

function empty(raw: Uint8Array): TakeAnswer {
  return { kind: 'verdict', verdict: emptyVerdict(raw.length), isShed: false }
}

function pushedLabels(input: IntakeInput, profile: DecodedProfile): readonly LabelPair[] {
  const { ingest, labels } = input
  const named = withServiceName(labels)
  if (ingest === undefined) return named
  const result = ingestLabels(named, profile, ingest.sampleTypeConfig)
  if (!result.ok) throw fault(result.fault)
  return result.labels
}

function checkSeries(split: SplitProfile, limits: TenantLimits): void {
  if (split.series.length > SPLIT_SERIES_MAX)
    throw fault({
      reason: 'series_limit',
      message: `sample labels split the profile into ${split.series.length} series, ${SPLIT_SERIES_MAX} are allowed`,
    })
  for (const labels of split.series) {
    const invalid = validateLabels(labels, limits)
    if (invalid !== undefined) throw fault(invalid)
  }
}

/** A profile that came with neither id nor time cannot be told from a second one: it is never a duplicate. */
function identify(
  deps: IntakeDeps,
  input: IntakeInput,
  sent: { raw: Uint8Array; timeNanos: bigint },
): { profileId: Uint8Array; deduplicate: boolean } {
  const { ingest, labels } = input
  const timeNanos = sent.timeNanos > 0n ? sent.timeNanos : (ingest?.fromNanos ?? 0n)
  const { clientId } = input.profile
  const { index, count } = deps.shard
  if (clientId === '' && timeNanos === 0n)
    return {
      profileId: positionalProfileId(deps.digest, input.batch.objectId, input.into.positions++ * count + index),
      deduplicate: false,
    }
  const contentDigest = deps.digest.digest128(sent.raw)
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
