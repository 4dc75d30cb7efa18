/**
 * The worker thread behind `createThreadMerger`: takes merge tasks, answers with encoded objects. Bytes come and go by
 * transfer, never by copy. It holds nothing between tasks.
 */
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { runMergeTask } from './merge-task.ts'
import type { ThreadAnswer, ThreadQuestion } from './thread-merger.ts'

declare const self: Worker

const codec = nativeZstd(createCodec())

self.onmessage = (event: MessageEvent<ThreadQuestion>) => {
  const { id, task } = event.data
  let answer: ThreadAnswer
  const transfer: ArrayBuffer[] = []
  try {
    const result = runMergeTask(task, codec)
    for (const output of result.outputs) transfer.push(output.bytes.buffer as ArrayBuffer)
    answer = { id, result }
  } catch (error) {
    const { kind, reason } =
      error instanceof CinderError ? error : { kind: 'internal' as const, reason: 'merge_failed' }
    answer = { id, error: { kind, reason, message: error instanceof Error ? error.message : String(error) } }
  }
  self.postMessage(answer, transfer)
}
