/**
 * Adopts what a rebuild has decided upon.
 *
 * 1. Garbage: registered and given a tombstone.
 * 2. Outputs, one attempt a transaction, together with the datasets of the index that they replace. Where datasets
 *    overlap that may hold a profile twice (core/recovery/contested.ts), ids are read, and the older one skips it.
 *    Of a tenant whose deletion can still be undone all that is dead is adopted too, of the incarnation that died: no plan
 *    and no label answer has it, the deletion takes it out of sight, and undoing it brings it back.
 * 3. Segments by the commit of every segment, in order of their ids: duplicates are decided as ever, by profile ids. Ids
 *    of overlapping outputs are put into the ledger right before, and those of the last quarter of an hour.
 */
import { assert } from '#core/assert.ts'
import { CinderError } from '#core/errors.ts'
import { labelSetsOfHead } from '#core/recovery/head-label-sets.ts'
import { type ContestedDataset, findContested, skipSeen } from '#core/recovery/contested.ts'
import { attemptOf } from '#core/recovery/lineage.ts'
import type { DatasetDescriptor, LabelSet } from '#core/rpc/metastore.ts'
import { MS_PER_MINUTE } from '#core/units.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import { datasetPartitions, ensurePartition } from '#db/partitions.ts'
import { adoptGarbage, adoptOutput, type AdoptedOutput } from '#db/sql/adopt-object.ts'
import { commitSegment, type HiddenTenant } from '#db/sql/commit-segment.ts'
import { insertCountedIds } from '#db/sql/journal.ts'
import { planQuery } from '#db/sql/plan-query.ts'
import { retireDatasets } from '#db/sql/recover-retire.ts'
import { type DecidedObject, markAdopted } from '#db/sql/recovered-objects.ts'
import { type Deaths, fateOf, type TenantsOfObjects } from './rebuild-deaths.ts'
import { inParallel, readHead, readProfileIds } from './recovery-objects.ts'
import { READS_AT_ONCE, type RebuildDeps, recoveredPages, type RunReport } from './recovery-run.ts'

/** The promise to clients: a retry within 15 minutes counts once. */
const PROFILE_ID_AGE_MS = 15 * MS_PER_MINUTE
/** 80 MB of ids in one statement would be too much; 50,000 are 800 KB. */
const IDS_PER_INSERT = 50_000
/** Of one group: 5 M ids take about 500 MB while they are compared. */
const CONTESTED_PROFILES_MAX = 5_000_000
/** Of the four connections that duties have. */
const COMMITS_AT_ONCE = 3
/** Objects whose heads are read together and then adopted one after the other. */
const BATCH_OBJECTS = 64

/** Behind the name of a service: no name has a NUL. */
const HIDDEN = '\0hidden'
/** Origin of what the index has already. */
const INDEX = 'index'

interface LiveDataset extends ContestedDataset {
  readonly objectId: string
  readonly descriptor: DatasetDescriptor
  /** 2 = of the index, 1 = an output, 0 = a segment; then job and epoch. */
  readonly rank: readonly [number, bigint, number]
  readonly isSegment: boolean
  /** Dead by a deletion that can be undone: compared with its like alone, what was pushed again since is new. */
  readonly isHidden: boolean
}

export interface AdoptDeps extends RebuildDeps {
  readonly deaths: Deaths
  readonly tenantsOf: TenantsOfObjects
}

export async function adoptDecided(deps: AdoptDeps, report: RunReport): Promise<void> {
  const open: DecidedObject[] = []
  let done = 0
  for await (const decided of recoveredPages(deps.sql, ['decided'])) {
    const page = decided.map((object) => withoutDead(deps, object))
    const garbage = page.filter(({ live }) => live.length === 0)
    open.push(...page.filter(({ live }) => live.length > 0))
    await adoptGarbage(
      deps.sql,
      garbage.map(({ objectId, sizeBytes, footer: { level } }) => ({ objectId, level, sizeBytes })),
      deps,
    )
    await markAdopted(
      deps.sql,
      garbage.map(({ objectId }) => objectId),
    )
    done += garbage.length
  }
  const total = done + open.length
  const groups = await contestedGroups(deps, open)
  const skips = await decideSkips(deps, groups, report)
  const attempts = Map.groupBy(
    open.filter(({ footer }) => footer.level > 0),
    ({ footer }) => attemptOf(footer),
  )
  const ensureDays = createDays(deps)
  for (const batch of batchesOf([...attempts.values()])) {
    const read = await readAttempts(deps, batch, skips)
    await ensureDays(read.flatMap(({ adopted }) => adopted))
    for (const attempt of read) await adoptAttempt(deps, attempt)
    done += batch.flat().length
    await report.progress('adopting outputs', done, total)
  }
  const segments = open.filter(({ footer }) => footer.level === 0)
  if (segments.length > 0) await enterContestedIds(deps, groups)
  for (const batch of batchesOf(segments)) {
    await adoptSegments(deps, batch)
    done += batch.length
    await report.progress('adopting segments', done, total)
  }
}

/** Without what belongs to a deleted tenant for good. */
function withoutDead(deps: AdoptDeps, object: DecidedObject): DecidedObject {
  const { footer, live } = object
  return {
    ...object,
    live: live.filter((index) => fateOf(deps, footer.datasets[index]!.tenant, footer) !== 'gone'),
  }
}

async function contestedGroups(deps: AdoptDeps, open: readonly DecidedObject[]): Promise<LiveDataset[][]> {
  const { sql } = deps
  const mine = open.flatMap(({ objectId, live, footer }) =>
    live.map((index): LiveDataset => {
      const isSegment = footer.level === 0
      const origin = attemptOf(footer)
      const job = /^\d{1,19}$/.test(footer.jobId) ? BigInt(footer.jobId) : -1n
      const descriptor = footer.datasets[index]!
      const isHidden = fateOf(deps, descriptor.tenant, footer) === 'hidden'
      return {
        ...timesOf(descriptor),
        service: isHidden ? `${descriptor.service}${HIDDEN}` : descriptor.service,
        objectId,
        descriptor,
        origin,
        isSegment,
        isHidden,
        rank: [isSegment ? 0 : 1, job, footer.epoch],
      }
    }),
  )
  const retired = new Set(open.flatMap(({ retires }) => retires.map(({ objectId, index }) => `${objectId}/${index}`)))
  const ofIndex: LiveDataset[] = []
  const visible = mine.filter(({ isHidden }) => !isHidden)
  for (const datasets of Map.groupBy(visible, ({ tenant, service }) => JSON.stringify([tenant, service])).values()) {
    const { tenant, service } = datasets[0]!
    const startMs = datasets.reduce((min, { minTimeMs }) => Math.min(min, minTimeMs), Number.POSITIVE_INFINITY)
    const endMs = datasets.reduce((max, { maxTimeMs }) => Math.max(max, maxTimeMs), Number.NEGATIVE_INFINITY)
    for (const object of await planQuery(sql, { tenants: [tenant], services: [service], startMs, endMs }))
      for (const { descriptor } of object.datasets)
        if (!retired.has(`${object.objectId}/${descriptor.index}`))
          ofIndex.push({
            ...timesOf(descriptor),
            objectId: object.objectId,
            descriptor,
            origin: INDEX,
            isSegment: false,
            isHidden: false,
            rank: [2, 0n, 0],
          })
  }
  // Segments alone decide among themselves when they are committed.
  return findContested([...mine, ...ofIndex]).filter((group) => group.some(({ isSegment }) => !isSegment))
}

function timesOf({ tenant, service, minTimeMs, maxTimeMs }: DatasetDescriptor) {
  return { tenant, service, minTimeMs, maxTimeMs }
}

type Skips = Map<string, readonly number[]>

/** What the index counts comes first, then the newest job; an older output skips what was met before. */
async function decideSkips(deps: RebuildDeps, groups: readonly LiveDataset[][], report: RunReport): Promise<Skips> {
  const skips: Skips = new Map()
  for (const [g, group] of groups.entries()) {
    const outputs = group.filter(({ isSegment }) => !isSegment).sort(byRank)
    if (new Set(outputs.map(({ origin }) => origin)).size < 2) continue
    await report.progress('comparing profile ids', g, groups.length)
    const profiles = outputs.reduce((sum, { descriptor }) => sum + descriptor.profileCount, 0)
    if (profiles > CONTESTED_PROFILES_MAX) {
      const { tenant, service, minTimeMs } = group[0]!
      const subject = `tenant ${tenant}, service ${service}, from ${new Date(minTimeMs).toISOString()}`
      const detail = `${profiles} profiles overlap, more than the ${CONTESTED_PROFILES_MAX} whose ids are compared: some may count twice`
      await report.found([{ kind: 'not-restored', subject, detail, mend: '', isMended: false }])
      continue
    }
    const seen = new Set<string>()
    for (const output of outputs) {
      const skip = skipSeen(await idsOf(deps, output), seen)
      if (output.origin !== INDEX) skips.set(`${output.objectId}/${output.descriptor.index}`, skip)
    }
  }
  return skips
}

function byRank(a: LiveDataset, b: LiveDataset): number {
  if (a.rank[0] !== b.rank[0]) return b.rank[0] - a.rank[0]
  if (a.rank[1] !== b.rank[1]) return a.rank[1] < b.rank[1] ? 1 : -1
  return b.rank[2] - a.rank[2]
}

function batchesOf<T>(items: readonly T[]): T[][] {
  const batches: T[][] = []
  for (let at = 0; at < items.length; at += BATCH_OBJECTS) batches.push(items.slice(at, at + BATCH_OBJECTS))
  return batches
}

/** Day partitions, each asked for once. */
function createDays({ sql, clock }: RebuildDeps): (outputs: readonly AdoptedOutput[]) => Promise<void> {
  const known = new Set<string>()
  return async (outputs) => {
    const starts = outputs.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.windowStartMs))
    for (const partition of datasetPartitions(starts, clock.nowMs())) {
      if (!known.has(partition.name)) await ensurePartition(sql, partition)
      known.add(partition.name)
    }
  }
}

interface ReadAttempt {
  readonly outputs: readonly DecidedObject[]
  readonly adopted: readonly AdoptedOutput[]
}

async function readAttempts(
  deps: AdoptDeps,
  attempts: readonly (readonly DecidedObject[])[],
  skips: Skips,
): Promise<ReadAttempt[]> {
  const read = new Map<string, AdoptedOutput>()
  await inParallel(attempts.flat(), READS_AT_ONCE, async (output) => {
    read.set(output.objectId, await readOutput(deps, output, skips))
  })
  return attempts.map((outputs) => ({ outputs, adopted: outputs.map(({ objectId }) => read.get(objectId)!) }))
}

async function readOutput(
  deps: AdoptDeps,
  { objectId, sizeBytes, footer, live }: DecidedObject,
  skips: Skips,
): Promise<AdoptedOutput> {
  const labelSets: LabelSet[] = []
  for (const index of live) {
    const { tenant } = footer.datasets[index]!
    const head = await readHead(deps, objectId, footer.datasets[index]!)
    labelSets.push(...labelSetsOfHead(head))
    const isHidden = fateOf(deps, tenant, footer) === 'hidden'
    if (isRecent(deps, objectId)) await enterIds(deps, { tenant, isHidden }, await readProfileIds(deps, objectId, head))
  }
  const datasets = live.map((index) => ({
    descriptor: footer.datasets[index]!,
    skip: skips.get(`${objectId}/${index}`) ?? [],
  }))
  return { objectId, level: footer.level, sizeBytes, datasets, labelSets, hidden: hiddenIn(deps, footer) }
}

/** Tenants whose data in the object is dead and may come back. */
function hiddenIn(deps: AdoptDeps, footer: DecidedObject['footer']): HiddenTenant[] {
  const tenants = new Set(footer.datasets.map(({ tenant }) => tenant))
  return [...tenants]
    .filter((tenant) => fateOf(deps, tenant, footer) === 'hidden')
    .map((tenant) => ({ tenant, deadBelow: deps.deaths.get(tenant)!.incarnation }))
}

/** All of an attempt at once, with what it replaces: a reader sees sources or outputs. */
async function adoptAttempt(deps: RebuildDeps, { outputs, adopted }: ReadAttempt): Promise<void> {
  const retires = outputs.flatMap((output) => output.retires)
  await deps.sql.begin(async (tx) => {
    for (const output of adopted) await adoptOutput(tx, output, deps)
    await retireDatasets(tx, retires, deps)
    await markAdopted(
      tx,
      outputs.map(({ objectId }) => objectId),
    )
  })
}

function isRecent({ clock }: RebuildDeps, objectId: string): boolean {
  return clock.nowMs() - ulidTimeMs(objectId) < PROFILE_ID_AGE_MS
}

/** Of outputs that a segment may share a profile with. */
async function enterContestedIds(deps: RebuildDeps, groups: readonly LiveDataset[][]): Promise<void> {
  for (const group of groups) {
    if (!group.some(({ isSegment }) => isSegment)) continue
    for (const dataset of group) if (!dataset.isSegment) await enterIds(deps, dataset, await idsOf(deps, dataset))
  }
}

async function adoptSegments(deps: AdoptDeps, segments: readonly DecidedObject[]): Promise<void> {
  const { sql } = deps
  const requests = new Map<string, Parameters<typeof commitSegment>[1]>()
  await inParallel(segments, READS_AT_ONCE, async (segment) => {
    requests.set(segment.objectId, await segmentRequest(deps, segment))
  })
  // As writers do: each commit takes its locks in the order of all.
  await inParallel(segments, COMMITS_AT_ONCE, async ({ objectId, footer, live }) => {
    const request = requests.get(objectId)
    assert(request !== undefined, 'every segment of the batch was read')
    const dead = footer.datasets.filter(({ index }) => !live.includes(index))
    await sql.begin(async (tx) => {
      await commitSegment(tx, request, { ...deps, hidden: hiddenIn(deps, footer) })
      await retireDatasets(
        tx,
        dead.map(({ index }) => ({ objectId, index })),
        deps,
      )
      await markAdopted(tx, [objectId])
    })
  })
}

/** What its writer sent, or would have. Ids of datasets that are dead decide nothing. */
async function segmentRequest(deps: RebuildDeps, { objectId, sizeBytes, footer, live }: DecidedObject) {
  const { datasets } = footer
  const count = datasets.reduce((sum, { profileCount }) => sum + profileCount, 0)
  const profileIds = new Uint8Array(count * 16)
  const deduplicate = new Uint8Array(count)
  const labelSets: LabelSet[] = []
  let at = 0
  for (const descriptor of datasets) {
    if (live.includes(descriptor.index)) {
      const head = await readHead(deps, objectId, descriptor)
      profileIds.set(await readProfileIds(deps, objectId, head), at * 16)
      deduplicate.fill(1, at, at + descriptor.profileCount)
      labelSets.push(...labelSetsOfHead(head))
    }
    at += descriptor.profileCount
  }
  return { objectId, sizeBytes, datasets: [...datasets], profileIds, deduplicate, labelSets }
}

/** None of an object of the index that the bucket has lost: a check names it. */
async function idsOf(deps: RebuildDeps, { objectId, descriptor, origin }: LiveDataset): Promise<Uint8Array> {
  try {
    return await readProfileIds(deps, objectId, await readHead(deps, objectId, descriptor))
  } catch (error) {
    if (origin === INDEX && error instanceof CinderError && error.kind === 'not_found') return new Uint8Array(0)
    throw error
  }
}

/** As the commits would make them: of a tenant that was deleted once the incarnation is a part of an id. */
async function enterIds(
  { sql }: RebuildDeps,
  { tenant, isHidden }: { readonly tenant: string; readonly isHidden: boolean },
  ids: Uint8Array,
): Promise<void> {
  const beginMs = isHidden ? 0 : Number.MAX_SAFE_INTEGER
  for (let at = 0; at < ids.length; at += IDS_PER_INSERT * 16) {
    const some = ids.subarray(at, at + IDS_PER_INSERT * 16)
    await insertCountedIds(sql, { tenant, beginMs, ids: some })
  }
}
