/**
 * Outputs that must not be published, kept for a person to look at: below `quarantine/outputs/<job>-<epoch>/` each object
 * under its id, and `job.json` with the job, its sources and the reason. Nothing below `quarantine/` is ever deleted by us.
 *
 * Bounded: past `ATTEMPTS_MAX` attempts in the store nothing more is kept, and of one attempt at most `KEPT_BYTES_MAX`.
 * Must not: fail the job in another way than it has failed, or leave out of `job.json` what was not kept.
 */
import { objectKey } from '#core/block/object-key.ts'
import { encodeObject, type ObjectDataset } from '#core/block/write.ts'
import { quarantineFolder } from '#core/compaction/balance.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { CompactionJob, OutputObject } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'

/** 100 show what there is to see of a mistake; a job that is bisected has about ten. */
const ATTEMPTS_MAX = 100
/** The largest job of one service, merged; with the bound above 6.4 GB in the store. */
const KEPT_BYTES_MAX = 64 * MIB
const QUARANTINED_OUTPUTS = 'quarantine/outputs/'
/** An attempt is its description and at most a few objects. */
const KEYS_LISTED_MAX = ATTEMPTS_MAX * 10

export interface QuarantineDeps {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
}

export interface BadOutput {
  readonly reason: string
  /** Already in the store under their own keys. */
  readonly outputs: readonly OutputObject[]
  /** Merged, and in no object yet. */
  readonly datasets?: readonly ObjectDataset[]
}

/** Where they are kept, or why not, as the end of a sentence. Never rejects. */
export async function keepBadOutput(deps: QuarantineDeps, job: CompactionJob, bad: BadOutput): Promise<string> {
  const folder = quarantineFolder(job)
  try {
    const keys = await deps.store.list(QUARANTINED_OUTPUTS, { limit: KEYS_LISTED_MAX })
    const attempts = new Set(keys.map((key) => key.slice(0, key.lastIndexOf('/') + 1)))
    if (!attempts.has(folder) && (attempts.size >= ATTEMPTS_MAX || keys.length >= KEYS_LISTED_MAX))
      return `not kept: ${ATTEMPTS_MAX} attempts are below ${QUARANTINED_OUTPUTS} already`
    const kept = await keepObjects(deps, folder, { job, bad })
    const description = JSON.stringify(describe(deps, { job, bad, kept }), null, 2)
    await deps.store.put(`${folder}job.json`, new TextEncoder().encode(`${description}\n`))
    return `kept in ${folder}`
  } catch (error) {
    return `not kept: ${error instanceof Error ? error.message : String(error)}`
  }
}

interface KeptObject {
  readonly objectId: string
  readonly sizeBytes: number
  readonly isKept: boolean
  readonly datasets: OutputObject['datasets']
}

interface Attempt {
  readonly job: CompactionJob
  readonly bad: BadOutput
}

async function keepObjects(deps: QuarantineDeps, folder: string, { job, bad }: Attempt): Promise<KeptObject[]> {
  const { store, clock, random } = deps
  let leftBytes = KEPT_BYTES_MAX
  const kept: KeptObject[] = []
  const keep = async (object: Omit<KeptObject, 'isKept'>, read: () => Promise<Uint8Array>): Promise<void> => {
    const { objectId, sizeBytes, datasets } = object
    const isKept = sizeBytes <= leftBytes
    if (isKept) {
      await store.put(`${folder}${objectId}.cb`, await read())
      leftBytes -= sizeBytes
    }
    kept.push({ objectId, sizeBytes, isKept, datasets })
  }
  for (const output of bad.outputs) await keep(output, () => store.get(objectKey(output.objectId)))
  for (const dataset of bad.datasets ?? []) {
    const createdMs = clock.nowMs()
    const objectId = makeUlid(createdMs, random.bytes(ULID_RANDOM_BYTES))
    const { jobId, epoch, level } = job
    const header = { objectId, level, createdMs, job: { jobId, epoch }, sources: sourcesOf(job) }
    const { bytes, descriptors } = encodeObject({ ...header, datasets: [dataset] })
    await keep({ objectId, sizeBytes: bytes.length, datasets: descriptors }, async () => bytes)
  }
  return kept
}

function sourcesOf({ sources }: CompactionJob): { objectId: string; datasets: number[] }[] {
  return sources.map(({ objectId, datasets }) => ({
    objectId,
    datasets: datasets.map(({ descriptor }) => descriptor.index),
  }))
}

function describe({ clock }: QuarantineDeps, { job, bad, kept }: Attempt & { readonly kept: readonly KeptObject[] }) {
  const { jobId, epoch, level, sources } = job
  return {
    reason: bad.reason,
    jobId,
    epoch,
    level,
    at: new Date(clock.nowMs()).toISOString(),
    sources: sources.map(({ objectId, datasets, ...rest }) => ({
      objectId,
      level: rest.level,
      key: objectKey(objectId),
      datasets: datasets.map(({ descriptor, skip }) => ({ ...descriptor, skip })),
    })),
    outputs: kept,
  }
}
