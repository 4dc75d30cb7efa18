/**
 * One job from start to end: read the sources, merge, write the outputs. The commit is the caller's.
 *
 * 1. Of every source object the named datasets are read; all of them in one request if they are most of it. The plan
 *    bounds a job's bytes.
 * 2. The bytes go to the merger (in process, or a thread: merge-thread.ts), which returns encoded objects.
 * 3. Each output is written under a new id, so no attempt ever overwrites another's.
 * Must not: touch a source, decide what is merged, or keep bytes after it returns.
 */
import { coalesceRanges } from '#core/block/coalesce.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { CompactionJob, OutputObject, SourceObject } from '#core/rpc/metastore.ts'
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

/** One packed object, and one for each tenant that fills its own: 64 of 1 MiB in a job of 64 MiB. */
const OUTPUT_IDS_MAX = 80

export async function runJob(deps: JobDeps, job: CompactionJob, signal: AbortSignal): Promise<OutputObject[]> {
  const sources: MergeTask['sources'] = []
  for (const source of job.sources) {
    if (signal.aborted) return []
    sources.push(await readSource(deps.store, source))
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

/** The named datasets, one after the other, with offsets into those bytes; the object as it is if it has little else. */
async function readSource(store: ObjectStore, source: SourceObject): Promise<MergeTask['sources'][number]> {
  const key = objectKey(source.objectId)
  const named = source.datasets.map(({ descriptor: { offset, sizeBytes } }) => ({ offset, lengthBytes: sizeBytes }))
  const ranges = coalesceRanges(named)
  const lengthBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0)
  if (lengthBytes * 2 >= source.sizeBytes) return { source, bytes: await store.get(key) }
  const bytes = new Uint8Array(lengthBytes)
  const placed: { offset: number; end: number; at: number }[] = []
  let at = 0
  for (const range of ranges) {
    bytes.set(await store.getRange(key, range.offset, range.lengthBytes), at)
    placed.push({ offset: range.offset, end: range.offset + range.lengthBytes, at })
    at += range.lengthBytes
  }
  const datasets = source.datasets.map((dataset) => {
    const { offset } = dataset.descriptor
    const part = placed.find((each) => offset >= each.offset && offset < each.end)!
    return { ...dataset, descriptor: { ...dataset.descriptor, offset: part.at + offset - part.offset } }
  })
  return { source: { ...source, datasets }, bytes }
}
