/**
 * Two flame graphs side by side. Each side is a request of its own with its selectors; types need not match, the format
 * means nothing, and the larger limit of nodes holds for both.
 */
import { parseProfileType } from '#core/labels/profile-type.ts'
import type { GraphEncoding } from '#core/rpc/answer-ends.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import {
  FlameGraphDiffSchema,
  ProfileFormat,
  type DiffRequest,
  type SelectMergeStacktracesRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import type { AnswerParts } from './answer-parts.ts'
import type { RequestContext } from './request.ts'
import { runTogether } from './run-together.ts'
import { type StacktracesQuery, stacktracesQueryOf } from './sample-request.ts'
import { type CallInfo, type ProfileSources, readTrees } from './stacktraces.ts'

export async function answerDiff(
  sources: ProfileSources,
  request: DiffRequest,
  context: RequestContext,
  call: CallInfo,
) {
  const left = sideOf(request.left, context)
  const right = sideOf(request.right, context)
  const [ofLeft, ofRight] = await runTogether(
    call.signal,
    (ended) => readTrees(sources, left, context, ended),
    (ended) => readTrees(sources, right, context, ended),
  )
  const maxNodes = Math.max(left.maxNodes, right.maxNodes)
  const graph = (as: GraphEncoding) => diffParts({ left: ofLeft, right: ofRight, maxNodes }, as, call.signal)
  if (call.answerText !== undefined) {
    call.answerText(await graph('json'))
    return {}
  }
  return { flamegraph: graphMessage(FlameGraphDiffSchema, await graph('proto'), call.isJson) }
}

/** Ends the use of both sides. */
export async function diffParts(
  sides: { readonly left: AnswerParts; readonly right: AnswerParts; readonly maxNodes: number },
  as: GraphEncoding,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { left, maxNodes } = sides
  const [parts, right] = [await left.take(), await sides.right.take()]
  return left.run({ kind: 'diff', parts, right, nodesMax: left.nodesMax, maxNodes, as }, signal)
}

function sideOf(side: SelectMergeStacktracesRequest | undefined, context: RequestContext): StacktracesQuery {
  // A side that is missing has no profile type, which is what its client is told.
  parseProfileType(side?.profileTypeID ?? '')
  return stacktracesQueryOf({ ...side!, format: ProfileFormat.FLAMEGRAPH }, context)
}
