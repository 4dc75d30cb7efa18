/**
 * Flame graphs, trees, profiles with lines and their graphs: partial answers of the query-backends, merged, cut once at
 * the end, as messages.
 *
 * Trees of functions answer flame graphs and the TREE format. Everything that shows lines is made of one merged pprof.
 * What is done with answers is a task that may run elsewhere (core/query/answer-task.ts).
 */
import { CinderError } from '#core/errors.ts'
import type { AnswerWorker } from '#core/query/answer-task.ts'
import { budgetOf } from '#core/query/budget.ts'
import type { LeafRule } from '#core/query/profile-cut.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { namelessProfile, profileMessage } from '#platform/connect/profile-message.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import type { Profile } from '#platform/gen/google/v1/profile_pb.ts'
import {
  type FlameGraph,
  FlameGraphSchema,
  type SelectMergeProfileRequest,
  type SelectMergeSpanProfileRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { AnswerParts, workerOf } from './answer-parts.ts'
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
  /** Where answers are merged and encoded; absent: here. */
  readonly answerWorker?: AnswerWorker | undefined
}

export interface CallInfo {
  readonly signal: AbortSignal
  /** The answer goes out as JSON: messages must be complete, not bytes in disguise. */
  readonly isJson: boolean
  /** Takes the whole answer as JSON text, in place of what is returned; absent: it goes out in another way. */
  readonly answerText?: ((text: Uint8Array) => void) | undefined
}

/** One of them; a format without data has none. */
interface TreeAnswer {
  readonly tree?: Uint8Array
  readonly flamegraph?: FlameGraph
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
  return treeAnswer(query, await readTrees(sources, query, context, call.signal), call)
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
  return treeAnswer(query, await readTrees(sources, query, context, call.signal), call)
}

async function treeAnswer(query: StacktracesQuery, parts: AnswerParts, call: CallInfo): Promise<TreeAnswer> {
  const { format, maxNodes } = query
  const task = { kind: 'flame-graph', parts: await parts.take(), nodesMax: parts.nodesMax, maxNodes } as const
  if (format === 'tree') return { tree: await parts.run({ ...task, as: 'tree' }, call.signal) }
  if (call.answerText !== undefined) {
    call.answerText(await parts.run({ ...task, as: 'json' }, call.signal))
    return {}
  }
  return {
    flamegraph: graphMessage(FlameGraphSchema, await parts.run({ ...task, as: 'proto' }, call.signal), call.isJson),
  }
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

/** Whole trees, uncut and not yet merged. */
export async function readTrees(
  sources: ProfileSources,
  query: SampleQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<AnswerParts> {
  const { range, profileType, matchers, services, selector } = query
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const begin = () => new AnswerParts('trees', workerOf(sources, context), { budget })
  if (range.kind === 'empty') return begin()
  const { startMs, endMs } = range
  let parts: AnswerParts | undefined
  return runQuery(
    sources,
    {
      kind: 'stacktraces',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => (parts = begin()),
      async read(objects, ended) {
        await parts?.room()
        const asked = { profileType, matchers, startMs, endMs, objects, selector }
        const answer = await sources.backend.stacktraces(asked, ended)
        if (selector !== undefined && !answer.selected) throw outdatedBackend()
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge: (into, { tree }) => into.add(tree),
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
  if (query.range.kind === 'empty') return undefined
  const { profileType, maxNodes, leaves, range } = query
  const stacks = await readStacks(sources, query, context, signal)
  const parts = await stacks.take()
  if (parts.length === 0) return undefined
  const header = mergedHeaderOf(profileType, range.endMs, context.record?.warnings)
  const { nodesMax } = stacks
  const pprof = await stacks.run({ kind: 'pprof', parts, nodesMax, maxNodes, leaves, header }, signal)
  return pprof.length === 0 ? undefined : pprof
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
  const stacks = await readStacks(sources, query, context, signal)
  const [parts, { nodesMax }, { endMs }] = [await stacks.take(), stacks, range]
  const dot = await stacks.run({ kind: 'dot', parts, nodesMax, maxNodes, profileType, endMs }, signal)
  return new TextDecoder().decode(dot)
}

/** Line-level stacks, uncut and not yet merged. */
async function readStacks(
  sources: ProfileSources,
  query: SampleQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<AnswerParts> {
  const { range, profileType, matchers, services, selector } = query
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const begin = () => new AnswerParts('stacks', workerOf(sources, context), { budget })
  if (range.kind === 'empty') return begin()
  const { startMs, endMs } = range
  let parts: AnswerParts | undefined
  return runQuery(
    sources,
    {
      kind: 'profile',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => (parts = begin()),
      async read(objects, ended) {
        await parts?.room()
        const asked = { profileType, matchers, startMs, endMs, objects, selector }
        const answer = await sources.backend.mergeProfile(asked, ended)
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge: (into, { stacks }) => into.add(stacks),
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
}

/** While both releases run, the client tries again; a backend that ignores a selector answers for all samples. */
function outdatedBackend(): CinderError {
  return new CinderError('unavailable', 'a query-backend of an earlier release does not know selectors', {
    reason: 'outdated_backend',
  })
}
