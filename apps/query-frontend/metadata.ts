/** Label names, label values, series, profile types, statistics: answered by the metastore, and by blocks where it cannot. */
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
import { invalidArgument } from '#core/errors.ts'
import type { UncheckedMatcher } from '#core/labels/matcher.ts'
import { buildLabels, LABEL_TENANT_ID, labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import type { TimeRange } from '#core/query/time-range.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { ProfileTypesRequest, SeriesRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import type { LabelNamesRequest, LabelValuesRequest } from '#platform/gen/types/v1/types_pb.ts'
import type { LabelSource } from './block-labels.ts'
import { metadataMatchersOf, profileTypesRangeOf, rangeOf, type RequestContext, singleTenantOf } from './request.ts'

export async function answerProfileTypes(
  metastore: LabelSource,
  request: ProfileTypesRequest,
  context: RequestContext,
) {
  const query = { range: profileTypesRangeOf(request, context), part: partForProfileTypes([]) }
  const sets = await readSets(metastore, query, context)
  const types = listProfileTypes(sets, { matchers: [], regex: context.regex })
  return { profileTypes: types.map(({ id, ...parts }) => ({ ID: id, ...parts })) }
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
  return { names: listLabelNames(sets, { ...filter, allowUtf8Names }) }
}

export async function answerLabelValues(metastore: LabelSource, request: LabelValuesRequest, context: RequestContext) {
  const { name } = request
  if (name === '') throw invalidArgument('name is required', 'missing_label_name')
  const range = rangeOf(request, context)
  const filter = filterOf(request.matchers, context)
  const sets = await readSets(metastore, { range, part: partForLabelValues(filter.matchers, name), ...filter }, context)
  return { names: listLabelValues(sets, { ...filter, name }) }
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
  const series = listSeries(sets, { ...filter, labelNames: request.labelNames, allowUtf8Names })
  return { labelsSet: series.map((labels) => ({ labels: [...labels] })) }
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
  const sets = await Promise.all(
    context.tenants.map(async (tenant) => (await ask([tenant])).map((set) => withTenant(set, tenant, part.namesOnly))),
  )
  return sets.flat()
}

function withTenant({ pairs }: LabelSets[number], tenant: string, namesOnly: boolean): LabelSets[number] {
  if (namesOnly) return { pairs: [...pairs, LABEL_TENANT_ID, ''] }
  return { pairs: labelsToPairs(buildLabels([...labelsFromPairs(pairs), { name: LABEL_TENANT_ID, value: tenant }])) }
}
