/**
 * The search for orphans: objects in the bucket that no commit ever named, left by a writer or worker that died between
 * PUT and commit. Nobody was told that they are safe.
 *
 * 1. The bucket is listed in slices; the cursor is in the database, so that a pass goes on wherever it is resumed.
 * 2. What no commit knows becomes a candidate, with the time it was first seen by the clock of Postgres.
 * 3. What is old enough (core/recovery/orphan-rule.ts) is retired: its id enters the list that every commit checks, and it
 *    gets a tombstone. Workers delete it like any other.
 *    Right before, the bucket is asked for an entry of the journal about it, also in quarantine: what has one is nobody's
 *    garbage, and is looked at again after another grace.
 * 4. Ids of the retired list are forgotten after its age.
 * It must not touch what it did not write: keys of another shape are passed over. While the database is behind its
 * bucket it does nothing: what it does not know is then somebody's data.
 */
import { OBJECT_KEY_PREFIX, parseObjectKey } from '#core/block/object-key.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { isOrphanDue, ORPHAN_GRACE_MS } from '#core/recovery/orphan-rule.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import type { Sql } from '#db/client.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import {
  deferCandidates,
  forgetCandidates,
  forgetRetired,
  noteSlice,
  readOrphanSearch,
  retireOrphans,
  selectOldCandidates,
} from '#db/sql/orphans.ts'
import { journalKey, QUARANTINE_PREFIX } from '#platform/journal.ts'
import type { Duty } from './duties.ts'
import { inParallel } from './recovery-objects.ts'
import type { RestoreGuard } from './restore-guard.ts'

export interface OrphanDeps {
  readonly sql: Sql
  readonly store: ObjectStore
  readonly log: Log
  readonly guard: RestoreGuard
  /** Default: the rule's. */
  readonly graceMs?: number
  /** Default: 1,000 keys, what one LIST of S3 answers. */
  readonly sliceKeys?: number
}

const SLICE_KEYS = 1_000
/** 20,000 keys a run, once a minute: a bucket of a million objects is looked through within an hour. */
const SLICES_PER_RUN_MAX = 20
const PASS_INTERVAL_MS = MS_PER_HOUR
/** A bucket that another product fills, or a database that lost its mind: the table stays small, and the log says so. */
const CANDIDATES_MAX = 100_000
const RETIRED_PER_RUN_MAX = 500
const RETIRED_AGE_MS = 7 * MS_PER_DAY
const BATCH_ROWS = 5_000
/** Two requests an orphan. */
const HEADS_AT_ONCE = 8

export interface OrphanReport {
  readonly keys: number
  readonly retired: readonly string[]
}

export function orphanDuty(deps: OrphanDeps): Duty {
  return {
    name: 'orphans',
    intervalMs: MS_PER_MINUTE,
    run: async (term, signal) => void (await searchOrphans(deps, term, signal)),
  }
}

export async function searchOrphans(deps: OrphanDeps, term: LeaseTerm, signal: AbortSignal): Promise<OrphanReport> {
  if (await deps.guard.isBehind()) return { keys: 0, retired: [] }
  const keys = await listSlices(deps, signal)
  await forgetCandidates(deps.sql, BATCH_ROWS)
  const retired = signal.aborted ? [] : await retireDue(deps, term)
  await forgetRetired(deps.sql, { ageMs: RETIRED_AGE_MS, batchRows: BATCH_ROWS })
  return { keys, retired }
}

async function listSlices({ sql, store, log, sliceKeys }: OrphanDeps, signal: AbortSignal): Promise<number> {
  const limit = sliceKeys ?? SLICE_KEYS
  let seen = 0
  for (let slice = 0; slice < SLICES_PER_RUN_MAX && !signal.aborted; slice++) {
    const search = await readOrphanSearch(sql)
    if (!search.isDue) break
    if (search.candidates >= CANDIDATES_MAX) {
      log.warn('too many objects that no commit knows: the search for orphans waits', { candidates: search.candidates })
      break
    }
    const keys = await store.list(OBJECT_KEY_PREFIX, {
      ...(search.cursor === '' ? {} : { startAfter: search.cursor }),
      limit,
    })
    const objectIds = keys.flatMap((key) => parseObjectKey(key) ?? [])
    const isLast = keys.length < limit
    await noteSlice(sql, { objectIds, cursor: isLast ? '' : keys.at(-1)!, passIntervalMs: PASS_INTERVAL_MS })
    seen += keys.length
    if (isLast) break
  }
  return seen
}

async function retireDue(deps: OrphanDeps, term: LeaseTerm) {
  const { sql, log, guard, graceMs = ORPHAN_GRACE_MS } = deps
  const old = await selectOldCandidates(sql, graceMs, RETIRED_PER_RUN_MAX)
  const due = old
    .filter(({ objectId, firstSeenMs, nowMs }) =>
      isOrphanDue({ idTimeMs: ulidTimeMs(objectId), firstSeenMs }, nowMs, graceMs),
    )
    .map(({ objectId }) => objectId)
  if (due.length === 0 || !(await guard.allowsDeletion())) return []
  const journalled = await findJournalled(deps.store, due)
  await deferCandidates(sql, [...journalled])
  const orphans = due.filter((objectId) => !journalled.has(objectId))
  const retired = await retireOrphans(sql, orphans, term)
  if (retired.length > 0) log.info('orphans retired', { objects: retired.length, first: retired[0] })
  return retired
}

async function findJournalled(store: ObjectStore, objectIds: readonly string[]): Promise<Set<string>> {
  const journalled = new Set<string>()
  await inParallel(objectIds, HEADS_AT_ONCE, async (objectId) => {
    const key = journalKey(objectId)
    const found = (await store.head(key)) ?? (await store.head(`${QUARANTINE_PREFIX}${key}`))
    if (found !== undefined) journalled.add(objectId)
  })
  return journalled
}
