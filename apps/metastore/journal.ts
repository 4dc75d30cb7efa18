/**
 * The duty `journal`: entries that writers left while the metastore was away become commits.
 *
 * 1. `journal/` is listed in slices to its end, or to the most entries of a run; the next run begins anew, and what was
 *    handled is not there any more.
 * 2. Each entry is committed (journal-entry.ts) and then deleted. In this order: who dies between finds it committed.
 * 3. What can never be committed, by two looks at it, and what is no entry at all, is moved to `quarantine/`, with its reason
 *    in the log. It is copied before it is deleted; nothing below `quarantine/` is ever deleted.
 * 4. What may work later stays: a store or database that does not answer, an entry of a later version, one too large to be
 *    moved. Four in a row end the run, one does not.
 * While the database is behind its bucket it does nothing: a rebuild adopts the objects themselves.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { CinderError, isRetryable } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { JOURNAL_ENTRY_BYTES_MAX, JOURNAL_PREFIX, parseJournalKey, QUARANTINE_PREFIX } from '#platform/journal.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import type { Duty } from './duties.ts'
import { type EntryDeps, type EntryTimes, recoverEntry } from './journal-entry.ts'
import { inParallel } from './recovery-objects.ts'
import type { RestoreGuard } from './restore-guard.ts'

export interface JournalDeps extends EntryDeps {
  readonly log: Log
  readonly clock: Pick<Clock, 'nowMs'>
  readonly guard: Pick<RestoreGuard, 'isBehind'>
  /** Default: 1,000 keys, what one LIST of S3 answers. */
  readonly sliceKeys?: number
}

/** With a commit of 10 ms an entry is in the index well within a minute of the database's return. */
const SWEEP_INTERVAL_MS = 15 * MS_PER_SECOND
const SLICE_KEYS = 1_000
/** A run of 20,000 entries takes about two minutes, a fifth of what a duty may take. */
const ENTRIES_PER_RUN_MAX = 20_000
/** Of the four connections that duties have. */
const COMMITS_AT_ONCE = 2
/** Not an entry's fault any more: store or database are away. Each may have waited for two minutes, and the next run comes soon. */
const FAILURES_IN_A_ROW_MAX = 4
/** Of entries that stay the log tells once. */
const TOLD_MAX = 1_000
/** Quarantined entries are counted up to here, at the first sweep, after a change of ours, and every five minutes. */
const QUARANTINED_COUNTED_MAX = 1_000
const SWEEPS_PER_COUNT = 20
/** What a replica says of the bucket is true for so long after its sweep; then another one sweeps. */
const STANDING_AGE_MAX_MS = 2 * MS_PER_MINUTE

export interface JournalSweep {
  readonly committed: readonly string[]
  readonly replayed: readonly string[]
  /** Keys as they were. */
  readonly quarantined: readonly string[]
  /** Keys of what stays. */
  readonly left: readonly string[]
  /** Entries for which the ids of live datasets were read. */
  readonly readIds: number
}

export interface JournalStanding {
  /** Left by the last sweep of this replica. */
  readonly entries: number
  readonly recovered: number
  /** Below `quarantine/journal/`, up to 1,000. */
  readonly quarantined: number
  /** Another replica has swept since, mostly: the bucket may be otherwise by now. */
  readonly isOld: boolean
}

export interface Journal {
  readonly duty: Duty
  sweep(signal: AbortSignal): Promise<JournalSweep>
  standing(): JournalStanding
}

export function createJournal(deps: JournalDeps): Journal {
  const sweeper = new Sweeper(deps)
  const sweep = (signal: AbortSignal) => sweeper.sweep(signal)
  return {
    sweep,
    standing: () => sweeper.standing,
    duty: {
      name: 'journal',
      intervalMs: SWEEP_INTERVAL_MS,
      run: (_term, signal) => runDuty(deps.log, () => sweep(signal)),
    },
  }
}

/** What fails for a while is no reason to come less and less often: entries wait. */
async function runDuty(log: Log, sweep: () => Promise<JournalSweep>): Promise<void> {
  try {
    await sweep()
  } catch (error) {
    if (!(error instanceof CinderError) || !isRetryable(error.kind)) throw error
    log.warn('the journal was not read to its end', { kind: error.kind, message: error.message })
  }
}

export function addJournalMetrics(registry: Registry, journal: Pick<Journal, 'standing'>): void {
  const entries = registry.gauge('cinder_journal_entries', 'Journal entries that the last sweep of this replica left.')
  const recovered = registry.reading(
    'cinder_journal_recovered_total',
    'Journal entries that this replica has committed or found committed.',
  )
  const quarantined = registry.gauge(
    'cinder_journal_quarantined',
    'Journal entries in quarantine, counted up to 1,000.',
  )
  registry.collect(() => {
    const standing = journal.standing()
    recovered.set(standing.recovered)
    entries.set(standing.isOld ? 0 : standing.entries)
    quarantined.set(standing.isOld ? 0 : standing.quarantined)
  })
}

interface Tally {
  readonly committed: string[]
  readonly replayed: string[]
  readonly quarantined: string[]
  readonly left: string[]
  readIds: number
  failuresInARow: number
}

class Sweeper {
  readonly #deps: JournalDeps
  readonly #told = new Set<string>()
  /** Postgres' time at the begin of the last sweep that left nothing. */
  #cleanMs: number | undefined
  #standing = { entries: 0, recovered: 0, quarantined: 0 }
  #sweptMs = Number.NEGATIVE_INFINITY
  #sweeps = 0

  constructor(deps: JournalDeps) {
    this.#deps = deps
  }

  get standing(): JournalStanding {
    const sinceMs = this.#deps.clock.nowMs() - this.#sweptMs
    return { ...this.#standing, isOld: !(sinceMs >= 0 && sinceMs <= STANDING_AGE_MAX_MS) }
  }

  async sweep(signal: AbortSignal): Promise<JournalSweep> {
    const tally: Tally = { committed: [], replayed: [], quarantined: [], left: [], readIds: 0, failuresInARow: 0 }
    const { guard, index } = this.#deps
    if (await guard.isBehind()) {
      // What was committed meanwhile is not in its ledger.
      this.#cleanMs = undefined
      return tally
    }
    const times = { nowMs: await index.nowMs(), cleanMs: this.#cleanMs }
    const isWhole = await this.#everySlice(tally, times, signal)
    if (isWhole && tally.left.length === 0) this.#cleanMs = times.nowMs
    await this.#tell(tally)
    return tally
  }

  /** True if the listing came to its end. */
  async #everySlice(tally: Tally, times: EntryTimes, signal: AbortSignal): Promise<boolean> {
    const { store, sliceKeys: limit = SLICE_KEYS } = this.#deps
    let cursor: string | undefined
    for (let seen = 0; seen < ENTRIES_PER_RUN_MAX; ) {
      const keys = await store.list(JOURNAL_PREFIX, { ...(cursor === undefined ? {} : { startAfter: cursor }), limit })
      await inParallel(keys, COMMITS_AT_ONCE, async (key) => {
        if (signal.aborted || tally.failuresInARow >= FAILURES_IN_A_ROW_MAX) tally.left.push(key)
        else await this.#handle(key, tally, times)
      })
      if (signal.aborted || tally.failuresInARow >= FAILURES_IN_A_ROW_MAX) return false
      if (keys.length < limit) return true
      cursor = keys.at(-1)!
      seen += keys.length
    }
    return false
  }

  async #handle(key: string, tally: Tally, times: EntryTimes): Promise<void> {
    const { store } = this.#deps
    try {
      const found = await store.head(key)
      // Another replica was faster.
      if (found === undefined) return
      if (found.sizeBytes > JOURNAL_ENTRY_BYTES_MAX) {
        this.#leave(key, tally, `it has ${found.sizeBytes} bytes, at most ${JOURNAL_ENTRY_BYTES_MAX} are read`)
        return
      }
      const bytes = await store.get(key)
      const objectId = parseJournalKey(key)
      if (objectId === undefined) {
        await this.#quarantine(key, bytes, { tally, reason: 'its key is not that of an entry' })
        return
      }
      let verdict = await recoverEntry(this.#deps, objectId, { bytes, times })
      if (verdict.kind === 'hopeless') {
        // A read that went wrong on its way, of the entry or of its object, must not cost what was acknowledged.
        const again = await store.get(key)
        if (!isEqual(bytes, again)) {
          this.#leave(key, tally, 'two reads of it differ')
          return
        }
        verdict = await recoverEntry(this.#deps, objectId, { bytes: again, times })
      }
      if (verdict.kind === 'hopeless') await this.#quarantine(key, bytes, { tally, reason: verdict.reason })
      else {
        await store.delete(key)
        tally[verdict.how].push(objectId)
        if (verdict.readIds) tally.readIds++
      }
      tally.failuresInARow = 0
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'not_found') return
      // A fault of ours in one entry must not keep the others from the index.
      this.#leave(key, tally, error instanceof Error ? error.message : String(error))
      if (error instanceof CinderError && isRetryable(error.kind)) tally.failuresInARow++
    }
  }

  async #quarantine(
    key: string,
    bytes: Uint8Array,
    { tally, reason }: { readonly tally: Tally; readonly reason: string },
  ): Promise<void> {
    const { store, log } = this.#deps
    const to = `${QUARANTINE_PREFIX}${key}`
    if (!isValidObjectKey(to)) {
      this.#leave(key, tally, `${reason}; its key is too long to be moved`)
      return
    }
    await store.put(to, bytes)
    await store.delete(key)
    log.error('journal entry quarantined', { key, to, reason })
    tally.quarantined.push(key)
  }

  #leave(key: string, tally: Tally, reason: string): void {
    tally.left.push(key)
    if (this.#told.has(key)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(key)
    this.#deps.log.warn('journal entry stays', { key, reason })
  }

  async #tell({ committed, replayed, left, quarantined }: Tally): Promise<void> {
    const { store, log } = this.#deps
    const recovered = committed.length + replayed.length
    if (recovered > 0) log.info('journal recovered', { committed: committed.length, replayed: replayed.length })
    const before = this.#standing
    const isDue = this.#sweeps++ % SWEEPS_PER_COUNT === 0 || quarantined.length > 0
    const inQuarantine = isDue ? await countQuarantined(store) : before.quarantined
    this.#sweptMs = this.#deps.clock.nowMs()
    this.#standing = { entries: left.length, recovered: before.recovered + recovered, quarantined: inQuarantine }
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

async function countQuarantined(store: JournalDeps['store']): Promise<number> {
  const prefix = `${QUARANTINE_PREFIX}${JOURNAL_PREFIX}`
  return (await store.list(prefix, { limit: QUARANTINED_COUNTED_MAX })).length
}
