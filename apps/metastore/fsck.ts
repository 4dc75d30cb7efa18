/**
 * Compares index and bucket, both ways, and mends what it finds if it is told to. It may run beside everything else: what
 * changes meanwhile is looked at again before it is told or mended.
 *
 * 1. A database that is behind its bucket: a repair adopts what it does not know (rebuild.ts), a dry run says so.
 * 2. Every object of the bucket: does the index know it, and rightly?
 * 3. Every live object of the index: is it there, of the right size, counted rightly? One in SAMPLE_EVERY by its footer;
 *    with `deep` all of them, by every byte.
 * 4. Open jobs that name what is no object.
 */
import { objectKey, OBJECT_KEY_PREFIX, parseObjectKey } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { compareDatasets, type Judgement, judgeStored, type Mend } from '#core/recovery/compare.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import type { Sql } from '#db/client.ts'
import {
  buryObjects,
  countLiveObjects,
  dropDanglingJobs,
  keepObjects,
  type LiveObject,
  recount,
  selectDanglingJobs,
  selectDatasetsOf,
  selectLiveObjects,
  selectStandings,
} from '#db/sql/recover-fsck.ts'
import { retireDatasets } from '#db/sql/recover-retire.ts'
import { rebuildIndex } from './rebuild.ts'
import { inParallel, readFooter } from './recovery-objects.ts'
import { READS_AT_ONCE, type RebuildDeps, type RunReport } from './recovery-run.ts'

export interface FsckOptions {
  readonly repair: boolean
  readonly deep: boolean
}

const PAGE = 1_000
/** A footer costs two requests more than a HEAD; one in 20 finds a fault that is common, and costs a tenth. */
const SAMPLE_EVERY = 20
/** Whole objects in memory, up to 64 MiB each. */
const DEEP_AT_ONCE = 2
const DANGLING_MAX = 1_000

export async function checkIndex(deps: RebuildDeps, report: RunReport, options: FsckOptions): Promise<void> {
  await mendBehind(deps, report, options)
  await checkStored(deps, report, options)
  await checkLive(deps, report, options)
  await checkJobs(deps, report, options)
}

async function mendBehind(deps: RebuildDeps, report: RunReport, { repair }: FsckOptions): Promise<void> {
  const { behindReason, behindSinceMs } = await deps.guard.standing()
  if (behindSinceMs === undefined) return
  const finding = {
    kind: 'behind',
    subject: 'database',
    detail: behindReason ?? '',
    mend: 'objects that the index does not know are adopted, and deletions and compaction begin again',
  }
  if (repair) await rebuildIndex(deps, report)
  await report.found([{ ...finding, isMended: repair }])
}

async function checkStored(deps: RebuildDeps, report: RunReport, { repair }: FsckOptions): Promise<void> {
  const { sql, store, clock } = deps
  let after = ''
  for (let seen = 0; ; ) {
    const keys = await store.list(OBJECT_KEY_PREFIX, { ...(after === '' ? {} : { startAfter: after }), limit: PAGE })
    const standings = await selectStandings(
      sql,
      keys.flatMap((key) => parseObjectKey(key) ?? []),
    )
    const suspects = standings.flatMap((standing) => judgeStored(standing, clock.nowMs()) ?? [])
    const judged = await stillThere(store, suspects)
    const subjects = (mend: Mend) => judged.filter((each) => each.mend === mend).map(({ finding }) => finding.subject)
    if (repair && judged.length > 0) {
      await buryObjects(sql, subjects('bury'))
      await keepObjects(sql, subjects('keep'))
    }
    await report.found(judged.map(({ finding, mend }) => ({ ...finding, isMended: repair && mend !== 'none' })))
    seen += keys.length
    await report.progress('comparing the bucket with the index', seen, 0)
    if (keys.length < PAGE) return
    after = keys.at(-1)!
  }
}

/** What was deleted since it was listed is no fault. */
async function stillThere(store: ObjectStore, suspects: readonly Judgement[]): Promise<Judgement[]> {
  const found: Judgement[] = []
  await inParallel(suspects, READS_AT_ONCE, async (each) => {
    if ((await store.head(objectKey(each.finding.subject))) !== undefined) found.push(each)
  })
  return found.sort((a, b) => (a.finding.subject < b.finding.subject ? -1 : 1))
}

async function checkLive(deps: RebuildDeps, report: RunReport, options: FsckOptions): Promise<void> {
  const { sql } = deps
  const total = await countLiveObjects(sql)
  let after = ''
  for (let seen = 0; ; ) {
    const page = await selectLiveObjects(sql, after, PAGE)
    const findings: RecoveryFinding[] = []
    const wrong = page.filter(({ counted, actual }) => counted !== actual)
    for (const { objectId, counted, actual } of wrong) {
      const detail = `${counted} live datasets by its own count, ${actual} by their rows`
      findings.push({ kind: 'wrong-count', subject: objectId, detail, mend: 'counted again', isMended: options.repair })
    }
    if (options.repair && wrong.length > 0)
      await recount(
        sql,
        wrong.map(({ objectId }) => objectId),
      )
    const indexed = page.map((object, i) => ({ object, isSample: options.deep || (seen + i) % SAMPLE_EVERY === 0 }))
    await inParallel(indexed, options.deep ? DEEP_AT_ONCE : READS_AT_ONCE, async ({ object, isSample }) => {
      findings.push(...(await checkObject(deps, object, { ...options, isSample })))
    })
    await report.found(findings.sort((a, b) => (a.subject < b.subject ? -1 : 1)))
    seen += page.length
    await report.progress('comparing the index with the bucket', seen, Math.max(total, seen))
    if (page.length < PAGE) return
    after = page.at(-1)!.objectId
  }
}

async function checkObject(
  deps: RebuildDeps,
  object: LiveObject,
  options: FsckOptions & { readonly isSample: boolean },
): Promise<RecoveryFinding[]> {
  const { sql, store } = deps
  const { objectId, sizeBytes } = object
  const found = await store.head(objectKey(objectId))
  if (found === undefined) return await missing(sql, objectId, { ...options, deletionGraceMs: deps.deletionGraceMs })
  const tell = (kind: string, detail: string) => [{ kind, subject: objectId, detail, mend: '', isMended: false }]
  if (found.sizeBytes !== sizeBytes)
    return tell('wrong-size', `${found.sizeBytes} bytes in the bucket, ${sizeBytes} in the index`)
  if (!options.isSample) return []
  try {
    const footer = options.deep
      ? verifyObject(await store.get(objectKey(objectId)), deps.codec)
      : (await readFooter(deps, objectId)).footer
    const difference = compareDatasets(await selectDatasetsOf(sql, objectId), footer.datasets)
    return difference === undefined ? [] : tell('damaged-object', difference)
  } catch (error) {
    if (!(error instanceof CinderError)) throw error
    // Deleted since the page was read.
    if (error.kind === 'not_found') return []
    if (error.kind !== 'data_loss' && error.kind !== 'unimplemented') throw error
    return tell('damaged-object', error.message)
  }
}

/** A finding for each dataset whose data is gone: it is what somebody will look for. */
async function missing(
  sql: Sql,
  objectId: string,
  options: FsckOptions & { readonly deletionGraceMs: number },
): Promise<RecoveryFinding[]> {
  // Merged and deleted since the page was read: then none is live.
  const datasets = await selectDatasetsOf(sql, objectId)
  if (options.repair) {
    const refs = datasets.map(({ index }) => ({ objectId, index }))
    await sql.begin((tx) => retireDatasets(tx, refs, options))
  }
  return datasets.map(({ index, tenant, service, minTimeMs, maxTimeMs, profileCount }) => ({
    kind: 'missing-object',
    subject: objectId,
    detail:
      `dataset ${index}: tenant ${tenant}, service ${service}, ${profileCount} profiles from ` +
      `${new Date(minTimeMs).toISOString()} to ${new Date(maxTimeMs).toISOString()}`,
    mend: 'taken out of the index, and queries go on: its data is lost, unless a restore made the index older than its merge',
    isMended: options.repair,
  }))
}

async function checkJobs({ sql }: RebuildDeps, report: RunReport, { repair }: FsckOptions): Promise<void> {
  const dangling = await selectDanglingJobs(sql, DANGLING_MAX)
  if (dangling.length === 0) return
  if (repair) {
    const jobIds = [...new Set(dangling.map(({ jobId }) => jobId))]
    await dropDanglingJobs(sql, jobIds)
  }
  const mend = 'the job is dropped, its other sources are planned anew'
  await report.found(
    dangling.map(({ jobId, objectId, state }) => ({
      kind: 'dangling-job',
      subject: `job ${jobId}`,
      detail: `${state}, of ${objectId}, which is no object`,
      mend: state === 'running' ? '' : mend,
      isMended: repair && state !== 'running',
    })),
  )
}
