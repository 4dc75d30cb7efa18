/**
 * One job from start to end: read the sources, merge, write the outputs. The commit is the caller's.
 *
 * 1. Every source object is read whole (L0 segments are small; the plan bounds a job's bytes).
 * 2. The bytes go to the merger (in process, or a thread: merge-thread.ts), which returns encoded objects.
 * 3. Each output is written under a new id, so no attempt ever overwrites another's.
 * Must not: touch a source, decide what is merged, or keep bytes after it returns.
 */
import { objectKey } from '#core/block/object-key.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { CompactionJob, OutputObject } from '#core/rpc/metastore.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import type { MergeTask, MergeTaskResult } from './merge-task.ts'

/** Runs a merge task somewhere: in this thread, or in a worker thread that the bytes are transferred to. */
export interface Merger {
  merge(task: MergeTask): Promise<MergeTaskResult>
  stop(): Promise<void>
}

export interface JobDeps {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
  readonly merger: Merger
}

/** Outputs per job: one packed object and one for each tenant that fills its own; more would be a planning fault. */
const OUTPUT_IDS_MAX = 64

export async function runJob(deps: JobDeps, job: CompactionJob, signal: AbortSignal): Promise<OutputObject[]> {
  const sources: MergeTask['sources'] = []
  for (const source of job.sources) {
    if (signal.aborted) return []
    sources.push({ source, bytes: await deps.store.get(objectKey(source.objectId)) })
  }
  const createdMs = deps.clock.nowMs()
  const objectIds = Array.from({ length: OUTPUT_IDS_MAX }, () =>
    makeUlid(createdMs, deps.random.bytes(ULID_RANDOM_BYTES)),
  )
  const { outputs } = await deps.merger.merge({
    jobId: job.jobId,
    epoch: job.epoch,
    level: job.level,
    createdMs,
    objectIds,
    sources,
  })
  const written: OutputObject[] = []
  for (const output of outputs) {
    if (signal.aborted) return []
    await deps.store.put(objectKey(output.objectId), output.bytes)
    written.push({
      objectId: output.objectId,
      level: job.level,
      sizeBytes: output.bytes.length,
      datasets: output.descriptors,
    })
  }
  return written
}
