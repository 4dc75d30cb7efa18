/** Merges in this thread, tasks for them, and whole jobs over objects in memory. */
import { type JobPlan, planJob } from '../../apps/compaction-worker/job-plan.ts'
import { type MergeTask, runMergeTask } from '../../apps/compaction-worker/merge-task.ts'
import {
  type JobDeps,
  type JobRunner,
  type Merger,
  runJob,
  SYMBOL_BYTES_MAX,
} from '../../apps/compaction-worker/run-job.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { CompactionJob, OutputObject, SourceObject } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createManualClock } from './manual-clock.ts'
import { encodeSource, type ObjectInput } from './objects.ts'

export function createInlineMerger(): Merger {
  const codec = createCodec()
  return { merge: async (task) => runMergeTask(task, codec) }
}

/** Jobs in this thread. */
export function createInlineRunner(deps: Omit<JobDeps, 'merger'> & { readonly merger?: Merger }): JobRunner {
  const own = { merger: createInlineMerger(), ...deps }
  return { run: (job, options) => runJob(own, job, options), stop: async () => undefined }
}

export interface SourceBytes {
  readonly source: SourceObject
  readonly bytes: Uint8Array
}

/** Objects 0, 1, …, each with its datasets. */
export function sourcesOf(objects: readonly (readonly ObjectInput[])[]): SourceBytes[] {
  return objects.map((inputs, i) => encodeSource(i, inputs))
}

/** All groups of a job in one task. */
export function mergeTaskOf(sources: readonly SourceBytes[], level = 1, symbolBytesMax = SYMBOL_BYTES_MAX): MergeTask {
  const { batches } = planJob({ level, sources: sources.map(({ source }) => source) })
  const groups = batches.flatMap((batch) =>
    batch.groups.map(({ window, members }) => ({
      window,
      inputs: members.map(({ source: s, dataset: { descriptor, skip } }) => {
        const { source, bytes } = sources[s]!
        // Bytes of its own: a task may be sent to a thread, which takes them away.
        const region = bytes.slice(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
        return { objectId: source.objectId, descriptor, skip, region }
      }),
    })),
  )
  return { level, groups, symbolBytesMax }
}

export function jobOf(sources: readonly SourceObject[], level = 1): CompactionJob {
  return { jobId: '7', epoch: 3, leaseMs: 15_000, level, sources: [...sources] }
}

export interface JobOutput extends OutputObject {
  readonly bytes: Uint8Array
}

/** A job over a store in memory, its outputs with their bytes. */
export async function runInMemory(
  sources: readonly SourceBytes[],
  options: { readonly level?: number; readonly symbolBytesMax?: number; readonly plan?: JobPlan } = {},
): Promise<JobOutput[]> {
  const store = createMemoryStore()
  for (const { source, bytes } of sources) await store.put(objectKey(source.objectId), bytes)
  let next = 0
  const random = { bytes: (length: number) => new Uint8Array(length).fill(++next) }
  const deps = { store, clock: createManualClock(1_760_000_000_000), random, merger: createInlineMerger() }
  const job = jobOf(
    sources.map(({ source }) => source),
    options.level,
  )
  const outputs = await runJob(deps, job, { ...options, signal: new AbortController().signal })
  return Promise.all(outputs.map(async (output) => ({ ...output, bytes: await store.get(objectKey(output.objectId)) })))
}
