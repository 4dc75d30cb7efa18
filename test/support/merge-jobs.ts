/** Merges in this thread, and tasks for them. */
import { type MergeTask, runMergeTask } from '../../apps/compaction-worker/merge-task.ts'
import type { Merger } from '../../apps/compaction-worker/run-job.ts'
import { createCodec } from '#platform/codec.ts'
import { encodeSource, objectIdOf, type ObjectInput } from './objects.ts'

export function createInlineMerger(): Merger {
  const codec = createCodec()
  return { merge: async (task) => runMergeTask(task, codec), stop: async () => undefined }
}

/** A task over objects 0, 1, …, each with its datasets. */
export function mergeTaskOf(objects: readonly (readonly ObjectInput[])[], outputsMax = 64): MergeTask {
  return {
    jobId: '7',
    epoch: 3,
    level: 1,
    createdMs: 1_760_000_000_000,
    objectIds: Array.from({ length: outputsMax }, (_, i) => objectIdOf(1_000 + i)),
    sources: objects.map((inputs, i) => encodeSource(i, inputs)),
  }
}
