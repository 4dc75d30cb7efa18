/**
 * AnalyzeQuery: what a query would read, from its plan, before it is asked.
 *
 * Fresh segments and compacted blocks are shown apart, under the names that clients know. Series are counted from the label
 * sets of the metastore, or of the heads of blocks where it does not list them, a slice at a time: sets are distinct, so that
 * none is kept or sorted for it. Where neither can ever list them, the answer has no count and a warning says so. A range that the
 * query itself would be refused for has nothing to tell.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { LABEL_PROFILE_TYPE, LABEL_SERVICE_NAME, labelsFromPairs } from '#core/labels/labels.ts'
import { compileMatchers, equalityOf, type Matcher } from '#core/labels/matcher.ts'
import { formatProfileType, parseProfileType } from '#core/labels/profile-type.ts'
import { parseSelector } from '#core/labels/selector.ts'
import type { Clock } from '#core/ports/clock.ts'
import { partForSeries } from '#core/query/label-query.ts'
import type { TimeRange } from '#core/query/time-range.ts'
import type { Metastore, SourceObject } from '#core/rpc/metastore.ts'
import type { AnalyzeQueryRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import type { LabelSource } from './block-labels.ts'
import { readSets } from './metadata.ts'
import { rangeOf, type RequestContext } from './request.ts'

interface Sources {
  readonly metastore: Pick<Metastore, 'planQuery'>
  readonly labels: LabelSource
  readonly clock: Pick<Clock, 'sleep'>
}

/** Below a millisecond. To list and sort 100,000 held the loop that takes pushes for a second; to count them takes 15 ms. */
const SETS_AT_ONCE = 2_000

export async function analyzeQuery(
  { metastore, ...sources }: Sources,
  request: AnalyzeQueryRequest,
  context: RequestContext,
) {
  const range = rangeIfAllowed(request, context)
  if (range.kind === 'empty') return {}
  const matchers = queryMatchers(request.query, context)
  const service = equalityOf(matchers, LABEL_SERVICE_NAME)
  const { startMs, endMs } = range
  const tenants = [...context.tenants]
  const services = service === undefined ? [] : [service]
  const { objects } = await metastore.planQuery({ tenants, startMs, endMs, services })
  if (objects.length === 0) return {}
  const series = await countSeries(sources, { matchers, range }, context)
  const scopes = [
    scopeOf(
      'Short term storage',
      objects.filter(({ level }) => level === 0),
    ),
    scopeOf(
      'Long term storage',
      objects.filter(({ level }) => level > 0),
    ),
  ]
  return {
    queryScopes: scopes.filter(({ blockCount }) => blockCount > 0n).map((scope) => ({ ...scope, seriesCount: series })),
    queryImpact: {
      totalBytesInTimeRange: scopes.reduce((sum, { indexBytes, profileBytes }) => sum + indexBytes + profileBytes, 0n),
      totalQueriedSeries: series,
      // Duplicates are decided when profiles are stored.
      deduplicationNeeded: false,
    },
  }
}

function rangeIfAllowed(request: AnalyzeQueryRequest, context: RequestContext): TimeRange {
  try {
    return rangeOf(request, context)
  } catch (error) {
    if (error instanceof CinderError && error.kind === 'invalid_argument') return { kind: 'empty' }
    throw error
  }
}

/** `type{selector}`, as queries are written in URLs. */
function queryMatchers(query: string, context: RequestContext): Matcher[] {
  const brace = query.indexOf('{')
  if (brace < 0) throw invalidArgument(`query ${JSON.stringify(query)} has no selector in braces`, 'query')
  const value = formatProfileType(parseProfileType(query.slice(0, brace).trim()))
  const matchers: Matcher[] = [...parseSelector(query.slice(brace)), { name: LABEL_PROFILE_TYPE, op: '=', value }]
  // Compiled for its faults.
  compileMatchers(matchers, context.regex)
  return matchers
}

/** 0 where nobody can list them, which a warning says: bytes and profiles are told all the same. */
async function countSeries(
  { labels, clock }: Omit<Sources, 'metastore'>,
  { matchers, range }: { readonly matchers: readonly Matcher[]; readonly range: TimeRange },
  context: RequestContext,
): Promise<bigint> {
  try {
    const sets = await readSets(labels, { range, part: partForSeries(matchers, []), matchers }, context)
    const matches = compileMatchers(matchers, context.regex)
    let count = 0n
    for (let at = 0; at < sets.length; at += SETS_AT_ONCE) {
      if (at > 0) await clock.sleep(0)
      for (const { pairs } of sets.slice(at, at + SETS_AT_ONCE)) if (matches(labelsFromPairs(pairs))) count++
    }
    return count
  } catch (error) {
    if (!(error instanceof CinderError) || !isUncountable(error)) throw error
    context.record?.warn([`the number of series is not known, and shown as 0: ${error.message}`])
    return 0n
  }
}

/**
 * Too many sets to list, or more heads than a query may read: the same for whoever asks again. What names a time to come back (a
 * full queue, query threads with too many calls) may go well then, and is an error: a number that is 0 under load and right
 * without it would be believed.
 */
function isUncountable({ kind, retryAfterMs }: CinderError): boolean {
  return kind === 'invalid_argument' || (kind === 'resource_exhausted' && retryAfterMs === undefined)
}

function scopeOf(componentType: string, objects: readonly SourceObject[]) {
  const datasets = objects.flatMap((object) => object.datasets.map(({ descriptor }) => descriptor))
  const sum = (of: (descriptor: (typeof datasets)[number]) => number): bigint =>
    BigInt(datasets.reduce((total, descriptor) => total + of(descriptor), 0))
  return {
    componentType,
    componentCount: objects.length > 0 ? 1n : 0n,
    blockCount: BigInt(objects.length),
    profileCount: sum(({ profileCount }) => profileCount),
    sampleCount: sum(({ sampleCount }) => sampleCount),
    indexBytes: sum(({ headBytes }) => headBytes),
    profileBytes: sum(({ sizeBytes, headBytes }) => sizeBytes - headBytes),
  }
}
