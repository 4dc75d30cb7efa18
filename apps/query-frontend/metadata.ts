/**
 * Label names, label values, series, profile types, statistics: answered by the metastore, and by blocks where it cannot.
 * An answer from a list that was there before is the one of then (kept-answers.ts).
 */
import {
  type LabelFilter,
  type LabelSets,
  listLabelNames,
  listLabelValues,
  listProfileTypes,
  listSeries,
  type LabelSetsPart,
  partForLabelNames,
  partForLabelValues,
  partForProfileTypes,
  partForSeries,
} from '#core/query/label-query.ts'
import type { LabelList } from '#core/query/label-list.ts'
import { CinderError, invalidArgument } from '#core/errors.ts'
import { REPORT_SETS_MAX } from '#core/query/label-report.ts'
import type { UncheckedMatcher } from '#core/labels/matcher.ts'
import { buildLabels, LABEL_TENANT_ID, labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import type { TimeRange } from '#core/query/time-range.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import {
  type ProfileTypesRequest,
  ProfileTypesResponseSchema,
  type SeriesRequest,
  SeriesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import {
  type LabelNamesRequest,
  LabelNamesResponseSchema,
  type LabelValuesRequest,
  LabelValuesResponseSchema,
} from '#platform/gen/types/v1/types_pb.ts'
import { type DescMessage, encodeMessage, type MessageInitShape, rawMessage } from '#platform/connect/raw-message.ts'
import type { LabelSource } from './block-labels.ts'
import { LARGE_SETS } from './large-lists.ts'
import { metadataMatchersOf, profileTypesRangeOf, rangeOf, type RequestContext, singleTenantOf } from './request.ts'

export async function answerProfileTypes(
  metastore: LabelSource,
  request: ProfileTypesRequest,
  context: RequestContext,
) {
  const query = { range: profileTypesRangeOf(request, context), part: partForProfileTypes([]) }
  const sets = await readSets(metastore, query, context)
  return given(context, { sets, question: ['types'], schema: ProfileTypesResponseSchema }, () => {
    const types = listProfileTypes(sets, { matchers: [], regex: context.regex })
    return { profileTypes: types.map(({ id, ...parts }) => ({ ID: id, ...parts })) }
  })
}

export async function answerLabelNames(
  metastore: LabelSource,
  request: LabelNamesRequest,
  context: RequestContext,
  allowUtf8Names: boolean,
) {
  const range = rangeOf(request, context)
  const filter = filterOf(request.matchers, context)
  const sets = await readSets(metastore, { range, part: partForLabelNames(filter.matchers), ...filter }, context)
  const question = ['names', allowUtf8Names, request.matchers]
  const large = { ...filter, list: { of: 'names', allowUtf8Names } } as const
  return given(context, { sets, question, schema: LabelNamesResponseSchema, large }, () => ({
    names: listLabelNames(sets, { ...filter, allowUtf8Names }),
  }))
}

export async function answerLabelValues(metastore: LabelSource, request: LabelValuesRequest, context: RequestContext) {
  const { name } = request
  if (name === '') throw invalidArgument('name is required', 'missing_label_name')
  const range = rangeOf(request, context)
  const filter = filterOf(request.matchers, context)
  const sets = await readSets(metastore, { range, part: partForLabelValues(filter.matchers, name), ...filter }, context)
  const question = ['values', name, request.matchers]
  const large = { ...filter, list: { of: 'values', name } } as const
  return given(context, { sets, question, schema: LabelValuesResponseSchema, large }, () => ({
    names: listLabelValues(sets, { ...filter, name }),
  }))
}

export async function answerSeries(
  metastore: LabelSource,
  request: SeriesRequest,
  context: RequestContext,
  allowUtf8Names: boolean,
) {
  const range = rangeOf(request, context)
  const filter = filterOf(request.matchers, context)
  const part = partForSeries(filter.matchers, request.labelNames)
  const sets = await readSets(metastore, { range, part, ...filter }, context)
  const { labelNames } = request
  const question = ['series', allowUtf8Names, labelNames, request.matchers]
  const large = { ...filter, list: { of: 'series', labelNames, allowUtf8Names } } as const
  return given(context, { sets, question, schema: SeriesResponseSchema, large }, () => {
    const series = listSeries(sets, { ...filter, labelNames, allowUtf8Names })
    return { labelsSet: series.map((labels) => ({ labels: [...labels] })) }
  })
}

interface Listed<Schema extends DescMessage> {
  readonly sets: LabelSets
  readonly question: readonly unknown[]
  readonly schema: Schema
  /** Absent: such lists are short. */
  readonly large?: { readonly matchers: readonly UncheckedMatcher[]; readonly list: LabelList }
}

/** Nothing but the list and the question may decide what is listed. */
async function given<Schema extends DescMessage, Answer extends MessageInitShape<Schema>>(
  { giveAnswer, largeLists }: RequestContext,
  { sets, question, schema, large }: Listed<Schema>,
  list: () => Answer,
): Promise<Answer> {
  const isLarge = largeLists !== undefined && large !== undefined && sets.length > LARGE_SETS
  const encodeLarge = isLarge ? (as: 'proto' | 'json') => largeLists.encode(sets, large, as) : undefined
  if (giveAnswer !== undefined) {
    await giveAnswer(JSON.stringify(question), sets, () => encodeLarge?.('proto') ?? encodeMessage(schema, list()))
    return {} as Answer
  }
  if (encodeLarge !== undefined && largeLists?.answerText !== undefined) {
    largeLists.answerText(await encodeLarge('json'))
    return {} as Answer
  }
  if (encodeLarge !== undefined && largeLists?.takesMessage === true) {
    return rawMessage(schema, await encodeLarge('proto')) as unknown as Answer
  }
  return list()
}

/** Over all time, not the lookback: it tells a new user whether any data has arrived. */
export async function answerStats(metastore: Pick<Metastore, 'tenantStats'>, context: RequestContext) {
  const stats = await metastore.tenantStats({ tenants: [singleTenantOf(context.tenants)] })
  if (!stats.dataIngested) return {}
  return {
    dataIngested: true,
    oldestProfileTime: BigInt(Math.floor(stats.oldestProfileTimeMs)),
    newestProfileTime: BigInt(Math.floor(stats.newestProfileTimeMs)),
  }
}

/** Parsed before anything is read, so that a fault costs nothing. */
function filterOf(matchers: readonly string[], context: RequestContext): LabelFilter {
  return { matchers: metadataMatchersOf(matchers), regex: context.regex }
}

/** Each may answer with as many sets as one tenant may list. */
const TENANTS_AT_ONCE = 4

/** Whole or reduced sets; of several tenants each with its tenant. */
export async function readSets(
  metastore: LabelSource,
  {
    range,
    part,
    matchers = [],
  }: { readonly range: TimeRange; readonly part: LabelSetsPart; readonly matchers?: readonly UncheckedMatcher[] },
  context: RequestContext,
): Promise<LabelSets> {
  if (range.kind === 'empty') return []
  const { startMs, endMs } = range
  const ask = async (tenants: string[]) =>
    (await metastore.labelSets({ tenants, startMs, endMs, ...part }, matchers)).sets
  if (context.tenants.length === 1) return ask([...context.tenants])
  // Of several tenants each set says whose it is, as it does in matchers and groups of queries.
  const sets: LabelSets[number][] = []
  for (let at = 0; at < context.tenants.length; at += TENANTS_AT_ONCE) {
    const some = context.tenants.slice(at, at + TENANTS_AT_ONCE)
    const answers = await Promise.all(some.map((tenant) => ask([tenant])))
    for (const [i, tenant] of some.entries()) {
      if (sets.length + answers[i]!.length > REPORT_SETS_MAX) throw tooManySets(context.tenants.length)
      for (const set of answers[i]!) sets.push(withTenant(set, tenant, part.namesOnly))
    }
  }
  return sets
}

function tooManySets(tenants: number): CinderError {
  return new CinderError(
    'resource_exhausted',
    `the range of the ${tenants} tenants has more than ${REPORT_SETS_MAX} different label sets, the most that one ` +
      'query may list: ask for fewer tenants, narrow the range, or ask about labels with fewer values',
    { reason: 'label_sets_limit' },
  )
}

function withTenant({ pairs }: LabelSets[number], tenant: string, namesOnly: boolean): LabelSets[number] {
  if (namesOnly) return { pairs: [...pairs, LABEL_TENANT_ID, ''] }
  return { pairs: labelsToPairs(buildLabels([...labelsFromPairs(pairs), { name: LABEL_TENANT_ID, value: tenant }])) }
}
