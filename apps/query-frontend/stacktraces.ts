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
import type { AnswerEnds } from '#core/rpc/answer-ends.ts'
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
  /** The answer may be compressed where it is made. */
  readonly takesGzip?: boolean | undefined
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
    const as = call.answerText === undefined ? undefined : 'json-answer'
    const asked = { ...query, maxNodes: query.givenNodes, as } as const
    const bytes = await queryPprof(sources, asked, context, call.signal)
    if (bytes === undefined) return {}
    if (call.answerText === undefined) return { pprof: { profile: profileMessage(bytes, call.isJson) } }
    call.answerText(bytes)
    return {}
  }
  if (query.format === 'dot') {
    const dot = await queryDot(sources, { ...query, maxNodes: query.givenNodes }, context, call.signal)
    return dot === '' ? {} : { dot }
  }
  return treeAnswer(sources, query, context, call)
}

/** Selects by span; profiles and graphs have no place in its answer. */
export async function selectMergeSpanProfile(
  sources: ProfileSources,
  request: SelectMergeSpanProfileRequest,
  context: RequestContext,
  call: CallInfo,
) {
  const fields = { ...request, profileIdSelector: [], traceIdSelector: [] }
  return treeAnswer(sources, stacktracesQueryOf(fields, context), context, call)
}

async function treeAnswer(
  sources: ProfileSources,
  query: StacktracesQuery,
  context: RequestContext,
  call: CallInfo,
): Promise<TreeAnswer> {
  const { format, maxNodes } = query
  const ofGraph = call.answerText === undefined ? 'proto' : 'json'
  const end = { kind: 'flame-graph', maxNodes, as: format === 'tree' ? format : ofGraph } as const
  const parts = await readTrees(sources, { ...query, end }, context, call.signal)
  const bytes = await parts.answer(end, call.signal)
  if (format === 'tree') return { tree: bytes }
  if (call.answerText !== undefined) {
    call.answerText(bytes)
    return {}
  }
  return { flamegraph: graphMessage(FlameGraphSchema, bytes, call.isJson) }
}

export async function selectMergeProfile(
  sources: ProfileSources,
  request: SelectMergeProfileRequest,
  context: RequestContext,
  call: CallInfo,
): Promise<Profile | Record<string, never>> {
  const query = mergeProfileQueryOf(request, context)
  const bytes = await queryPprof(sources, { ...query, as: textOf(call) }, context, call.signal)
  if (bytes !== undefined) {
    if (call.answerText === undefined) return profileMessage(bytes, call.isJson)
    call.answerText(bytes)
    return {}
  }
  // No stack is under the call site: clients have always got a profile of one nameless type then, not an empty message.
  return query.selector !== undefined && query.selector.callSite.length > 0 ? namelessProfile() : {}
}

/** `end`: what is done with the answer, should one call bring all of it. */
interface TreesQuery extends SampleQuery {
  readonly end?: Omit<AnswerEnds['tree'], 'nodesMax'> | undefined
}

/** Whole trees, uncut and not yet merged; or the end of them. */
export async function readTrees(
  sources: ProfileSources,
  query: TreesQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<AnswerParts> {
  const { range, profileType, matchers, services, selector } = query
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const begin = () => new AnswerParts({ of: 'trees' }, workerOf(sources, context), { budget })
  if (range.kind === 'empty') return begin()
  const { startMs, endMs } = range
  let parts = begin()
  return runQuery(
    sources,
    {
      kind: 'stacktraces',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => (parts = begin()),
      async read(objects, ended, isOnly) {
        await parts.room()
        const { nodesMax } = parts
        const end = isOnly && query.end !== undefined ? { ...query.end, nodesMax } : undefined
        const asked = { profileType, matchers, startMs, endMs, objects, selector, end }
        const answer = await parts.refusing(() => sources.backend.stacktraces(asked, ended))
        if (selector !== undefined && !answer.selected) throw outdatedBackend()
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge: (into, answer) => (answer.ended === undefined ? into.add(answer.tree) : into.setEnded(answer.ended)),
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
}

export interface PprofQuery extends SampleQuery {
  /** Functions that stay; undefined: all. */
  readonly maxNodes: number | undefined
  readonly leaves?: LeafRule | undefined
  readonly as?: AnswerEnds['stacks']['as']
}

/** JSON is made where the answer is. */
function textOf({ answerText }: CallInfo): 'json' | undefined {
  return answerText === undefined ? undefined : 'json'
}

/** undefined: nothing was selected. */
export async function queryPprof(
  sources: ProfileSources,
  query: PprofQuery,
  context: RequestContext,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (query.range.kind === 'empty') return undefined
  const { profileType, maxNodes, leaves, range, as } = query
  // What is missing is known when the answer is there; of the only call nothing is.
  const endNow = () => {
    const header = mergedHeaderOf(profileType, range.endMs, context.record?.warnings)
    return { kind: 'pprof', maxNodes, leaves, header, as } as const
  }
  const stacks = await readStacks(sources, { ...query, end: endNow() }, context, signal)
  const pprof = await stacks.answer(endNow(), signal)
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

/** Line-level stacks, uncut and not yet merged; or the end of them. */
async function readStacks(
  sources: ProfileSources,
  query: SampleQuery & { readonly end?: Omit<AnswerEnds['stacks'], 'nodesMax'> | undefined },
  context: RequestContext,
  signal: AbortSignal,
): Promise<AnswerParts> {
  const { range, profileType, matchers, services, selector } = query
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const begin = () => new AnswerParts({ of: 'stacks' }, workerOf(sources, context), { budget })
  if (range.kind === 'empty') return begin()
  const { startMs, endMs } = range
  let parts = begin()
  return runQuery(
    sources,
    {
      kind: 'profile',
      reads: 'samples',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => (parts = begin()),
      async read(objects, ended, isOnly) {
        await parts.room()
        const { nodesMax } = parts
        const end = isOnly && query.end !== undefined ? { ...query.end, nodesMax } : undefined
        const asked = { profileType, matchers, startMs, endMs, objects, selector, end }
        const answer = await parts.refusing(() => sources.backend.mergeProfile(asked, ended))
        checkFiltered(selector?.frames, answer)
        return answer
      },
      merge: (into, answer) => (answer.ended === undefined ? into.add(answer.stacks) : into.setEnded(answer.ended)),
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
