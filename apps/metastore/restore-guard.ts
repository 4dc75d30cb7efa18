/**
 * Notices that the database was restored, or is a new one over an old bucket, and keeps it from harm.
 *
 * 1. `check`, at the start and every minute: the commit counter in the bucket is compared with that of the database; if
 *    the database is not behind, it counts on and writes the new value to the bucket. In this order: a database that
 *    counts and does not write is ahead, which is harmless.
 * 2. The same before every deletion, so that a backup older than a deletion always shows.
 * 3. While the database is behind no tombstone is given out, no orphan is retired, and no job: what looks like garbage or
 *    like a live source may be otherwise in the bucket. Pushes and queries go on. A rebuild or `fsck --repair` ends it;
 *    after a failover (another server, the same count) a rebuild is started at once.
 * 4. Where the bucket cannot be asked, deletions wait and the rest goes on.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import {
  type Behind,
  COUNTER_KEY,
  type CounterRecord,
  decodeCounter,
  encodeCounter,
  judgeCounter,
} from '#core/recovery/commit-counter.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { Random } from '#core/ports/random.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql, SqlSession } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import {
  advanceCounter,
  clearBehind,
  type CounterStanding,
  markBehind,
  readServer,
  readStanding,
  tryCounterLock,
  waitForCounterLock,
} from '#db/sql/commit-counter.ts'
import { insertRun } from '#db/sql/recover-runs.ts'

export interface RestoreGuardDeps {
  readonly sql: Sql
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
}

/** Polls come many a second; another replica may be the one that notices. */
const STANDING_AGE_MAX_MS = 2 * MS_PER_SECOND

export type GuardVerdict = 'level' | 'behind' | 'busy'

export class RestoreGuard {
  readonly #deps: RestoreGuardDeps
  #checking: Promise<GuardVerdict> | undefined
  #isChecked = false
  #standing: CounterStanding | undefined
  #standingMs = Number.NEGATIVE_INFINITY

  constructor(deps: RestoreGuardDeps) {
    this.#deps = deps
  }

  /** Compares, and counts on if the database is level. `busy`: another replica is at it. Callers at once share one. */
  check(): Promise<GuardVerdict> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** At the start: what fails now is tried again every minute, and deletions wait for it. */
  async checkFirst(): Promise<void> {
    try {
      await this.check()
    } catch (error) {
      this.#deps.log.warn('the commit counter was not compared: nothing is deleted until it is', { error })
    }
  }

  /** True once the bucket knows that a deletion follows. */
  async allowsDeletion(): Promise<boolean> {
    try {
      return (await this.check()) === 'level'
    } catch (error) {
      this.#deps.log.warn('deletions wait: the commit counter was not written', { error })
      return false
    }
  }

  /** What is known, at most two seconds old. */
  async standing(): Promise<CounterStanding & { readonly isChecked: boolean }> {
    const sinceMs = this.#deps.clock.nowMs() - this.#standingMs
    if (this.#standing === undefined || sinceMs < 0 || sinceMs > STANDING_AGE_MAX_MS) {
      this.#standing = await withSqlErrors('recovery state', () => readStanding(this.#deps.sql))
      this.#standingMs = this.#deps.clock.nowMs()
    }
    return { ...this.#standing, isChecked: this.#isChecked }
  }

  async isBehind(): Promise<boolean> {
    return (await this.standing()).behindSinceMs !== undefined
  }

  /** For who restores it himself: whatever the counters say, in the transaction of the restore. */
  async declareBehind(tx: SqlSession, why: string): Promise<void> {
    const record = await readRecord(this.#deps.store)
    await clearBehind(tx)
    await markBehind(tx, why, record?.jobId ?? 0)
    this.#standingMs = Number.NEGATIVE_INFINITY
  }

  /**
   * The index was mended: it counts on from above the bucket. It waits for a comparison that is under way: passed over, the
   * run would end well, and the database stay behind for good.
   */
  async clear(): Promise<void> {
    const { sql, store } = this.#deps
    await sql.begin(async (tx) => {
      await waitForCounterLock(tx)
      const record = await readRecord(store)
      await this.#count(tx, record?.counter ?? 0)
      await clearBehind(tx)
    })
    this.#standing = await readStanding(sql)
    this.#deps.log.info('the database is level with its bucket again', { counter: this.#standing.counter })
  }

  /** The metastore, with what must not happen while the database is behind taken out. */
  wrap<T extends Metastore>(metastore: T): T {
    return {
      ...metastore,
      pollJobs: async (...call: Parameters<Metastore['pollJobs']>) => {
        const [request] = call
        if (!(await this.isBehind())) return await metastore.pollJobs(...call)
        const answer = await metastore.pollJobs({
          ...request,
          capacity: 0,
          running: [],
          holdsNoOther: false,
          waitMs: 0,
        })
        return { ...answer, jobs: [], lost: request.running.map(({ jobId }) => jobId) }
      },
      claimTombstones: async (request: Parameters<Metastore['claimTombstones']>[0]) => {
        if (await this.isBehind()) return { tombstones: [] }
        const claimed = await metastore.claimTombstones(request)
        if (claimed.tombstones.length === 0 || (await this.allowsDeletion())) return claimed
        // Given out again when their lease has run out.
        return { ...claimed, tombstones: [] }
      },
    }
  }

  async #check(): Promise<GuardVerdict> {
    const { store } = this.#deps
    const verdict = await this.#locked(async (tx) => {
      const standing = await readStanding(tx)
      if (standing.behindSinceMs !== undefined) return 'behind'
      const record = await readRecord(store)
      const mayBeNew = record === undefined && standing.isEmpty && standing.counter === 0
      const hasObjects = mayBeNew && (await store.list(OBJECT_KEY_PREFIX, { limit: 1 })).length > 0
      const server = await this.#server()
      const behind = judgeCounter({ ...standing, server }, record, hasObjects)
      if (behind === undefined) {
        await this.#count(tx, record?.counter ?? 0)
        return 'level'
      }
      if (await markBehind(tx, behind.reason, record?.jobId ?? 0)) await this.#tell(tx, behind)
      return 'behind'
    })
    if (verdict !== 'busy') {
      this.#isChecked = true
      this.#standingMs = Number.NEGATIVE_INFINITY
    }
    return verdict
  }

  /** After a failover nobody is asked: a rebuild reads what the bucket has more, and ends it. */
  async #tell(tx: SqlSession, { reason, isFailover }: Behind): Promise<void> {
    const { log, clock, random } = this.#deps
    if (!isFailover) {
      const way = 'nothing is deleted or compacted until `cinder fsck --repair` or `cinder rebuild-index` has run'
      log.error(way, { reason })
      return
    }
    const id = makeUlid(clock.nowMs(), random.bytes(ULID_RANDOM_BYTES))
    await insertRun(tx, { id, kind: 'rebuild', repair: false, deep: false, key: '' })
    log.warn('nothing is deleted or compacted until the index is compared with the bucket', { reason, runId: id })
  }

  /** By a connection of its own, so that the bucket never knows a count that was rolled back. */
  async #count(locked: SqlSession, floor: number): Promise<void> {
    const { sql, store } = this.#deps
    const server = await this.#server()
    const counter = await advanceCounter(sql, server, floor)
    const { jobId } = await readStanding(locked)
    await store.put(COUNTER_KEY, encodeCounter({ counter, server, jobId }))
  }

  #server(): Promise<string> {
    // Not in the transaction: where the role may not ask, the error would end it.
    return readServer(this.#deps.sql)
  }

  async #locked(run: (tx: SqlSession) => Promise<GuardVerdict>): Promise<GuardVerdict> {
    return (await this.#deps.sql.begin(async (tx) => ((await tryCounterLock(tx)) ? run(tx) : 'busy'))) as GuardVerdict
  }
}

async function readRecord(store: ObjectStore): Promise<CounterRecord | undefined> {
  try {
    return decodeCounter(await store.get(COUNTER_KEY))
  } catch (error) {
    if (error instanceof CinderError && error.kind === 'not_found') return undefined
    throw error
  }
}
