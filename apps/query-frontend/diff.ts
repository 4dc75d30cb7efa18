/**
 * Two flame graphs side by side. Each side is a request of its own with its selectors; types need not match, the format
 * means nothing, and the larger limit of nodes holds for both.
 */
import { cutPair, flameGraphDiffOf } from '#core/flamegraph/diff.ts'
import { parseProfileType } from '#core/labels/profile-type.ts'
import {
  ProfileFormat,
  type DiffRequest,
  type SelectMergeStacktracesRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import type { RequestContext } from './request.ts'
import { runTogether } from './run-together.ts'
import { type StacktracesQuery, stacktracesQueryOf } from './sample-request.ts'
import { type ProfileSources, queryTree } from './stacktraces.ts'

export async function answerDiff(
  sources: ProfileSources,
  request: DiffRequest,
  context: RequestContext,
  signal: AbortSignal,
) {
  const left = sideOf(request.left, context)
  const right = sideOf(request.right, context)
  const [leftTree, rightTree] = await runTogether(
    signal,
    (ended) => queryTree(sources, left, context, ended),
    (ended) => queryTree(sources, right, context, ended),
  )
  const { levels, ...flamegraph } = flameGraphDiffOf(
    cutPair(leftTree, rightTree, Math.max(left.maxNodes, right.maxNodes)),
  )
  return { flamegraph: { ...flamegraph, levels: levels.map((values) => ({ values })) } }
}

function sideOf(side: SelectMergeStacktracesRequest | undefined, context: RequestContext): StacktracesQuery {
  // A side that is missing has no profile type, which is what its client is told.
  parseProfileType(side?.profileTypeID ?? '')
  return stacktracesQueryOf({ ...side!, format: ProfileFormat.FLAMEGRAPH }, context)
}
