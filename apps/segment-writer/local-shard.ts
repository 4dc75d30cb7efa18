/**
 * A shard in the thread that calls it: what a writer without threads of its own has one of, and what runs in each thread
 * of one that has them (shard-thread.ts).
 *
 * Must not: do I/O, decide when a batch closes, or answer what it has not counted.
 */
import { encodeDataset } from '#core/block/write.ts'
import { CinderError } from '#core/errors.ts'
import { withoutReserve } from '#core/limits/fair-share.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import { RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { DictionaryCache } from '#core/segment/dictionary-cache.ts'
import { RowScratch } from '#core/segment/rows.ts'
import type { HeadResult, HeadShard, TakeAnswer, TakeInput } from './head-shard.ts'
import { BATCH_LIMIT, type IntakeDeps, type IntakeInput, takeInSlices, takeProfile } from './intake.ts'
import { LABEL_SETS_MAX, LabelSetCache } from './label-set-cache.ts'
import { OtlpRequests } from './otlp-intake.ts'
import { isRecording } from './recording-intake.ts'
import { PolicyCache } from './policy-cache.ts'
import { RequestOrdinals } from './request-ordinals.ts'
import { type BatchHead, type HeadTools, ShardBatch } from './shard-batch.ts'
import type { TenantRates } from './tenant-rates.ts'
import { clientGone, rejectedVerdict } from './verdicts.ts'
import { BATCH_HEADERS_MAX, BATCH_HEADS_MAX, type WriterAccount } from './writer-account.ts'

/**
 * Encoding lets requests in between after this long. Not after each head: a turn of the event loop costs 1 ms where a
 * small head costs 0.05 ms, so a flush of 5,000 services took 6 s.
 */
export const ENCODE_TURN_MS = 5

export interface LocalShardDeps {
  readonly codec: Codec
  readonly digest: Digest
  readonly clock: Clock
  readonly account: WriterAccount
  readonly rates: TenantRates | undefined
}

export interface LocalShardSettings {
  readonly index: number
  readonly count: number
  /** Of the writer, over all shards. */
  readonly memoryBytesMax: number
  /** Of this shard. */
  readonly dictionariesBytesMax: number
  /** Random bytes of this writer: absent, segments say nothing of its dictionaries. */
  readonly dictionarySeed?: Uint8Array
  readonly firstHead: number
  /** Encoding lets others have a turn after this long. */
  readonly encodeTurnMs: number
}

export class LocalShard implements HeadShard {
  readonly #deps: LocalShardDeps
  readonly #settings: LocalShardSettings
  readonly #intake: IntakeDeps
  readonly #tools: HeadTools
  readonly #dictionaries: DictionaryCache
  readonly #labelSets: LabelSetCache
  readonly #batches = new Map<number, ShardBatch>()
  readonly #ordinals = new Map<number, RequestOrdinals>()
  #countedSymbolBytes = 0
  /** Settles when those that were asked for until now are taken. */
  #recordings: Promise<void> = Promise.resolve()
  #recordingsWaiting = 0

  constructor(deps: LocalShardDeps, settings: LocalShardSettings) {
    this.#deps = deps
    this.#settings = settings
    const { codec, digest, rates, account } = deps
    this.#intake = {
      codec,
      digest,
      rates,
      account,
      shard: settings,
      decoder: new ProfileDecoder(),
      recordings: new RecordingDecoder(),
      // As what a shard holds, and not as what waits for it: it is gone with its thread.
      otlp: new OtlpRequests((bytes) => account.add(settings.index, 'pushes', bytes)),
      policies: new PolicyCache(),
    }
    this.#dictionaries = new DictionaryCache(settings.dictionariesBytesMax, {
      seed: settings.dictionarySeed,
      // As heads, those of a thread that took the place of another have numbers of their own.
      first: settings.firstHead,
    })
    // Of the writer, over all shards: each has its own tenants and services.
    this.#labelSets = new LabelSetCache(LABEL_SETS_MAX / settings.count)
    let nextHead = settings.firstHead
    this.#tools = { dictionaries: this.#dictionaries, scratch: new RowScratch(), nextHeadNumber: () => nextHead++ }
  }

  /** A recording takes up to a quarter of a second: others have their turn between its slices, where anybody waits for one. */
  take(input: TakeInput): TakeAnswer | Promise<TakeAnswer> {
    const isInTurns = isRecording(input.ingest) && Number.isFinite(this.#settings.encodeTurnMs)
    return isInTurns ? this.#takeInTurns(input) : this.takeNow(input)
  }

  takeNow(input: TakeInput): TakeAnswer {
    const intake = this.#intakeOf(input)
    if (intake instanceof CinderError) return { kind: 'verdict', verdict: rejectedVerdict(intake, 0), isShed: true }
    const answer = takeProfile(this.#intake, intake)
    this.#countSymbols()
    return answer
  }

  /** Recordings come one after another, because the decoder holds one. */
  async #takeInTurns(input: TakeInput): Promise<TakeAnswer> {
    const intake = this.#intakeOf(input)
    if (intake instanceof CinderError) return { kind: 'verdict', verdict: rejectedVerdict(intake, 0), isShed: true }
    const { account } = this.#deps
    const waitingBytes = input.profile.bytes.length
    account.add(this.#settings.index, 'waiting', waitingBytes)
    const taken = this.#recordings.then(() => this.#decodeInTurns(intake))
    this.#recordings = taken.then(
      () => undefined,
      () => undefined,
    )
    this.#recordingsWaiting++
    try {
      return await taken
    } finally {
      this.#recordingsWaiting--
      account.add(this.#settings.index, 'waiting', -waitingBytes)
    }
  }

  async #decodeInTurns(input: IntakeInput): Promise<TakeAnswer> {
    const { clock } = this.#deps
    const slices = takeInSlices(this.#intake, input)
    let turnStartedMs = clock.nowMs()
    for (;;) {
      // Of a recording nothing is stored before it is read to its end.
      if (input.isGone?.() === true) return goneAnswer()
      const slice = slices.next()
      if (slice.done === true) {
        this.#countSymbols()
        return slice.value
      }
      if (clock.nowMs() - turnStartedMs < this.#settings.encodeTurnMs) continue
      await clock.sleep(0)
      turnStartedMs = clock.nowMs()
    }
  }

  #intakeOf(input: TakeInput): IntakeInput | CinderError {
    const full = this.#whyFull(input)
    if (full !== undefined) return full
    let into = this.#batches.get(input.batch.number)
    if (into === undefined) {
      into = new ShardBatch(input.batch, this.#tools)
      this.#batches.set(input.batch.number, into)
    }
    let ordinals = this.#ordinals.get(input.request)
    if (ordinals === undefined) {
      ordinals = new RequestOrdinals()
      this.#ordinals.set(input.request, ordinals)
    }
    return { ...input, into, ordinals }
  }

  async encode(batch: number): Promise<readonly HeadResult[]> {
    const from = this.#batches.get(batch)
    if (from === undefined) return []
    const { clock } = this.#deps
    if (this.#recordingsWaiting > 0) {
      // Some may be of this batch. Whoever asked is answered before the batch is encoded.
      await this.#recordings
      await clock.sleep(0)
    }
    const results: HeadResult[] = []
    let turnStartedMs = clock.nowMs()
    for (const head of from.takeHeads()) {
      results.push(this.#encodeHead(head))
      from.release(head)
      if (clock.nowMs() - turnStartedMs < this.#settings.encodeTurnMs) continue
      await clock.sleep(0)
      turnStartedMs = clock.nowMs()
    }
    this.#countSymbols()
    from.labelSets = results.flatMap((result) => (result.kind === 'encoded' ? result.labelSets : []))
    return results
  }

  settled(batch: number, isCommitted: boolean, labelEpoch?: number): void {
    const from = this.#batches.get(batch)
    if (from === undefined) return
    this.#batches.delete(batch)
    if (isCommitted) this.#labelSets.remember(from.labelSets, labelEpoch)
    this.#deps.account.add(this.#settings.index, 'pushes', -from.memoryBytes)
  }

  forget(request: number): void {
    this.#ordinals.delete(request)
    this.#intake.otlp.forget(request)
  }

  stop(): void {
    this.#dictionaries.shrinkTo(0)
    this.#countSymbols()
  }

  #encodeHead({ number, head }: BatchHead): HeadResult {
    const { key } = head
    try {
      const { dataset, profileOrdinal } = head.finish()
      const encoded = encodeDataset(dataset, { codec: this.#deps.codec })
      const labelSets = this.#labelSets.missing(dataset)
      return {
        kind: 'encoded',
        head: number,
        key,
        encoded,
        profileIds: dataset.headers.profileId,
        profileOrdinal,
        labelSets,
        labelEpoch: this.#labelSets.labelEpoch,
      }
    } catch (error) {
      return { kind: 'failed', head: number, key, message: String(error) }
    }
  }

  #countSymbols(): void {
    const { sizeBytes } = this.#dictionaries
    this.#deps.account.add(this.#settings.index, 'symbols', sizeBytes - this.#countedSymbolBytes)
    this.#countedSymbolBytes = sizeBytes
  }

  #whyFull(input: TakeInput): CinderError | undefined {
    const { batch, profile } = input
    const { account } = this.#deps
    const memoryBytesMax = boundOf(this.#settings.memoryBytesMax, input)
    // In a thread the profile is among what waits.
    const waitingBytes = Math.max(account.bytesOf('waiting'), profile.bytes.length)
    const neededBytes = account.bytesOf('pushes') + waitingBytes
    const overBytes = neededBytes + account.bytesOf('symbols') - memoryBytesMax
    if (overBytes > 0) {
      // Symbols are kept for speed alone.
      this.#dictionaries.shrinkTo(Math.max(0, this.#countedSymbolBytes - overBytes))
      this.#countSymbols()
    }
    const full = memoryFull(neededBytes + account.bytesOf('symbols'), memoryBytesMax)
    if (full !== undefined) return full
    const headers = account.headersOf(batch.number)
    if (headers >= BATCH_HEADERS_MAX)
      return batchFull(`${headers} series of profiles wait for the store, ${BATCH_HEADERS_MAX} are allowed`)
    const heads = account.headsOf(batch.number)
    if (heads >= BATCH_HEADS_MAX)
      return batchFull(`profiles of ${heads} services and hours wait for the store, ${BATCH_HEADS_MAX} are allowed`)
    return undefined
  }
}

/** Of a profile whose client has left. */
export function goneAnswer(): TakeAnswer {
  return { kind: 'verdict', verdict: rejectedVerdict(clientGone(), 0), isShed: false }
}

/** What the writer may hold for this push: of its memory a part is for tenants within their share. */
export function boundOf(memoryBytesMax: number, { mayUseReserve }: Pick<TakeInput, 'mayUseReserve'>): number {
  return mayUseReserve === true ? memoryBytesMax : withoutReserve(memoryBytesMax)
}

/** Undefined if a writer may hold so many bytes. */
export function memoryFull(heldBytes: number, memoryBytesMax: number): CinderError | undefined {
  if (heldBytes <= memoryBytesMax) return undefined
  const message = `the writer would hold ${heldBytes} bytes that are not stored yet, ${memoryBytesMax} are allowed: try again later`
  return new CinderError('unavailable', message, { reason: 'memory_limit', retryAfterMs: 1000 })
}

function batchFull(message: string): CinderError {
  return new CinderError('unavailable', `${message}: try again later`, { reason: BATCH_LIMIT, retryAfterMs: 1000 })
}
