/** Answers of SelectMergeStacktraces as bytes and back: what a run that outlives its request leaves behind. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  type AsyncQueryStatus,
  type SelectMergeStacktracesResponse,
  SelectMergeStacktracesResponseSchema,
} from '../gen/querier/v1/querier_pb.ts'

export type StacktracesInit = MessageInitShape<typeof SelectMergeStacktracesResponseSchema>

export interface RunStatus {
  readonly requestId: string
  readonly status: AsyncQueryStatus
  readonly errorMessage?: string
}

export function encodeStacktraces(answer: StacktracesInit): Uint8Array {
  return toBinary(SelectMergeStacktracesResponseSchema, create(SelectMergeStacktracesResponseSchema, answer))
}

/** A status alone, or with the answer that was encoded. */
export function runMessage(async: RunStatus, encoded: Uint8Array = new Uint8Array(0)): SelectMergeStacktracesResponse {
  const answer = fromBinary(SelectMergeStacktracesResponseSchema, encoded)
  answer.async = create(SelectMergeStacktracesResponseSchema, { async }).async
  return answer
}
