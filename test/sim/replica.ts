/**
 * A replica of the metastore: it serves the contract over the database and plans under a lease, as apps/metastore does.
 * Its statements reach the database one by one, each at one instant; between two of them anything may happen to it.
 */
import { OBJECT_KEY_PREFIX, parseObjectKey } from '#core/block/object-key.ts'
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { planWindowJobs } from '#core/compaction/plan-windows.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { JOURNAL_PREFIX, parseJournalKey, QUARANTINE_PREFIX } from '#platform/journal.ts'
import type { JournalIndex } from '../../apps/metastore/journal-index.ts'
import { createJournal, type Journal } from '../../apps/metastore/journal.ts'
import type { JournalMode } from '../../apps/segment-writer/journal.ts'
import type { MemoryMetastore } from '../support/memory-metastore.ts'
import { closeDeadJobs, failExpiredJobs, forgetClosedJobs } from '../support/metastore-twin/jobs.ts'
import { noteListed, retireOrphans } from '../support/metastore-twin/orphans.ts'
import { runRetention } from '../support/metastore-twin/retention.ts'
import { removeDeleted } from '../support/metastore-twin/tenants.ts'
import { confirmDeleted } from '../support/metastore-twin/tombstones.ts'
import {
  acquireLease,
  type DutyTerm,
  insertSegmentJobs,
  insertWindowJobs,
  waitingDatasets,
  waitingSegments,
} from '../support/metastore-twin/planning.ts'
import { callOver, type Line } from './call.ts'
import type { Checker } from './checker.ts'
import type { Dice } from './dice.ts'
import type { Faults } from './faults.ts'
import type { Life } from './life.ts'
import { SIM_SEGMENT_POLICY, SIM_WINDOW_POLICY } from './policies.ts'
import type { Scheduler } from './scheduler.ts'

export interface DatabaseDeps {
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly faults: Faults
  readonly checker: Checker
  readonly twin: MemoryMetastore
  readonly orphanGraceMs: number
  readonly journal: JournalMode
  readonly codec: Codec
  readonly note: (who: string, what: string) => void
  /** A planted bug. */
  readonly wrapIndex?: ((inner: JournalIndex) => JournalIndex) | undefined
  /** A process was given a job or a tombstone: a good moment for it to stop. */
  readonly onClaim: (life: Life) => void
}

const NEVER = new AbortController().signal
const LEASE_TTL_MS = 5_000
const PLAN_INTERVAL_MS = 1_000
/** Every so many passes also the datasets above level 0, and the search for orphans. */
const WINDOW_PASSES = 3
/** Shorter than late commits are late: they find no job. */
const CLOSED_JOB_AGE_MS = 4_000
const DATABASE_DELAY_MS_MAX = 3
const DATABASE_DEADLINE_MS = 6_000
const LINE_DELAY_MS_MAX = 30
const LINE_DEADLINE_MS = 30_000

interface Statement<T> {
  readonly run: () => T | Promise<T>
  /** It may wait so long in the database. */
  readonly waitMs?: number
}

/** Runs at one instant. The line to the database only delays: lost answers are the business of the line before. */
function execute<T>(
  { scheduler, dice, faults }: DatabaseDeps,
  from: Life,
  { run, waitMs = 0 }: Statement<T>,
): Promise<T> {
  const line: Line = {
    scheduler,
    dice,
    from,
    to: undefined,
    fault: faults.onDatabase(),
    deadlineMs: DATABASE_DEADLINE_MS + waitMs,
    delayMaxMs: DATABASE_DELAY_MS_MAX,
  }
  return callOver(line, 'database', run)
}

/** The contract as this replica serves it, every effect under the eyes of the checker. */
function served(deps: DatabaseDeps, life: Life): Metastore {
  const { twin, checker } = deps
  const on = <T>(run: () => T | Promise<T>): Promise<T> => execute(deps, life, { run })
  return {
    commitSegment: (request) =>
      on(async () => {
        const answer = await twin.commitSegment(request)
        checker.segment(request, answer)
        return answer
      }),
    pollJobs: (request) => execute(deps, life, { run: () => twin.pollJobs(request), waitMs: request.waitMs }),
    commitCompaction: (request) => on(() => checker.compaction(request, () => twin.commitCompaction(request))),
    planQuery: (request) =>
      on(async () => {
        const answer = await twin.planQuery(request)
        checker.planned(answer)
        return answer
      }),
    labelSets: (request) => on(() => twin.labelSets(request)),
    tenantStats: (request) => on(() => twin.tenantStats(request)),
    claimTombstones: (request) => on(() => twin.claimTombstones(request)),
    confirmDeleted: (request) =>
      on(() => {
        const { state } = twin
        return checker.confirmed(request, () => ({
          forgotten: confirmDeleted(state, request.holder, request.deleted),
        }))
      }),
  }
}

/** What the journal asks, each at one instant, every effect under the eyes of the checker. */
function indexFor(deps: DatabaseDeps, life: Life): JournalIndex {
  const { twin, checker } = deps
  const on = <T>(run: () => T | Promise<T>): Promise<T> => execute(deps, life, { run })
  return {
    nowMs: () => on(() => twin.state.nowMs()),
    commitSegment: (request) =>
      on(async () => {
        const answer = await twin.commitSegment(request)
        checker.segment(request, answer)
        return answer.verdict === 'committed' ? 'committed' : 'registered'
      }),
    isCommitted: (objectId) => on(() => twin.state.registered.get(objectId) !== undefined),
    planQuery: (request) => on(async () => (await twin.planQuery(request)).objects),
    insertCountedIds: ({ ids }) =>
      on(() => {
        const { profileIds, nowMs } = twin.state
        for (let at = 0; at < ids.length; at += 16) {
          const id = ids.subarray(at, at + 16).join()
          if (!profileIds.has(id)) profileIds.set(id, nowMs())
        }
      }),
  }
}

/** What a process has of the metastore: each call goes to one of the replicas, over a line that breaks. */
export function metastoreFor(deps: DatabaseDeps, from: Life, replicas: readonly Replica[]): Metastore {
  const { scheduler, dice, faults } = deps
  const over = <T>(what: string, waitMs: number, call: (metastore: Metastore) => Promise<T>): Promise<T> => {
    const replica = dice.pick(replicas)
    const deadlineMs = LINE_DEADLINE_MS + waitMs
    const to = replica.life
    const line = { scheduler, dice, from, to, fault: faults.onLink(), deadlineMs, delayMaxMs: LINE_DELAY_MS_MAX }
    return callOver(line, what, () => call(replica.metastore))
  }
  return {
    commitSegment: (request) => over('commit segment', 0, (m) => m.commitSegment(request)),
    async pollJobs(request) {
      const answer = await over('poll jobs', request.waitMs, (m) => m.pollJobs(request))
      if (answer.jobs.length > 0) deps.onClaim(from)
      return answer
    },
    commitCompaction: (request) => over('commit compaction', 0, (m) => m.commitCompaction(request)),
    planQuery: (request) => over('plan query', 0, (m) => m.planQuery(request)),
    labelSets: (request) => over('label sets', 0, (m) => m.labelSets(request)),
    tenantStats: (request) => over('tenant stats', 0, (m) => m.tenantStats(request)),
    async claimTombstones(request) {
      const answer = await over('claim tombstones', 0, (m) => m.claimTombstones(request))
      if (answer.tombstones.length > 0) deps.onClaim(from)
      return answer
    },
    confirmDeleted: (request) => over('confirm deletions', 0, (m) => m.confirmDeleted(request)),
  }
}

export class Replica {
  life: Life
  metastore: Metastore
  readonly #deps: DatabaseDeps
  readonly #storeOf: (life: Life) => ObjectStore
  #term: DutyTerm | undefined
  #trustedUntilMs = 0
  #passes = 0
  #journal: Journal

  constructor(deps: DatabaseDeps, life: Life, storeOf: (life: Life) => ObjectStore) {
    this.#deps = deps
    this.#storeOf = storeOf
    this.life = life
    this.metastore = served(deps, life)
    this.#journal = this.#createJournal(life)
    void this.#planLoop(life)
  }

  /** After a crash: nothing is left of what it knew. */
  restart(life: Life): void {
    this.life = life
    this.metastore = served(this.#deps, life)
    this.#term = undefined
    this.#trustedUntilMs = 0
    this.#journal = this.#createJournal(life)
    void this.#planLoop(life)
  }

  /** The product's sweep, over the twin. */
  #createJournal(life: Life): Journal {
    const { codec, note } = this.#deps
    const tell = (event: string, fields: unknown): void => note(life.name, `${event} ${JSON.stringify(fields)}`)
    return createJournal({
      index: (this.#deps.wrapIndex ?? ((inner) => inner))(indexFor(this.#deps, life)),
      store: this.#storeOf(life),
      codec,
      clock: life.clock,
      log: { info: tell, warn: tell, error: tell },
      guard: { isBehind: async () => false },
    })
  }

  async #planLoop(life: Life): Promise<void> {
    for (;;) {
      try {
        await this.#pass(life)
      } catch {
        // The database did not answer: the next pass asks again.
      }
      await life.clock.sleep(PLAN_INTERVAL_MS)
    }
  }

  async #pass(life: Life): Promise<void> {
    const { twin, checker } = this.#deps
    const { state } = twin
    const on = <T>(run: () => T): Promise<T> => execute(this.#deps, life, { run })
    await on(() => {
      if (failExpiredJobs(state) > 0) twin.wake()
      forgetClosedJobs(state, CLOSED_JOB_AGE_MS)
    })
    const term = await this.#hold(life)
    if (term === undefined) return
    const insert = (run: () => number): Promise<void> =>
      on(() => {
        const isHolder = isCurrent(twin, term)
        const made = run()
        if (made > 0 && !isHolder) checker.report('zombie', `${term.holder} planned under epoch ${term.epoch}`)
        checker.jobs()
        if (made > 0) twin.wake()
      })
    const segments = await on(() => ({ waiting: waitingSegments(state), nowMs: state.nowMs() }))
    const jobs = planSegmentJobs(segments.waiting, SIM_SEGMENT_POLICY, segments.nowMs)
    if (jobs.length > 0) await insert(() => insertSegmentJobs(state, jobs, term))
    if (++this.#passes % WINDOW_PASSES !== 0) return
    await on(() => {
      closeDeadJobs(state)
      removeDeleted(state)
      checker.expired(() => runRetention(state))
    })
    const datasets = await on(() => ({ waiting: waitingDatasets(state), nowMs: state.nowMs() }))
    const windowJobs = planWindowJobs(datasets.waiting, SIM_WINDOW_POLICY, datasets.nowMs)
    if (windowJobs.length > 0) await insert(() => insertWindowJobs(state, windowJobs, term))
    await this.#searchOrphans(life)
    if (this.#deps.journal !== 'off') await this.#journal.sweep(NEVER)
  }

  /** Needs no lease to be right: an id is retired by the row that every commit must insert first. */
  async #searchOrphans(life: Life): Promise<void> {
    const { state } = this.#deps.twin
    const keys = await this.#storeOf(life).list(OBJECT_KEY_PREFIX)
    const objectIds = keys.flatMap((key) => parseObjectKey(key) ?? [])
    await execute(this.#deps, life, { run: () => noteListed(state, objectIds) })
    const journalled = new Set<string>()
    if (this.#deps.journal !== 'off')
      for (const prefix of [JOURNAL_PREFIX, `${QUARANTINE_PREFIX}${JOURNAL_PREFIX}`])
        for (const key of await this.#storeOf(life).list(prefix))
          journalled.add(parseJournalKey(key.slice(key.indexOf(JOURNAL_PREFIX))) ?? key)
    await execute(this.#deps, life, { run: () => retireOrphans(state, this.#deps.orphanGraceMs, journalled) })
  }

  /** As apps/metastore/held-lease.ts: trusted for half its time, counted from before the request. */
  async #hold(life: Life): Promise<DutyTerm | undefined> {
    const startedMs = life.clock.nowMs()
    if (this.#term !== undefined && startedMs < this.#trustedUntilMs) return this.#term
    const request = { name: 'planning', holder: life.name, epoch: this.#term?.epoch, ttlMs: LEASE_TTL_MS }
    this.#term = await execute(this.#deps, life, { run: () => acquireLease(this.#deps.twin.state, request) })
    this.#trustedUntilMs = startedMs + LEASE_TTL_MS / 2
    return this.#term
  }
}

function isCurrent({ state }: MemoryMetastore, term: DutyTerm): boolean {
  const lease = state.leases.get(term.name)
  return lease?.holder === term.holder && lease.epoch === term.epoch && lease.expiresAtMs > state.nowMs()
}
