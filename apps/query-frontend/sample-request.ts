/**
 * From requests for samples (flame graphs, profiles) to queries, as pure functions. Range, profile type and selector are
 * checked first, then the limit of nodes, then selectors of samples.
 *
 * What is asked for and cannot be answered is refused by name. Formats that only later clients know are answered with a
 * flame graph, which such clients fall back to.
 */
import { CinderError } from '#core/errors.ts'
import type { LeafRule } from '#core/query/profile-cut.ts'
import { parseSampleSelector } from '#core/query/sample-selector.ts'
import type { SampleSelector } from '#core/rpc/query-backend.ts'
import {
  AsyncQueryType,
  ProfileFormat,
  type SelectMergeProfileRequest,
  type SelectMergeStacktracesRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import type { StackTraceSelector } from '#platform/gen/types/v1/types_pb.ts'
import { frameFilterOf } from './frame-filter.ts'
import { maxNodesOf, type ProfileQuery, profileQueryOf, type RequestContext } from './request.ts'

export interface SampleQuery extends ProfileQuery {
  /** undefined: all samples. */
  readonly selector: SampleSelector | undefined
}

/** Also of the request by span, which has fewer. */
export type StacktracesFields = Pick<
  SelectMergeStacktracesRequest,
  | 'profileTypeID'
  | 'labelSelector'
  | 'start'
  | 'end'
  | 'maxNodes'
  | 'format'
  | 'stackTraceSelector'
  | 'profileIdSelector'
  | 'async'
  | 'traceIdSelector'
  | 'spanSelector'
>

export interface StacktracesQuery extends SampleQuery {
  readonly maxNodes: number
  /** What the request named; undefined: nothing, which leaves a profile whole. */
  readonly givenNodes: number | undefined
  /** Of a profile alone. */
  readonly leaves: LeafRule | undefined
  readonly format: 'flamegraph' | 'tree' | 'dot' | 'pprof'
}

export function stacktracesQueryOf(request: StacktracesFields, context: RequestContext): StacktracesQuery {
  if (request.async !== undefined && isAsync(request.async)) throw unsupported('async queries')
  const query = profileQueryOf(request, context)
  const maxNodes = maxNodesOf(request.maxNodes, context)
  const selector = selectorOf(request, context)
  const format = formatOf(request.format)
  const leaves = request.stackTraceSelector?.goPgo
  if (leaves !== undefined && format !== 'pprof') throw unsupported(`go_pgo of format ${format}`)
  const isGiven = request.maxNodes !== undefined && request.maxNodes !== 0n
  return { ...query, selector, maxNodes, givenNodes: isGiven ? maxNodes : undefined, leaves, format }
}

function isAsync(async: { readonly requestId: string; readonly type: number }): boolean {
  return async.requestId !== '' || async.type === AsyncQueryType.FORCE
}

function formatOf(format: ProfileFormat): StacktracesQuery['format'] {
  if (format === ProfileFormat.TREE) return 'tree'
  if (format === ProfileFormat.PPROF) return 'pprof'
  if (format === ProfileFormat.DOT) return 'dot'
  return 'flamegraph'
}

/** Stacks for compilers have lost their roots: a call site means nothing beside `go_pgo`. */
function selectorOf(
  request: {
    readonly profileIdSelector: readonly string[]
    readonly traceIdSelector: readonly string[]
    readonly spanSelector?: readonly string[]
    readonly stackTraceSelector?: StackTraceSelector | undefined
  },
  { regex }: RequestContext,
): SampleSelector | undefined {
  const callSite = request.stackTraceSelector?.goPgo === undefined ? request.stackTraceSelector?.callSite : []
  return parseSampleSelector({
    profileIds: request.profileIdSelector,
    spanIds: request.spanSelector ?? [],
    traceIds: request.traceIdSelector,
    callSite: (callSite ?? []).map(({ name }) => name),
    frames: frameFilterOf(request.stackTraceSelector, regex),
  })
}

export interface MergeProfileQuery extends SampleQuery {
  /** undefined: all. */
  readonly maxNodes: number | undefined
  readonly leaves: LeafRule | undefined
}

/** No limit of nodes is checked here, and a negative one means none: clients of this call rely on it. */
export function mergeProfileQueryOf(request: SelectMergeProfileRequest, context: RequestContext): MergeProfileQuery {
  const query = profileQueryOf(request, context)
  const { maxNodes = 0n, stackTraceSelector } = request
  return {
    ...query,
    selector: selectorOf(request, context),
    maxNodes: maxNodes > 0n ? Number(maxNodes) : undefined,
    leaves: stackTraceSelector?.goPgo,
  }
}

function unsupported(what: string): CinderError {
  return new CinderError('unimplemented', `${what} cannot be answered by this server`, { reason: 'unsupported_query' })
}
