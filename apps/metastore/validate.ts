/**
 * Checks of requests that write: what the statements rely on and the database cannot say in a readable way. A request
 * that fails here was never sent to Postgres.
 */
import { invalidArgument } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import type { CommitCompactionRequest, CommitSegmentRequest, DatasetDescriptor } from '#core/rpc/metastore.ts'

const PROFILE_ID_BYTES = 16
/** One flush holds at most a few thousand profiles; past this the statement would hold its locks for seconds. */
export const PROFILES_MAX = 100_000
export const DATASETS_MAX = 20_000

export function checkSegment(request: CommitSegmentRequest): void {
  const { objectId, datasets, profileIds, deduplicate } = request
  checkObjectId(objectId)
  checkDatasets(objectId, datasets)
  const profileCount = datasets.reduce((count, dataset) => count + dataset.profileCount, 0)
  if (profileCount > PROFILES_MAX) {
    throw invalidArgument(`segment ${objectId} has ${profileCount} profiles, at most ${PROFILES_MAX} are allowed`)
  }
  if (profileIds.length !== profileCount * PROFILE_ID_BYTES || deduplicate.length !== profileCount) {
    throw invalidArgument(
      `segment ${objectId}: its datasets have ${profileCount} profiles, but there are ${profileIds.length} bytes of ids ` +
        `and ${deduplicate.length} flags`,
    )
  }
  for (const set of request.labelSets) {
    if (set.pairs.length % 2 !== 0) throw invalidArgument(`segment ${objectId}: a label set has a name without a value`)
  }
}

export function checkCompaction(request: CommitCompactionRequest): void {
  if (!/^\d{1,18}$/.test(request.jobId)) throw invalidArgument(`${request.jobId} is not a job id`)
  const ids = new Set(request.outputs.map((output) => output.objectId))
  if (ids.size !== request.outputs.length) throw invalidArgument(`job ${request.jobId}: two outputs have one object id`)
  for (const output of request.outputs) {
    checkObjectId(output.objectId)
    if (output.level < 1)
      throw invalidArgument(`output ${output.objectId} has level ${output.level}, at least 1 is allowed`)
    checkDatasets(output.objectId, output.datasets)
  }
}

export function checkJobTerms(jobs: readonly { jobId: string }[]): void {
  for (const { jobId } of jobs) if (!/^\d{1,18}$/.test(jobId)) throw invalidArgument(`${jobId} is not a job id`)
}

function checkObjectId(objectId: string): void {
  if (!isValidObjectKey(objectId)) throw invalidArgument(`${JSON.stringify(objectId)} is not an object id`)
}

function checkDatasets(objectId: string, datasets: readonly DatasetDescriptor[]): void {
  if (datasets.length === 0 || datasets.length > DATASETS_MAX) {
    throw invalidArgument(`object ${objectId} has ${datasets.length} datasets, 1 to ${DATASETS_MAX} are allowed`)
  }
  for (let i = 0; i < datasets.length; i++) {
    const { index, tenant, service, minTimeMs, maxTimeMs, profileCount } = datasets[i]!
    if (index !== i) throw invalidArgument(`object ${objectId}: dataset ${i} has index ${index}`)
    if (!(minTimeMs <= maxTimeMs)) throw invalidArgument(`object ${objectId}: dataset ${i} has min time above max time`)
    if (profileCount < 1) throw invalidArgument(`object ${objectId}: dataset ${i} has no profiles`)
    // Postgres text has no NUL: one such name would fail everything else in the object.
    if (`${tenant}${service}`.includes('\0'))
      throw invalidArgument(`object ${objectId}: dataset ${i} has a NUL in its name`)
  }
}
