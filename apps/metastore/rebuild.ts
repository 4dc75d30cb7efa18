/**
 * Restores the index from the bucket: what a lost or restored database does not know, it learns from footers.
 *
 * 1. Settings come back from their last dump, deletions of tenants from their objects, so that what follows obeys them.
 * 2. Footers of all objects that the index does not know are read and kept in the database; what cannot be read is named
 *    and put under quarantine.
 * 3. core/recovery/lineage.ts decides which datasets are live; the decisions are kept, all or none.
 * 4. rebuild-adopt.ts adopts: garbage, then outputs, then segments, each by its own commit, with label sets and ids.
 * 5. The database counts on from above the bucket, and what could not be restored is listed.
 * A run that is interrupted goes on: every step passes over what is done.
 */
import { OBJECT_KEY_PREFIX, parseObjectKey } from '#core/block/object-key.ts'
import type { ObjectFooter } from '#core/block/footer.ts'
import { CinderError } from '#core/errors.ts'
import { decideLineage, type LineageObject } from '#core/recovery/lineage.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import { quarantine } from '#db/sql/adopt-object.ts'
import { raiseJobIds } from '#db/sql/commit-counter.ts'
import { selectIndexed } from '#db/sql/recover-index.ts'
import {
  clearRecovered,
  insertRecovered,
  type RecoveredObject,
  saveDecisions,
  selectUnknown,
} from '#db/sql/recovered-objects.ts'
import type { Sql } from '#db/client.ts'
import { adoptDecided } from './rebuild-adopt.ts'
import { deathsToAdopt, obeyDeaths, readDeaths } from './rebuild-deaths.ts'
import { inParallel, readFooter } from './recovery-objects.ts'
import { READS_AT_ONCE, type RebuildDeps, recoveredPages, type RunReport } from './recovery-run.ts'
import { restoreSettings } from './settings-dump.ts'

/** One LIST of S3. */
const PAGE_KEYS = 1_000
/** Read together, then kept: what an interruption costs at most. */
const BATCH_FOOTERS = 128
/** A footer in memory is about 1 KiB once decided upon: 1 GiB. Beyond it the bucket is rebuilt by prefix, by hand. */
const OBJECTS_MAX = 1_000_000

export async function rebuildIndex(deps: RebuildDeps, report: RunReport): Promise<void> {
  const { sql, store, guard } = deps
  // One that never counted is new.
  const isNew = (await guard.standing()).counter === 0
  await report.progress('settings', 0, 0)
  await report.found(await restoreSettings(sql, store))
  const inBucket = await readDeaths(store)
  await report.found(await obeyDeaths(sql, inBucket))
  const deaths = await deathsToAdopt(sql, inBucket)
  const adopt = async () => {
    const tenantsOf = deaths.size === 0 ? new Map<string, string[]>() : await readTenantsOf(sql)
    await adoptDecided({ ...deps, deaths, tenantsOf }, report)
  }
  // An interrupted run, or one that failed, left decisions.
  await adopt()
  await readFooters(deps, report)
  await decide(deps, report)
  await adopt()
  await guard.clear()
  await clearRecovered(sql)
  if (isNew) await report.found(LOST_WITH_THE_DATABASE)
}

const LOST_WITH_THE_DATABASE: readonly RecoveryFinding[] = [
  ['jobs', 'parked jobs and their reasons: everything is planned anew, and what fails again is parked again'],
  ['receipts', 'receipts and announcements since the last daily dump of settings'],
].map(([subject, detail]) => ({ kind: 'not-restored', subject: subject!, detail: detail!, mend: '', isMended: false }))

async function readFooters(deps: RebuildDeps, report: RunReport): Promise<void> {
  const { sql, store } = deps
  let after = ''
  let seen = 0
  for (;;) {
    const keys = await store.list(OBJECT_KEY_PREFIX, {
      ...(after === '' ? {} : { startAfter: after }),
      limit: PAGE_KEYS,
    })
    const unknown = await selectUnknown(
      sql,
      keys.flatMap((key) => parseObjectKey(key) ?? []),
    )
    for (let at = 0; at < unknown.length; at += BATCH_FOOTERS)
      await readBatch(deps, report, unknown.slice(at, at + BATCH_FOOTERS))
    seen += keys.length
    if (seen > OBJECTS_MAX)
      throw new CinderError(
        'failed_precondition',
        `the bucket has more than ${OBJECTS_MAX} objects, the most of one rebuild`,
      )
    await report.progress('reading footers', seen, 0)
    if (keys.length < PAGE_KEYS) return
    after = keys.at(-1)!
  }
}

async function readBatch(deps: RebuildDeps, report: RunReport, objectIds: readonly string[]): Promise<void> {
  const found: RecoveredObject[] = []
  const unreadable: RecoveryFinding[] = []
  await inParallel(objectIds, READS_AT_ONCE, async (objectId) => {
    try {
      found.push({ objectId, ...(await readFooter(deps, objectId)) })
    } catch (error) {
      const finding = unreadableFinding(objectId, error)
      if (finding !== undefined) unreadable.push(finding)
    }
  })
  if (found.length > 0) await insertRecovered(deps.sql, found)
  await quarantine(
    deps.sql,
    unreadable.map(({ subject }) => subject),
  )
  await report.found(unreadable)
}

/** Undefined: it was deleted since it was listed. A store that fails is not the object's fault. */
export function unreadableFinding(objectId: string, error: unknown): RecoveryFinding | undefined {
  const kind = error instanceof CinderError ? error.kind : 'internal'
  if (kind === 'not_found') return undefined
  if (kind !== 'data_loss' && kind !== 'unimplemented') throw error
  return {
    kind: 'unreadable-object',
    subject: objectId,
    detail: (error as Error).message,
    mend: 'kept in the bucket under quarantine: neither read nor deleted',
    isMended: true,
  }
}

/** Of all objects of the run: where a tenant was deleted, what was merged of its data is told by its sources. */
async function readTenantsOf(sql: Sql): Promise<Map<string, string[]>> {
  const tenantsOf = new Map<string, string[]>()
  for await (const page of recoveredPages(sql, ['decided', 'adopted']))
    for (const { objectId, footer } of page)
      tenantsOf.set(
        objectId,
        footer.datasets.map(({ tenant }) => tenant),
      )
  return tenantsOf
}

async function decide({ sql }: RebuildDeps, report: RunReport): Promise<void> {
  const objects = new Map<string, LineageObject>()
  for await (const page of recoveredPages(sql, ['read'])) {
    for (const { objectId, footer } of page) objects.set(objectId, lineageOf(footer))
    await report.progress('deciding', objects.size, objects.size)
  }
  const sources = new Set<string>()
  for (const object of objects.values()) for (const { objectId } of object.sources) sources.add(objectId)
  const ids = [...sources].filter((objectId) => !objects.has(objectId))
  for (let at = 0; at < ids.length; at += PAGE_KEYS) {
    for (const { objectId, level, datasets, live } of await selectIndexed(sql, ids.slice(at, at + PAGE_KEYS)))
      objects.set(objectId, { objectId, level, jobId: '', epoch: 0, sources: [], datasets, indexed: live })
  }
  // The record of the counter may be gone, and a later job must win over all that the bucket has.
  const jobIds = [...objects.values()].map(({ jobId }) => (/^\d{1,15}$/.test(jobId) ? Number(jobId) : 0))
  await raiseJobIds(
    sql,
    jobIds.reduce((max, jobId) => Math.max(max, jobId), 1),
  )
  const decisions = decideLineage(objects.values())
  await sql.begin(async (tx) => {
    for (let at = 0; at < decisions.length; at += PAGE_KEYS)
      await saveDecisions(tx, decisions.slice(at, at + PAGE_KEYS))
  })
}

function lineageOf({ objectId, level, jobId, epoch, sources, datasets }: ObjectFooter): LineageObject {
  const counts = datasets.map(({ tenant, service, profileCount }) => ({ tenant, service, profileCount }))
  return { objectId, level, jobId, epoch, sources, datasets: counts }
}
