/**
 * The invariants that are looked at from outside: every statement of the metastore and every deletion passes through
 * here, with the whole of both stores in view.
 *
 * 1. What is committed is in the store, and decodes; what it holds is remembered, dataset by dataset.
 * 2. A merge holds what its sources held, less what they skip. Each profile is live at most once, and from its
 *    acknowledgement on exactly once, until it is deleted.
 * 3. A write under a term that has moved changes nothing; a repeated question has the same answer.
 * 4. No live object is deleted, nor one that a plan named within the grace.
 */
import { openDataset } from '#core/block/dataset-head.ts'
import { objectKey, parseObjectKey } from '#core/block/object-key.ts'
import type { Codec } from '#core/ports/codec.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CommitSegmentRequest,
  CommitSegmentResponse,
  ConfirmDeletedRequest,
  DatasetDescriptor,
  PlanQueryResponse,
} from '#core/rpc/metastore.ts'
import { getNumber } from '#core/wire/int64.ts'
import { QUARANTINE_PREFIX } from '#platform/journal.ts'
import type { MemoryMetastore } from '../support/memory-metastore.ts'
import { isExpired } from '../support/metastore-twin/retention.ts'
import { isVisible } from '../support/metastore-twin/tenants.ts'
import { type Entry, type Ledger, numberOfTotal } from './ledger.ts'
import { type Seen, Violation, type ViolationKind } from './violation.ts'

export interface CheckerDeps {
  readonly twin: MemoryMetastore
  readonly ledger: Ledger
  readonly codec: Codec
  readonly nowMs: () => number
  readonly note: (what: string) => void
  /** What the store has, without a fault in between. */
  readonly stored: (key: string) => Uint8Array | undefined
  /** What entries of the journal ask for; none where writers do not acknowledge by it. */
  readonly journalled: () => readonly CommitSegmentRequest[]
}

export class Checker {
  readonly #deps: CheckerDeps
  /** The first is what the world ends with. */
  readonly seen: Seen[] = []
  /** Numbers of the profiles of each dataset, header by header. */
  /** Jobs that were committed, and the highest level of one. */
  committed = 0
  topLevel = 0
  readonly #contents = new Map<string, number[][]>()
  readonly #firstSkips = new Map<string, string>()
  readonly #plannedAtMs = new Map<string, number>()

  constructor(deps: CheckerDeps) {
    this.#deps = deps
  }

  report(kind: ViolationKind, what: string): void {
    this.#deps.note(`VIOLATION ${kind}: ${what}`)
    this.seen.push({ kind, what })
  }

  segment(request: CommitSegmentRequest, answer: CommitSegmentResponse): void {
    const { objectId } = request
    this.#deps.note(`segment ${objectId}: ${answer.verdict}, ${request.deduplicate.length} profiles`)
    if (answer.verdict === 'refused' || answer.verdict === 'labels-outdated') return
    const skips = JSON.stringify(answer.skips)
    const first = this.#firstSkips.get(objectId)
    if (first === undefined) this.#firstSkips.set(objectId, skips)
    else if (first !== skips) this.report('verdict', `segment ${objectId}: first ${first}, then ${skips}`)
    if (answer.verdict === 'committed') {
      this.#learn(objectId, request.datasets)
      this.#noteStillborn(objectId)
    }
    this.counts()
  }

  /** Runs the commit between two looks at the job. */
  compaction(
    request: CommitCompactionRequest,
    run: () => Promise<CommitCompactionResponse>,
  ): Promise<CommitCompactionResponse> {
    const { twin } = this.#deps
    const job = twin.state.jobs.get(request.jobId)
    const before = job === undefined ? undefined : { ...job }
    const mayApply = before?.state === 'running' && before.epoch === request.epoch && before.holder === request.workerId
    const wereLive = new Set(request.outputs.filter(({ objectId }) => twin.state.isLive(objectId)))
    // The twin's statement is done before its promise settles.
    const answer = run()
    const isNew = request.outputs.some((output) => !wereLive.has(output) && twin.state.isLive(output.objectId))
    const after = twin.state.jobs.get(request.jobId)
    this.#deps.note(
      `job ${request.jobId} epoch ${request.epoch} by ${request.workerId}: ${before?.state} -> ${after?.state}, level ${after?.level}`,
    )
    if (!mayApply && (isNew || after?.state !== before?.state))
      this.report('zombie', `job ${request.jobId} epoch ${request.epoch} by ${request.workerId} had an effect`)
    if (isNew) {
      this.committed++
      this.topLevel = Math.max(this.topLevel, ...request.outputs.map(({ level }) => level))
      for (const { objectId, datasets } of request.outputs) this.#learn(objectId, datasets)
      if (before !== undefined) this.#checkSums(before.sources, request)
    }
    this.counts()
    return answer
  }

  confirmed(request: ConfirmDeletedRequest, run: () => { forgotten: number }): { forgotten: number } {
    const { tombstones } = this.#deps.twin.state
    const ours = request.deleted.filter(({ objectId, epoch }) => {
      const tombstone = tombstones.get(objectId)
      return tombstone?.epoch === epoch && tombstone.holder === request.holder
    })
    const answer = run()
    if (answer.forgotten > ours.length)
      this.report('zombie', `${request.holder} confirmed ${answer.forgotten} deletions and had claimed ${ours.length}`)
    return answer
  }

  planned({ objects }: PlanQueryResponse): void {
    for (const { objectId } of objects) this.#plannedAtMs.set(objectId, this.#deps.nowMs())
  }

  deleting(key: string): void {
    const objectId = parseObjectKey(key)
    if (key.startsWith(QUARANTINE_PREFIX)) this.report('live-deleted', key)
    if (objectId === undefined) return
    const { twin, nowMs, note } = this.#deps
    note(`delete ${objectId}`)
    if (twin.state.isLive(objectId)) this.report('live-deleted', objectId)
    const sinceMs = nowMs() - (this.#plannedAtMs.get(objectId) ?? Number.NEGATIVE_INFINITY)
    const { deletionGraceMs } = twin.state.jobPolicy
    if (sinceMs < deletionGraceMs)
      this.report('grace', `${objectId} deleted ${sinceMs} ms after a plan named it, ${deletionGraceMs} are promised`)
  }

  /** For a reader of plans. The latest plan that named the object counts: it was live then. */
  missing(key: string): void {
    const objectId = parseObjectKey(key)
    const planAgeMs = this.#deps.nowMs() - (this.#plannedAtMs.get(objectId ?? '') ?? Number.NEGATIVE_INFINITY)
    if (planAgeMs <= this.#deps.twin.state.jobPolicy.deletionGraceMs / 2)
      this.report('grace', `a query of ${planAgeMs} ms needs ${objectId}, which is gone`)
  }

  /** Profiles of a dataset that count. */
  countedIn(objectId: string, index: number): number[] {
    const dataset = this.#deps.twin.state.objects.get(objectId)!.datasets[index]!
    const numbers = this.#contents.get(objectId)?.[index] ?? []
    return numbers.filter((_, position) => !dataset.skip.includes(position))
  }

  /** Every profile at most once among what is live, and exactly once if it was acknowledged. */
  counts(): void {
    const { twin, ledger } = this.#deps
    const counts = new Map<number, number>()
    for (const { objectId, datasets } of twin.state.objects.values())
      for (const dataset of datasets)
        if (isVisible(twin.state, dataset)) {
          if (isExpired(twin.state, dataset.descriptor))
            this.report('returned', `${objectId}/${dataset.descriptor.index} lies below the bound of its retention`)
          for (const number of this.countedIn(objectId, dataset.descriptor.index))
            counts.set(number, (counts.get(number) ?? 0) + 1)
        }
    for (const entry of ledger.entries) {
      const { number, isAcked, isDeleted } = entry
      const count = counts.get(number) ?? 0
      entry.wasLive ||= count > 0
      if (count > 1) this.report('counted-twice', `p${number} is live ${count} times`)
      else if (count === 0 && isAcked && !isDeleted && !this.#waitsInJournal(entry))
        this.report('lost', `p${number} was stored and is not live`)
      else if (count === 1 && isDeleted) this.report('returned', `p${number} was deleted and is live`)
    }
  }

  /** Acknowledged by the journal: an entry in the store names an object that has it. */
  #waitsInJournal({ number, wasLive }: Entry): boolean {
    return !wasLive && this.#deps.journalled().some((request) => this.#journalledIn(request).includes(number))
  }

  /** Objects never change. */
  #journalledIn({ objectId, datasets }: CommitSegmentRequest): readonly number[] {
    if (!this.#contents.has(objectId)) this.#learn(objectId, datasets)
    return this.#contents.get(objectId)?.flat() ?? []
  }

  /** Somebody deleted a tenant, or brought it back: what is hidden counts no more, what is shown counts again. */
  tenantChanged(tenant: string): void {
    const { twin, ledger } = this.#deps
    for (const { objectId, datasets } of twin.state.objects.values())
      for (const dataset of datasets)
        if (dataset.isLive && dataset.descriptor.tenant === tenant)
          for (const number of this.countedIn(objectId, dataset.descriptor.index))
            ledger.setDeleted(ledger.entries[number]!, !isVisible(twin.state, dataset))
    this.counts()
  }

  /**
   * The index is another one: what it has of segments is decided anew, and so may be who of two equal profiles counts.
   * A segment that nobody had committed, or that was a duplicate of what its tenant's deletion took, may count now: nothing
   * in the bucket tells it from one that was under way while the tenant was deleted.
   */
  rebuilt(run: () => void): void {
    const { twin, ledger } = this.#deps
    const hidden = [...twin.state.objects.values()].filter(({ datasets }) =>
      datasets.some(
        ({ descriptor, incarnation }) => incarnation < (twin.state.tenants.get(descriptor.tenant)?.liveFrom ?? 1),
      ),
    )
    const wasHidden = new Set(hidden.map(({ objectId }) => objectId))
    this.#firstSkips.clear()
    run()
    for (const { objectId, level, datasets } of twin.state.objects.values()) {
      if (!this.#contents.has(objectId))
        this.#learn(
          objectId,
          datasets.map(({ descriptor }) => descriptor),
        )
      for (const dataset of level === 0 && !wasHidden.has(objectId) ? datasets : [])
        for (const number of isVisible(twin.state, dataset) ? this.countedIn(objectId, dataset.descriptor.index) : [])
          ledger.setDeleted(ledger.entries[number]!, false)
    }
    this.counts()
  }

  /** A pass of retention: what it takes is gone for good. */
  expired(run: () => { objectId: string; index: number }[]): void {
    const { ledger, note } = this.#deps
    const gone = run()
    for (const { objectId, index } of gone) {
      note(`retention takes ${objectId}/${index}`)
      for (const number of this.countedIn(objectId, index)) ledger.setDeleted(ledger.entries[number]!, true)
    }
    if (gone.length > 0) this.counts()
  }

  /** Begun before its tenant was deleted, committed after. */
  #noteStillborn(objectId: string): void {
    const { twin, ledger } = this.#deps
    for (const dataset of twin.state.objects.get(objectId)!.datasets)
      if (!isVisible(twin.state, dataset))
        for (const number of this.countedIn(objectId, dataset.descriptor.index))
          ledger.setDeleted(ledger.entries[number]!, true)
  }

  /** No dataset in two open jobs. */
  jobs(): void {
    const holders = new Map<string, string>()
    for (const { jobId, state, sources } of this.#deps.twin.state.jobs.values()) {
      if (state === 'done' || state === 'stale') continue
      for (const { objectId, indexes } of sources)
        for (const index of indexes) {
          const place = `${objectId}/${index}`
          const other = holders.get(place)
          if (other !== undefined) this.report('shared-source', `jobs ${other} and ${jobId} hold ${place}`)
          holders.set(place, jobId)
        }
    }
  }

  throwFirst(): void {
    const [first] = this.seen
    if (first !== undefined) throw new Violation(first)
  }

  #learn(objectId: string, datasets: readonly DatasetDescriptor[]): void {
    const { stored, codec } = this.#deps
    const bytes = stored(objectKey(objectId))
    if (bytes === undefined) {
      this.report('not-durable', `${objectId} was committed and is not in the store`)
      return
    }
    const contents = datasets.map((descriptor) => {
      const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.headBytes)
      const { headers } = openDataset(region, descriptor, codec)
      return Array.from({ length: headers.count }, (_, h) => numberOfTotal(getNumber(headers.totals[0]!, h)))
    })
    this.#contents.set(objectId, contents)
  }

  #checkSums(
    sources: readonly { readonly objectId: string; readonly indexes: readonly number[] }[],
    { jobId, outputs }: CommitCompactionRequest,
  ): void {
    const ins = sources.flatMap(({ objectId, indexes }) => indexes.flatMap((index) => this.countedIn(objectId, index)))
    const outs = outputs.flatMap(({ objectId }) => this.#contents.get(objectId)?.flat() ?? [])
    const [before, after] = [ins, outs].map((numbers) => numbers.toSorted((a, b) => a - b).join(' '))
    if (before !== after) this.report('sums', `job ${jobId}: its sources hold ${before}, its outputs ${after}`)
  }
}
