/**
 * The duty that carries deletions of tenants out: one state at a time, in batches under its term; see the states in
 * core/rpc/tenants.ts. A pass that is cut short goes on with the next.
 *
 * A shared object goes with its last dataset, which ordinary merges see to within hours. One that still lives after
 * REWRITE_AFTER_MS gets a job of its own, which writes the rest of it anew.
 *
 * Before a deletion counts as hidden, the bucket has the object that says which incarnations are dead
 * (core/retention/tenant-object.ts): an index that is rebuilt from the bucket must refuse them too. A bucket that takes
 * no object holds up the removal, and nothing else.
 */
import { adhocPrefix, adhocUploadedMs } from '#core/retention/adhoc-key.ts'
import { debuginfoPrefix, groupDebuginfoKeys } from '#core/retention/debuginfo-key.ts'
import { encodeTenantObject, isBegunBeforeDeath, tenantObjectKey } from '#core/retention/tenant-object.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { ASYNC_AGE_MS } from '#core/retention/async-key.ts'
import { isUlid, ulidTimeMs } from '#core/wire/ulid.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Sql } from '#db/client.ts'
import { isUniqueViolation } from '#db/errors.ts'
import { listPartitions, sliceByPartition } from '#db/partitions.ts'
import { insertWindowJobs } from '#db/sql/insert-window-jobs.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import { removeRecordingRules } from '#db/sql/remove-recording-rules.ts'
import {
  type DeletionRow,
  type DeletionState,
  selectOpenDeletions,
  selectTenantDeath,
} from '#db/sql/tenant-deletions.ts'
import {
  hideDatasets,
  moveDeletion,
  noteGoneObjects,
  noteObjects,
  noteSegments,
  type RemovalBatch,
  removeDatasets,
  removeLabelSets,
  restoreDatasets,
} from '#db/sql/tenant-removal.ts'
import { planRewrites } from '#db/sql/tenant-rewrites.ts'
import { unpackDeadSegments } from '#db/sql/unpack-segments.ts'
import { type AnswerStore, removeAsyncAnswers } from './async-leftovers.ts'
import { inBatches } from './retention.ts'

/** 2,000 rows take about 40 ms: no commit waits long for an object that a batch holds. */
const BATCH_ROWS = 2_000
const BATCH_OBJECTS = 500
/** Deletions in memory at a time. */
const DELETIONS_READ = 100
/** Names in a tenant's object, 27 bytes each: what is older by its id needs no name. */
const ALSO_DEAD_MAX = 100_000
/** An hour: what is below the hour level is merged sooner, and above it no object is shared. */
const REWRITE_AFTER_MS = MS_PER_HOUR
/** A pass: 64 jobs of one object each, so that others' work is not held up. The next goes on. */
const REWRITES_MAX = 64

/** Ids of queries have the time of a frontend, deletions that of the database. */
const CLOCKS_APART_MS = MS_PER_MINUTE

/** 10 s, 20 s, … a quarter of an hour, as other duties wait. */
const RETRY_BASE_MS = 10 * MS_PER_SECOND
const RETRY_MAX_MS = 15 * MS_PER_MINUTE

/** What deletions do to the bucket. Objects of profiles go by their tombstones. */
export type TenantStore = AnswerStore & Pick<ObjectStore, 'put'>

export interface TenantDeletionDeps {
  readonly sql: Sql
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly deletionGraceMs: number
  /** Without one no tenant objects are written: a rebuild from the bucket would then bring back what still lies there. */
  readonly store?: TenantStore | undefined
  readonly rewriteAfterMs?: number
}

interface FailingDeletion {
  readonly error: unknown
  readonly failures: number
  readonly failedMs: number
}

/** Once it is tried again with the next pass; then it waits. A clock that was set back ends the wait. Pure. */
function isWaiting({ failures, failedMs }: FailingDeletion, nowMs: number): boolean {
  const waitMs = failures <= 1 ? 0 : Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (failures - 2))
  return nowMs >= failedMs && nowMs - failedMs < waitMs
}

export class TenantDeletionPass {
  readonly #deps: TenantDeletionDeps
  /** By deletion, of those that are open: as many as fail. Another replica begins anew. */
  #failing = new Map<number, FailingDeletion>()

  constructor(deps: TenantDeletionDeps) {
    this.#deps = deps
  }

  /**
   * Every open deletion goes as far as it can, the oldest first: most wait for their delay, and hold up nobody. Nor does one
   * that fails: it waits ever longer by itself, and the pass fails with the first error when all had their turn, also while
   * that deletion waits, so that people see it.
   */
  async pass(term: LeaseTerm, signal: AbortSignal): Promise<void> {
    const { sql, clock } = this.#deps
    const failing = new Map<number, FailingDeletion>()
    for (let afterId = 0; ; ) {
      const open = await selectOpenDeletions(sql, { afterId, limit: DELETIONS_READ })
      for (const deletion of open) {
        if (signal.aborted) return
        const known = this.#failing.get(deletion.id)
        const failed =
          known !== undefined && isWaiting(known, clock.nowMs())
            ? known
            : await this.#try(deletion, term, { signal, known })
        if (failed !== undefined) failing.set(deletion.id, failed)
      }
      if (open.length < DELETIONS_READ) break
      afterId = open.at(-1)!.id
    }
    this.#failing = failing
    for (const { error } of failing.values()) throw error
  }

  async #try(
    deletion: DeletionRow,
    term: LeaseTerm,
    { signal, known }: { readonly signal: AbortSignal; readonly known: FailingDeletion | undefined },
  ): Promise<FailingDeletion | undefined> {
    try {
      await this.#advance(deletion, { term, deletion, batchRows: BATCH_ROWS }, signal)
      return undefined
    } catch (error) {
      return { error, failures: (known?.failures ?? 0) + 1, failedMs: this.#deps.clock.nowMs() }
    }
  }

  async #advance(deletion: DeletionRow, batch: RemovalBatch, signal: AbortSignal): Promise<void> {
    switch (deletion.state) {
      case 'hiding':
        await this.#hide(batch, signal)
        await this.#removeAnswers(deletion.tenant, this.#deps.clock.nowMs(), signal)
        await this.#note(batch, signal)
        await this.#writeTenantObject(deletion.tenant)
        return void (await this.#move(batch, signal, { from: 'hiding', to: 'hidden' }))
      case 'hidden':
        await this.#hideRest(batch, signal)
        await this.#removeAnswers(deletion.tenant, deletion.requestedAtMs, signal)
        if (!deletion.isRemovalDue) return
        await this.#note(batch, signal)
        return void (await this.#move(batch, signal, { from: 'hidden', to: 'removing' }))
      case 'removing':
        return await this.#remove(batch, signal)
      case 'restoring':
        return await this.#restore(batch, signal)
      case 'done':
      case 'restored':
        return
    }
  }

  async #hide(batch: RemovalBatch, signal: AbortSignal): Promise<number> {
    const { sql } = this.#deps
    const { term, deletion } = batch
    const dead = { tenant: deletion.tenant, below: deletion.deadBelow }
    await inBatches(signal, BATCH_OBJECTS, () => unpackDeadSegments(sql, { term, batchObjects: BATCH_OBJECTS }, dead))
    return await inBatches(signal, BATCH_ROWS, () => hideDatasets(sql, batch))
  }

  /** Those of queries that ran when the tenant was deleted come later. What is too old is known to nobody any more. */
  async #removeAnswers(tenant: string, beforeMs: number, signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#deps
    const beganBeforeMs = beforeMs + CLOCKS_APART_MS
    if (store === undefined || clock.nowMs() > beganBeforeMs + ASYNC_AGE_MS) return
    try {
      const answers = await removeAsyncAnswers(store, { tenant, beganBeforeMs }, signal)
      if (answers > 0) log.info('answers of queries of a deleted tenant are gone', { tenant, answers })
    } catch (error) {
      // They expire by themselves: a store that refuses holds up nothing.
      log.warn('answers of queries of a deleted tenant are not deleted', { tenant, error })
    }
  }

  /** Walks through the rows of all segments: not in every pass. */
  async #note(batch: RemovalBatch, signal: AbortSignal): Promise<void> {
    const { sql } = this.#deps
    for (const slice of sliceByPartition(await listPartitions(sql, 'datasets'), Number.MAX_SAFE_INTEGER))
      if (!signal.aborted) await noteObjects(sql, batch, slice)
    for (const slice of sliceByPartition(await listPartitions(sql, 'segments'), Number.MAX_SAFE_INTEGER))
      if (!signal.aborted) await noteSegments(sql, batch, slice)
  }

  /** Of commits that were under way when the deletion began, and of late ones. */
  async #hideRest(batch: RemovalBatch, signal: AbortSignal): Promise<void> {
    if ((await this.#hide(batch, signal)) > 0) await this.#note(batch, signal)
  }

  async #remove(batch: RemovalBatch, signal: AbortSignal): Promise<void> {
    const { sql, deletionGraceMs } = this.#deps
    await this.#hideRest(batch, signal)
    await inBatches(signal, BATCH_ROWS, () => removeDatasets(sql, batch, deletionGraceMs))
    await inBatches(signal, BATCH_ROWS, () => removeLabelSets(sql, batch))
    const left = await noteGoneObjects(sql, batch)
    if (left > 0) return await this.#rewrite(batch, signal)
    if (!(await this.#removeBeside(batch, signal))) return
    if (await this.#move(batch, signal, { from: 'removing', to: 'done' })) {
      await this.#writeTenantObject(batch.deletion.tenant)
    }
  }

  /** Recording rules, settings, ad-hoc profiles and debug information that were there when the tenant was deleted. False: the next pass goes on. */
  async #removeBeside({ term, deletion }: RemovalBatch, signal: AbortSignal): Promise<boolean> {
    const { sql, store, log } = this.#deps
    const requestedMs = await removeRecordingRules(sql, { term, deletionId: deletion.id })
    if (requestedMs === undefined) return false
    if (store === undefined) return true
    try {
      // No more than a tenant may have (apps/query-backend/adhoc-store.ts).
      for (const key of await store.list(adhocPrefix(deletion.tenant))) {
        if (signal.aborted) return false
        if ((adhocUploadedMs(key) ?? 0) < requestedMs) await store.delete(key)
      }
      return await this.#removeDebuginfo(store, { tenant: deletion.tenant, requestedMs }, signal)
    } catch (error) {
      // A store that refuses holds up this deletion, and no other.
      log.warn('ad-hoc profiles of a deleted tenant are not deleted', { tenant: deletion.tenant, error })
      return false
    }
  }

  /** What was last asked for on the day of the deletion goes too: an agent of the next life brings it again. */
  async #removeDebuginfo(
    store: Pick<ObjectStore, 'list' | 'delete'>,
    { tenant, requestedMs }: { readonly tenant: string; readonly requestedMs: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    const prefix = debuginfoPrefix(tenant)
    const lastDay = Math.floor(requestedMs / MS_PER_DAY)
    for (const { keys, usedDay = 0 } of groupDebuginfoKeys(prefix, await store.list(prefix)).values()) {
      if (usedDay > lastDay) continue
      for (const key of keys) {
        if (signal.aborted) return false
        await store.delete(key)
      }
    }
    return true
  }

  async #rewrite({ term, deletion }: RemovalBatch, signal: AbortSignal): Promise<void> {
    const { sql, log, rewriteAfterMs: afterMs = REWRITE_AFTER_MS } = this.#deps
    const jobs = await planRewrites(sql, { deletionId: deletion.id, afterMs, limit: REWRITES_MAX })
    if (jobs.length === 0 || signal.aborted) return
    try {
      // Behind what came before, by nothing more.
      const made = await insertWindowJobs(sql, jobs, { term, delaysSeconds: jobs.map(() => 0) })
      log.info('shared objects are written anew', { tenant: deletion.tenant, jobs: made })
    } catch (error) {
      // The planner had one of them first: the next pass sees its jobs.
      if (!isUniqueViolation(error)) throw error
    }
  }

  async #restore(batch: RemovalBatch, signal: AbortSignal): Promise<void> {
    const { sql } = this.#deps
    await inBatches(signal, BATCH_ROWS, () => restoreDatasets(sql, batch))
    // Before the last step, after which nobody would try it again: a rebuild would obey a deletion that was undone.
    await this.#writeTenantObject(batch.deletion.tenant)
    await this.#move(batch, signal, { from: 'restoring', to: 'restored' })
  }

  async #move(
    batch: RemovalBatch,
    signal: AbortSignal,
    step: { readonly from: DeletionState; readonly to: DeletionState },
  ): Promise<boolean> {
    // Cut short: the work of the state is not done.
    if (signal.aborted || !(await moveDeletion(this.#deps.sql, batch, step))) return false
    this.#deps.log.info('deletion of a tenant', { tenant: batch.deletion.tenant, state: step.to })
    return true
  }

  async #writeTenantObject(tenant: string): Promise<void> {
    const { sql, store } = this.#deps
    if (store === undefined) return
    const death = await selectTenantDeath(sql, tenant, ALSO_DEAD_MAX)
    if (death === undefined) return
    const { incarnation, diedMs, objectIds, open } = death
    const isMissed = (id: string) =>
      diedMs !== undefined && (!isUlid(id) || !isBegunBeforeDeath(ulidTimeMs(id), diedMs))
    const alsoDead = objectIds.filter(isMissed).sort()
    const lost = open?.lost.filter(isMissed) ?? []
    const object = { tenant, incarnation, diedMs, alsoDead, ...(open === undefined ? {} : { open: { ...open, lost } }) }
    await store.put(tenantObjectKey(tenant), encodeTenantObject(object))
  }
}
