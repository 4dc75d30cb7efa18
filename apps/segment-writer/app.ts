/**
 * The segment-writer: takes pushes in, packs them into segments, answers when they are durable and visible.
 *
 * 1. `write` decodes every profile of a request into the open batch (or refuses it with a verdict).
 * 2. The flush policy (core/segment/flush-policy.ts) says when the open batch closes; a flush encodes it, PUTs one
 *    object and commits it (flusher.ts).
 * 3. `write` resolves with one verdict per profile once all of them are settled, or after `writeDeadlineMs` with a
 *    retryable error, so that a client with a ten-second deadline has time to retry.
 * Memory: what all batches hold that are not settled (batch.ts). Past the bound, and past what one commit takes, pushes
 * are shed with `Retry-After`.
 * Must not: acknowledge what is not committed, keep a queue that grows with the arrival rate.
 */
import { CinderError } from '#core/errors.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { ProfileVerdict, SegmentWriter, WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { decideFlush, type FlushPolicy, putAllowedAtMs } from '#core/segment/flush-policy.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import { Batch } from './batch.ts'
import { flushBatch, type FlusherDeps } from './flusher.ts'
import { type IntakeInput, takeProfile } from './intake.ts'
import { LabelSetCache } from './label-set-cache.ts'
import { RequestOrdinals } from './request-ordinals.ts'
import { TenantRates } from './tenant-rates.ts'
import { rejectedVerdict, settledVerdict } from './verdicts.ts'

export interface SegmentWriterDeps {
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly codec: Codec
  readonly digest: Digest
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface SegmentWriterSettings {
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly flushPolicy: FlushPolicy
  /** Objects per second; 0 = no limit (local files). */
  readonly putsPerSecondMax: number
  /** Held by unsettled batches. */
  readonly memoryBytesMax: number
  readonly writeDeadlineMs: number
}

/** 256 MiB: four full batches of the default policy; a writer then peaks near 600 MB with its encoders. */
export const MEMORY_BYTES_MAX_DEFAULT = 256 * 1024 * 1024
/** 8 s: two less than the ten-second deadline of Alloy and of the SDKs. */
export const WRITE_DEADLINE_MS_DEFAULT = 8_000

/**
 * Headers in a batch that cannot be flushed yet; past it pushes are shed. With the 65,536 of the largest profile it stays
 * below the 100,000 ids that one commit may have: a commit past those is refused, and would be for ever.
 */
const BATCH_HEADERS_MAX = 32_768
/** Likewise for its datasets: a profile adds one, and a commit takes 20,000. */
const BATCH_HEADS_MAX = 16_384

/** A request of thousands of profiles takes seconds of CPU: every 20 ms others get their turn. */
const TAKE_SLICE_MS = 20

export interface SegmentWriterStatus {
  readonly pendingBytes: number
  readonly peakPendingBytes: number
  readonly flushesInFlight: number
  readonly segments: number
  readonly profiles: number
  readonly shed: number
}

export interface SegmentWriterService extends SegmentWriter {
  /** Flushes what waits and resolves when everything is settled. Later writes are refused as unavailable. */
  stop(): Promise<void>
  status(): SegmentWriterStatus
}

export function createSegmentWriter(deps: SegmentWriterDeps, settings: SegmentWriterSettings): SegmentWriterService {
  return new Writer(deps, settings)
}

class Writer implements SegmentWriterService {
  readonly #deps: SegmentWriterDeps
  readonly #settings: SegmentWriterSettings
  readonly #flusher: FlusherDeps
  readonly #decoder = new ProfileDecoder()
  readonly #rates: TenantRates
  #open: Batch
  #stopped = false
  #timer: AbortController | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  readonly #flushes = new Set<Promise<void>>()
  #lastFlushStartedMs: number | undefined
  #lastFlushDurationMs = 0
  #pendingBytes = 0
  #peakPendingBytes = 0
  #segments = 0
  #profiles = 0
  #shed = 0

  constructor(deps: SegmentWriterDeps, settings: SegmentWriterSettings) {
    this.#deps = deps
    this.#settings = settings
    this.#flusher = { ...deps, labelSets: new LabelSetCache() }
    this.#rates = new TenantRates(settings.limitsOf)
    this.#open = this.#newBatch()
  }

  async write(request: WriteRequest): Promise<WriteResponse> {
    if (this.#stopped) throw stopping()
    const ordinals = new RequestOrdinals()
    const answers: (ProfileVerdict | Promise<ProfileVerdict>)[] = []
    const { clock } = this.#deps
    let sliceStartMs = clock.nowMs()
    try {
      for (const series of request.series)
        for (const profile of series.profiles) {
          answers.push(this.#takeOne({ tenant: request.tenant, series, profile, ordinals }))
          if (Math.abs(clock.nowMs() - sliceStartMs) < TAKE_SLICE_MS) continue
          this.#pump()
          await clock.sleep(0)
          sliceStartMs = clock.nowMs()
        }
    } finally {
      // Also when a profile met a fault of ours: those before it are in the batch.
      this.#pump()
    }
    return { verdicts: await this.#withinDeadline(answers) }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    while (this.#open.profiles > 0 || this.#flushes.size > 0) {
      if (this.#open.profiles > 0 && this.#flushes.size < this.#settings.flushPolicy.flushesInFlightMax) this.#flush()
      else await Promise.race(this.#flushes)
    }
    this.#timer?.abort()
  }

  status(): SegmentWriterStatus {
    return {
      pendingBytes: this.#pendingBytes,
      peakPendingBytes: this.#peakPendingBytes,
      flushesInFlight: this.#flushes.size,
      segments: this.#segments,
      profiles: this.#profiles,
      shed: this.#shed,
    }
  }

  #takeOne(
    input: Pick<IntakeInput, 'tenant' | 'series' | 'profile' | 'ordinals'>,
  ): ProfileVerdict | Promise<ProfileVerdict> {
    const full = this.#stopped ? stopping() : this.#whyFull(input.profile.bytes.length)
    if (full !== undefined) {
      this.#shed++
      return rejectedVerdict(full, 0)
    }
    const { deps, settings } = { deps: this.#deps, settings: this.#settings }
    const taken = takeProfile(
      { codec: deps.codec, digest: deps.digest, decoder: this.#decoder, rates: this.#rates },
      { ...input, limits: settings.limitsOf(input.tenant), batch: this.#open, nowMs: deps.clock.nowMs() },
    )
    if (taken.kind === 'verdict') return taken.verdict
    this.#pendingBytes += this.#open.account(taken.size, deps.clock.nowMs())
    this.#peakPendingBytes = Math.max(this.#peakPendingBytes, this.#pendingBytes)
    this.#profiles++
    // One request may hold more than one batch: close it as soon as it is full.
    const { batchBytesMax, batchProfilesMax } = settings.flushPolicy
    if (this.#open.bytes >= batchBytesMax || this.#open.headers >= batchProfilesMax) this.#pump()
    return taken.settled.then((settlement) => settledVerdict(settlement, taken.size.decompressedBytes))
  }

  #whyFull(bytes: number): CinderError | undefined {
    const { memoryBytesMax } = this.#settings
    const later = { retryAfterMs: 1000 }
    if (this.#pendingBytes + bytes > memoryBytesMax)
      return new CinderError(
        'unavailable',
        `the writer holds ${this.#pendingBytes} bytes that are not stored yet, ${memoryBytesMax} are allowed: try again later`,
        { reason: 'memory_limit', ...later },
      )
    if (this.#open.headers >= BATCH_HEADERS_MAX)
      return new CinderError(
        'unavailable',
        `${this.#open.headers} series of profiles wait for the store, ${BATCH_HEADERS_MAX} are allowed: try again later`,
        { reason: 'batch_limit', ...later },
      )
    if (this.#open.heads.size >= BATCH_HEADS_MAX)
      return new CinderError(
        'unavailable',
        `profiles of ${this.#open.heads.size} services and hours wait for the store, ${BATCH_HEADS_MAX} are allowed: try again later`,
        { reason: 'batch_limit', ...later },
      )
    return undefined
  }

  async #withinDeadline(answers: readonly (ProfileVerdict | Promise<ProfileVerdict>)[]): Promise<ProfileVerdict[]> {
    const over = new AbortController()
    const deadline = this.#deps.clock.sleep(this.#settings.writeDeadlineMs, over.signal).then(() => 'late' as const)
    const outcome = await Promise.race([Promise.all(answers), deadline])
    over.abort()
    if (outcome !== 'late') return outcome
    throw new CinderError('unavailable', `not stored within ${this.#settings.writeDeadlineMs} ms: send it again`, {
      reason: 'write_deadline',
      outcome: 'unknown',
      retryAfterMs: 1000,
    })
  }

  /** Asks the policy and acts; called when anything changes. */
  #pump(): void {
    for (;;) {
      const nowMs = this.#deps.clock.nowMs()
      const decision = decideFlush(
        {
          bytes: this.#open.bytes,
          profiles: this.#open.headers,
          oldestArrivalMs: this.#open.oldestArrivalMs,
          lastFlushStartedMs: this.#lastFlushStartedMs,
          lastFlushDurationMs: this.#lastFlushDurationMs,
          flushesInFlight: this.#flushes.size,
          putAllowedAtMs: putAllowedAtMs(this.#lastFlushStartedMs, this.#settings.putsPerSecondMax, nowMs),
        },
        this.#settings.flushPolicy,
        nowMs,
      )
      if (decision.kind === 'flush') {
        this.#flush()
        continue
      }
      if (decision.kind === 'wait') this.#wakeAt(decision.untilMs, nowMs)
      return
    }
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return
    this.#timer?.abort()
    const timer = new AbortController()
    this.#timer = timer
    this.#timerAtMs = atMs
    void this.#deps.clock.sleep(atMs - nowMs, timer.signal).then(() => {
      if (timer.signal.aborted) return
      this.#timer = undefined
      this.#pump()
    })
  }

  #flush(): void {
    const batch = this.#open
    this.#open = this.#newBatch()
    const startedMs = this.#deps.clock.nowMs()
    this.#lastFlushStartedMs = startedMs
    this.#segments++
    const flush = flushBatch(this.#flusher, batch).then(() => {
      this.#flushes.delete(flush)
      this.#lastFlushDurationMs = this.#deps.clock.nowMs() - startedMs
      this.#pendingBytes -= batch.memoryBytes
      if (!this.#stopped) this.#pump()
    })
    this.#flushes.add(flush)
  }

  #newBatch(): Batch {
    return new Batch(makeUlid(this.#deps.clock.nowMs(), this.#deps.random.bytes(ULID_RANDOM_BYTES)))
  }
}

function stopping(): CinderError {
  return new CinderError('unavailable', 'the writer is stopping', { reason: 'stopping', retryAfterMs: 1000 })
}
