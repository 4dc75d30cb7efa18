/**
 * The segment-writer: takes pushes in, packs them into segments, answers when they are durable and visible.
 *
 * 1. `write` has every profile of a request decoded into the open batch (or refused with a verdict) by the shard of its
 *    tenant and service: in this thread, or in one of its own (head-shard.ts).
 * 2. The flush policy (core/segment/flush-policy.ts) says when the open batch closes; a flush encodes it, PUTs one
 *    object and commits it (flusher.ts).
 * 3. `write` resolves with one verdict per profile once all of them are settled, or after `writeDeadlineMs` with a
 *    retryable error, so that a client with a ten-second deadline has time to retry.
 * Memory: what all batches hold that are not settled, and the symbols kept between them (writer-account.ts). Past the bound,
 * and past what one commit takes, pushes are shed with `Retry-After`.
 * Must not: acknowledge what is not committed, or journalled where that is the policy (journal.ts); keep a queue that grows with the arrival rate.
 */
import { assert } from '#core/assert.ts'
import { CinderError } from '#core/errors.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { ProfileVerdict, SegmentWriter, WriteCall, WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { FlushCost } from '#core/segment/flush-cost.ts'
import { decideFlush, type FlushPolicy, putAllowedAtMs } from '#core/segment/flush-policy.ts'
import { UlidSource } from '#core/wire/ulid-source.ts'
import { Batch } from './batch.ts'
import { Deadlines } from './deadlines.ts'
import { FailureLog } from './failure-log.ts'
import { flushBatch, type FlusherDeps } from './flusher.ts'
import type { HeadShard, TakeAnswer, TakeInput } from './head-shard.ts'
import { type JournalMode, WriterJournal } from './journal.ts'
import { readBodies } from './read-bodies.ts'
import { ShardRoute } from './shard-route.ts'
import { createShards } from './shards.ts'
import type { TenantRates } from './tenant-rates.ts'
import { TakeTurns } from './take-turns.ts'
import { TenantShares } from './tenant-shares.ts'
import { clientGone, rejectedVerdict, settledVerdict } from './verdicts.ts'
import { BATCHES_MAX, type WriterAccount } from './writer-account.ts'

export interface SegmentWriterDeps {
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly codec: Codec
  readonly digest: Digest
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Default: rates that know of no other writer. */
  readonly rates?: TenantRates | undefined
  /** A test's way to the threads. */
  readonly startThread?: (() => Worker) | undefined
}

export interface SegmentWriterSettings {
  readonly limitsOf: (tenant: string) => TenantLimits
  /** JSON of a tenant's ingest policy, checked; undefined = the default. */
  readonly policyOf?: ((tenant: string) => string | undefined) | undefined
  readonly flushPolicy: FlushPolicy
  /** Objects per second; 0 = no limit (local files). */
  readonly putsPerSecondMax: number
  /** Held by unsettled batches, and by the symbols that are kept between segments. */
  readonly memoryBytesMax: number
  /** Threads that decode and encode; 0 = the thread that answers does it. */
  readonly threads: number
  readonly writeDeadlineMs: number
  /** Of commits that the metastore does not answer; default off. */
  readonly journal?: JournalMode
}

/** 256 MiB: four full batches of the default policy; a writer then peaks near 600 MB with its encoders. */
export const MEMORY_BYTES_MAX_DEFAULT = 256 * 1024 * 1024
/** 8 s: two less than the ten-second deadline of Alloy and of the SDKs. */
export const WRITE_DEADLINE_MS_DEFAULT = 8_000

/** A request of thousands of profiles takes seconds of CPU: every 20 ms others are let through, of its kind one at a time. */
const TAKE_SLICE_MS = 20

export interface SegmentWriterStatus {
  readonly pendingBytes: number
  readonly peakPendingBytes: number
  /** Kept between segments, for speed; part of the same bound. */
  readonly symbolBytes: number
  readonly flushesInFlight: number
  readonly segments: number
  readonly profiles: number
  readonly shed: number
  /** Commits written to the journal. */
  readonly journalled: number
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
  readonly #account: WriterAccount
  readonly #shares: TenantShares
  readonly #shards: readonly HeadShard[]
  readonly #flusher: FlusherDeps
  readonly #route: ShardRoute
  readonly #deadlines: Deadlines
  readonly #turns: TakeTurns
  readonly #objectIds: UlidSource
  #open: Batch
  #nextRequest = 1
  /** Requests of which profiles are still to be taken. */
  #taking = 0
  #stopped = false
  #timer: AbortController | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  readonly #flushes = new Set<Promise<void>>()
  /** Numbers of the batches in flight. */
  readonly #inFlight = new Set<number>()
  #lastFlushStartedMs: number | undefined
  readonly #flushCost = new FlushCost()
  #peakPendingBytes = 0
  #batches = 0
  #segments = 0
  #profiles = 0
  #shed = 0

  constructor(deps: SegmentWriterDeps, settings: SegmentWriterSettings) {
    this.#deps = deps
    this.#settings = settings
    assert(settings.flushPolicy.flushesInFlightMax < BATCHES_MAX, 'each batch in flight has its counters')
    const { account, shards } = createShards(deps, settings)
    this.#account = account
    this.#shares = new TenantShares(settings.memoryBytesMax)
    this.#shards = shards
    this.#route = new ShardRoute(shards.length)
    const journal = new WriterJournal(deps, settings.journal ?? 'off')
    this.#flusher = { ...deps, shards, journal, failures: new FailureLog(deps) }
    const { writeDeadlineMs } = settings
    this.#deadlines = new Deadlines(deps.clock, writeDeadlineMs, () => notStoredWithin(writeDeadlineMs))
    this.#turns = new TakeTurns(deps.clock)
    this.#objectIds = new UlidSource(deps)
    this.#open = this.#newBatch()
  }

  async write(request: WriteRequest, call: WriteCall = {}): Promise<WriteResponse> {
    if (this.#stopped) throw stopping()
    const answers: (ProfileVerdict | Promise<ProfileVerdict>)[] = []
    const number = this.#nextRequest++
    const asked = new Set<HeadShard>()
    // Once a request: equal profiles of it meet in one shard, whatever an operator changes meanwhile.
    const policy = this.#settings.policyOf?.(request.tenant)
    // Asked for late: most requests are over before anybody looks.
    const isGone = () => call.signal?.aborted === true
    const slices = this.#slices(request.tenant, isGone)
    this.#taking++
    try {
      for (const read of readBodies(request.series, this.#settings.limitsOf(request.tenant))) {
        if (read.kind === 'verdict') {
          answers.push(read.verdict)
          continue
        }
        const { labels, ingest, profiles } = read.series
        const shard = this.#route.shardOf(request.tenant, labels, policy)
        asked.add(this.#shards[shard]!)
        for (const profile of profiles) {
          if (slices.isUsedUp()) await slices.next()
          const { tenant, pushId, isImport = false } = request
          answers.push(
            this.#takeOne(
              shard,
              { request: number, tenant, labels, ingest, profile, pushId, policy, isGone },
              isImport,
            ),
          )
        }
      }
    } finally {
      slices.end()
      this.#taking--
      for (const shard of asked) shard.forget(number)
      // Also when a profile met a fault of ours: those before it are in the batch.
      this.#pump()
    }
    return { verdicts: await this.#deadlines.within(Promise.all(answers)) }
  }

  /** Of one request: what it takes of the loop at once, and its turn among those that take more. */
  #slices(tenant: string, isGone: () => boolean) {
    const { clock } = this.#deps
    const { writeDeadlineMs } = this.#settings
    const startMs = clock.nowMs()
    let sliceStartMs = startMs
    let hasTurn = false
    return {
      isUsedUp: () => Math.abs(clock.nowMs() - sliceStartMs) >= TAKE_SLICE_MS,
      next: async () => {
        this.#pump()
        if (!hasTurn) {
          // What waits for its turn keeps no segment open.
          this.#taking--
          // A clock that was set back makes nobody wait longer than the deadline.
          const leftMs = Math.min(writeDeadlineMs, startMs + writeDeadlineMs - clock.nowMs())
          hasTurn = await this.#turns.wait(tenant, leftMs)
          this.#taking++
          if (!hasTurn) throw noTurnWithin(writeDeadlineMs)
        }
        await clock.sleep(0)
        if (isGone()) throw clientGone()
        sliceStartMs = clock.nowMs()
      },
      end: () => {
        if (hasTurn) this.#turns.release()
      },
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    while (!this.#open.isEmpty || this.#flushes.size > 0) {
      if (!this.#open.isEmpty && this.#flushes.size < this.#settings.flushPolicy.flushesInFlightMax) this.#flush()
      else await Promise.race(this.#flushes)
    }
    this.#timer?.abort()
    for (const shard of this.#shards) shard.stop()
  }

  status(): SegmentWriterStatus {
    return {
      pendingBytes: this.#pendingBytes(),
      peakPendingBytes: this.#peakPendingBytes,
      symbolBytes: this.#account.bytesOf('symbols'),
      flushesInFlight: this.#flushes.size,
      segments: this.#segments,
      profiles: this.#profiles,
      shed: this.#shed,
      journalled: this.#flusher.journal.entries,
    }
  }

  #pendingBytes(): number {
    return this.#account.bytesOf('pushes') + this.#account.bytesOf('waiting')
  }

  #takeOne(
    shard: number,
    input: Pick<TakeInput, 'request' | 'tenant' | 'labels' | 'ingest' | 'profile' | 'pushId' | 'policy' | 'isGone'>,
    isImport: boolean,
  ): ProfileVerdict | Promise<ProfileVerdict> {
    if (this.#stopped) {
      this.#shed++
      return rejectedVerdict(stopping(), 0)
    }
    const { tenant } = input
    const admission = this.#shares.admit(tenant, this.#pendingBytes())
    if (admission.kind === 'refused') {
      this.#shed++
      return rejectedVerdict(admission.error, 0)
    }
    const { mayUseReserve } = admission
    const { clock } = this.#deps
    const batch = this.#open
    const nowMs = clock.nowMs()
    const { number, objectId } = batch
    const own = this.#settings.limitsOf(tenant)
    const limits = isImport ? limitsOfImport(own) : own
    const wasEmpty = batch.isEmpty
    batch.ask(shard, nowMs)
    let answer: TakeAnswer | Promise<TakeAnswer>
    try {
      answer = this.#shards[shard]!.take({
        ...input,
        batch: { number, objectId },
        limits,
        mayUseReserve,
        nowMs,
      })
    } catch (error) {
      batch.asked--
      throw error
    }
    if (!(answer instanceof Promise)) return this.#answered({ batch, shard, tenant }, answer)
    const release = this.#shares.hold(tenant, input.profile.bytes.length)
    // Its age counts from here, so somebody has to look at the time.
    if (wasEmpty) this.#pump()
    const verdict = answer.then(
      (late) => {
        release()
        return this.#answered({ batch, shard, tenant }, late)
      },
      (error: unknown) => {
        release()
        batch.asked--
        throw error
      },
    )
    // Looked at when the whole request is taken: until then a fault must not end the process.
    verdict.catch(() => undefined)
    return verdict
  }

  #answered(
    { batch, shard, tenant }: { batch: Batch; shard: number; tenant: string },
    answer: TakeAnswer,
  ): ProfileVerdict | Promise<ProfileVerdict> {
    batch.asked--
    if (answer.kind === 'verdict') {
      if (answer.isShed) this.#shed++
      return answer.verdict
    }
    const settled = batch.add(shard, answer)
    this.#peakPendingBytes = Math.max(this.#peakPendingBytes, this.#pendingBytes())
    this.#profiles++
    // One request may hold more than one batch: close it as soon as it is full.
    const { batchBytesMax, batchProfilesMax } = this.#settings.flushPolicy
    const isOpen = batch === this.#open
    if (isOpen && (batch.bytes >= batchBytesMax || batch.headers >= batchProfilesMax)) this.#pump()
    const { size, isClockRepaired, changes, renamedTo } = answer
    const { decompressedBytes } = size
    const release = this.#shares.hold(tenant, decompressedBytes)
    return settled.then((settlement) => {
      release()
      return settledVerdict(settlement, { decompressedBytes, isClockRepaired, changes, renamedTo })
    })
  }

  /** Asks the policy and acts; called when anything changes. */
  #pump(): void {
    for (;;) {
      const nowMs = this.#deps.clock.nowMs()
      const decision = decideFlush(
        {
          bytes: this.#open.bytes,
          profiles: this.#open.headers + this.#open.asked,
          oldestArrivalMs: this.#open.oldestArrivalMs,
          lastFlushStartedMs: this.#lastFlushStartedMs,
          flushCostMs: this.#flushCost.costMs,
          flushesInFlight: this.#flushes.size,
          isTaking: this.#taking > 0,
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
    this.#inFlight.add(batch.number)
    this.#open = this.#newBatch()
    const startedMs = this.#deps.clock.nowMs()
    this.#lastFlushStartedMs = startedMs
    const flush = flushBatch(this.#flusher, batch).then((isCommitted) => {
      this.#flushes.delete(flush)
      this.#inFlight.delete(batch.number)
      if (isCommitted) this.#segments++
      this.#flushCost.note(this.#deps.clock.nowMs() - startedMs, { isStored: isCommitted })
      if (!this.#stopped) this.#pump()
    })
    this.#flushes.add(flush)
  }

  #newBatch(): Batch {
    const makeId = () => this.#objectIds.next()
    // One that is long in flight keeps its counters: a thread may still take into it.
    while ([...this.#inFlight].some((number) => (this.#batches - number) % BATCHES_MAX === 0)) this.#batches++
    const batch = new Batch(this.#batches++, makeId, this.#shards.length)
    this.#account.beginBatch(batch.number)
    return batch
  }
}

/** One object for each, because messages to threads hold equal limits once. */
const importLimits = new WeakMap<TenantLimits, TenantLimits>()

/** Old profiles are what an import is for; what is past its retention is refused by the commit. */
function limitsOfImport(own: TenantLimits): TenantLimits {
  let limits = importLimits.get(own)
  if (limits === undefined) {
    limits = { ...own, rejectOlderThanMs: 0 }
    importLimits.set(own, limits)
  }
  return limits
}

function notStoredWithin(deadlineMs: number): CinderError {
  return new CinderError('unavailable', `not stored within ${deadlineMs} ms: send it again`, {
    reason: 'write_deadline',
    outcome: 'unknown',
    retryAfterMs: 1000,
  })
}

/** What was taken of it is stored; its retry counts that once. */
function noTurnWithin(deadlineMs: number): CinderError {
  const message = `the writer is busy: the rest of the request had no turn within ${deadlineMs} ms: send it again`
  return new CinderError('unavailable', message, {
    reason: 'write_turn',
    outcome: 'unknown',
    retryAfterMs: 2000,
  })
}

function stopping(): CinderError {
  return new CinderError('unavailable', 'the writer is stopping', { reason: 'stopping', retryAfterMs: 1000 })
}
