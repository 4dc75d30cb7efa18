/**
 * Flame graphs, trees, profiles with lines and their graphs: partial answers of the query-backends, merged, cut once at
 * the end, as messages.
 *
 * Trees of functions answer flame graphs and the TREE format. Everything that shows lines is made of one merged pprof.
 */
import { CinderError } from '#core/errors.ts'
import { cutTree } from '#core/flamegraph/cut.ts'
import { encodeFlameGraph } from '#core/flamegraph/flamegraph-wire.ts'
import { type FlameGraph, flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { encodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { FunctionTree, TREE_NODES_LIMIT, TREE_NODES_MAX } from '#core/flamegraph/tree.ts'
import { encodeMergedPprof } from '#core/pprof/encode-merged.ts'
import { budgetOf, type QueryBudget, refuseNodes } from '#core/query/budget.ts'
import { cutProfile, keepLeaves, type LeafRule } from '#core/query/profile-cut.ts'
import { STACK_NODES_LIMIT, StackProfile, type SummedStacks } from '#core/query/stack-profile.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { namelessProfile, profileMessage } from '#platform/connect/profile-message.ts'
import { rawMessage } from '#platform/connect/raw-message.ts'
import type { Profile } from '#platform/gen/google/v1/profile_pb.ts'
import {
  FlameGraphSchema,
  type SelectMergeProfileRequest,
  type SelectMergeSpanProfileRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { dotOf } from './dot.ts'
import { type QuerySources, runQuery } from './execute.ts'
import { checkFiltered } from './frame-filter.ts'
import { mergedHeaderOf } from './merged-header.ts'
import type { RequestContext } from './request.ts'
import {
  mergeProfileQueryOf,
  type SampleQuery,
  type StacktracesFields,
  type StacktracesQuery,
  stacktracesQueryOf,
} from './sample-request.ts'

export interface ProfileSources extends QuerySources {
  readonly metastore: Pick<Metastore, 'planQuery' | 'labelSets'>
  readonly backend: QueryBackend
}

export interface CallInfo {
  readonly signal: AbortSignal
  /** The answer goes out as JSON: messages must be complete, not bytes in disguise. */
  readonly isJson: boolean
}

/** One of them; a format without data has none. */
interface TreeAnswer {
  readonly tree?: Uint8Array
  readonly flamegraph?: Omit<FlameGraph, 'levels'> & { readonly levels: { readonly values: bigint[] }[] }
}

interface StacktracesAnswer extends TreeAnswer {
  readonly dot?: string
  readonly pprof?: { readonly profile: Profile }
}

export async function selectMergeStacktraces(
  sources: ProfileSources,
  request: StacktracesFields,
  context: RequestContext,
  call: CallInfo,
): Promise<StacktracesAnswer> {
  const query = stacktracesQueryOf(request, context)
  if (query.format === 'pprof') {
    const bytes = await queryPprof(sources, { ...query, maxNodes: query.givenNodes }, context, call.signal)
    return bytes === undefined ? {} : { pprof: { profile: profileMessage(bytes, call.isJson) } }
  }
  if (query.format === 'dot') {
    const dot = await queryDot(sources, { ...query, maxNodes: query.givenNodes }, context, call.signal)
    return dot === '' ? {} : { dot }
  }
  return treeAnswer(query, await queryTree(sources, query, context, call.signal), call.isJson)
}

/** Selects by span; profiles and graphs have no place in its answer. */
export async function selectMergeSpanProfile(
  sources: ProfileSources,
  request: SelectMergeSpanProfileRequest,
  context: RequestContext,
  call: CallInfo,
) {
  const fields = { ...request, profileIdSelector: [], traceIdSelector: [] }
  const query = stacktracesQueryOf(fields, context)
  return treeAnswer(query, await queryTree(sources, query, context, call.signal), call.isJson)
}

function treeAnswer({ format, maxNodes }: StacktracesQuery, tree: FunctionTree, isJson: boolean): TreeAnswer {
  const cut = cutTree(tree, maxNodes)
  if (format === 'tree') return { tree: encodeTreeFormat(cut) }
  if (!isJson) return { flamegraph: rawMessage(FlameGraphSchema, encodeFlameGraph(cut)) }
  const { names, levels, total, maxSelf } = flameGraphOf(cut)
  return { flamegraph: { names, levels: levels.map((values) => ({ values })), total, maxSelf } }
}

export async function selectMergeProfile(
  sources: ProfileSources,
  request: SelectMergeProfileRequest,
  context: RequestContext,
  call: CallInfo,
): Promise<Profile | Record<string, never>> {
  const query = mergeProfileQueryOf(request, context)
  const bytes = await queryPprof(sources, query, context, call.signal)
  if (bytes !== undefined) return profileMessage(bytes, call.isJson)
  // No stack is under the call site: clients have always got a profile of one nameless type then, not an empty message.
  return query.selector !== undefined && query.selector.callSite.length > 0 ? namelessProfile() : {}
}

/** The whole tree, uncut. */
export async function queryTree(
  sources: ProfileSources,
  query: SampleQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<FunctionTree> {
  const { range, profileType, matchers, services, selector } = query
  if (range.kind === 'empty') return new FunctionTree()
  const { startMs, endMs } = range
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  return runQuery(
    sources,
    {
      kind: 'stacktraces',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => new FunctionTree(undefined, Math.min(budget.nodes || TREE_NODES_MAX, TREE_NODES_MAX)),
      async read(objects, ended) {
        const asked = { profileType, matchers, startMs, endMs, objects, selector }
        const answer = await sources.backend.stacktraces(asked, ended)
        if (selector !== undefined && !answer.selected) throw outdatedBackend()
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge(merged, { tree }) {
        try {
          merged.mergeEncoded(tree)
        } catch (error) {
          throw budget.nodes <= TREE_NODES_MAX ? asRefusal(error, TREE_NODES_LIMIT, budget) : error
        }
      },
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
}

export interface PprofQuery extends SampleQuery {
  /** Functions that stay; undefined: all. */
  readonly maxNodes: number | undefined
  readonly leaves?: LeafRule | undefined
}

/** undefined: nothing was selected. */
export async function queryPprof(
  sources: ProfileSources,
  query: PprofQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  let taken = await queryStacks(sources, query, context, signal)
  if (taken !== undefined && query.leaves !== undefined) taken = keepLeaves(taken, query.leaves)
  if (taken !== undefined && query.maxNodes !== undefined) taken = cutProfile(taken, query.maxNodes)
  if (taken === undefined || query.range.kind === 'empty') return undefined
  return encodeMergedPprof(
    taken.symbols,
    taken.sums,
    mergedHeaderOf(query.profileType, query.range.endMs, context.record?.warnings),
  )
}

/** '' if nothing was selected. */
export async function queryDot(
  sources: ProfileSources,
  query: PprofQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<string> {
  if (query.range.kind === 'empty') return ''
  const { profileType, maxNodes = 0, range } = query
  const taken = await queryStacks(sources, query, context, signal)
  return dotOf(taken, { profileType, endMs: range.endMs, maxNodes })
}

/** A merge that has too many nodes is over the budget, if there is one. */
function asRefusal(error: unknown, limit: string, budget: QueryBudget): unknown {
  return error instanceof CinderError && error.reason === limit && budget.nodes > 0 ? refuseNodes(budget) : error
}

/** Line-level stacks, uncut. */
async function queryStacks(
  sources: ProfileSources,
  query: SampleQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<SummedStacks | undefined> {
  const { range, profileType, matchers, services, selector } = query
  if (range.kind === 'empty') return undefined
  const { startMs, endMs } = range
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const merged = await runQuery(
    sources,
    {
      kind: 'profile',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => new StackProfile(undefined, budget.nodes || undefined),
      async read(objects, ended) {
        const asked = { profileType, matchers, startMs, endMs, objects, selector }
        const answer = await sources.backend.mergeProfile(asked, ended)
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge(profile, { stacks }) {
        try {
          profile.mergeEncoded(stacks)
        } catch (error) {
          throw asRefusal(error, STACK_NODES_LIMIT, budget)
        }
      },
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
  return merged.take()
}

/** While both releases run, the client tries again; a backend that ignores a selector answers for all samples. */
function outdatedBackend(): CinderError {
  return new CinderError('unavailable', 'a query-backend of an earlier release does not know selectors', {
    reason: 'outdated_backend',
  })
}
