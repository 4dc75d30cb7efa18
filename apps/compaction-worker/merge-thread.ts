/**
 * The worker thread behind `createThreadMerger`: takes merge tasks, answers with encoded datasets. Bytes come and go by
 * transfer, never by copy. Between tasks it holds the symbols of the services it merged last, within the bounds of
 * `MergeMemory`.
 */
import { CinderError } from '#core/errors.ts'
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { blameOf, JobFailure } from './job-failure.ts'
import { runMergeTask } from './merge-task.ts'
import type { ThreadAnswer, ThreadQuestion } from './thread-merger.ts'

declare const self: Worker

const codec = nativeZstd(createCodec())
const memory = new MergeMemory()

self.onmessage = (event: MessageEvent<ThreadQuestion>) => {
  const { id, task } = event.data
  let answer: ThreadAnswer
  const transfer: ArrayBuffer[] = []
  try {
    const result = runMergeTask(task, codec, memory)
    for (const { encoded } of result.datasets) transfer.push(encoded.bytes.buffer as ArrayBuffer)
    answer = { id, result }
  } catch (error) {
    const { kind, reason } =
      error instanceof CinderError ? error : { kind: 'internal' as const, reason: 'merge_failed' }
    const message = error instanceof Error ? error.message : String(error)
    const { failure, culprits } = blameOf(error)
    const bad = error instanceof JobFailure ? error.bad : []
    for (const { encoded } of bad) transfer.push(encoded.bytes.buffer as ArrayBuffer)
    answer = { id, error: { kind, reason, message, failure, culprits, bad } }
  }
  self.postMessage(answer, transfer)
}
