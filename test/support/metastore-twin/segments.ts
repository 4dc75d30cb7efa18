/** Commit of a segment, and what is asked about what is live: plans, label sets, stats. */
import { checkSegment } from '../../../apps/metastore/validate.ts'
import { labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import type {
  CommitSegmentRequest,
  CommitSegmentResponse,
  LabelSetsRequest,
  LabelSetsResponse,
  PlanQueryRequest,
  PlanQueryResponse,
  TenantStatsResponse,
} from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { isExpired } from './retention.ts'
import type { HeldDataset, TwinState } from './state.ts'
import { incarnationFor, isVisible, liveFromOf } from './tenants.ts'

export function commitSegment(state: TwinState, request: CommitSegmentRequest): CommitSegmentResponse {
  checkSegment(request)
  const { objectId, sizeBytes, labelSets } = request
  if (state.rules.findsReplays && state.registered.has(objectId)) {
    const skips = state.registered.get(objectId)
    if (skips === undefined) return { verdict: 'refused', skips: [] }
    return { verdict: 'replayed', skips: state.rules.repeatsVerdicts ? skips : [] }
  }
  // With every deletion label sets go that writers believe to be known.
  const labelEpoch = [...state.tenants.values()].reduce((sum, { incarnation }) => sum + incarnation, 0)
  const isOutdated = request.labelEpoch !== undefined && request.labelEpoch !== labelEpoch
  if (isOutdated && state.rules.checksLabelEpoch) return { verdict: 'labels-outdated', skips: [], labelEpoch }
  const datasets = judge(state, request)
  const skips = datasets.flatMap(({ descriptor: { index }, skip }) =>
    skip.length === 0 ? [] : [{ index, positions: skip }],
  )
  state.registered.set(objectId, skips)
  state.addObject({ objectId, level: 0, sizeBytes, datasets })
  for (const set of state.rules.keepsLabelSets ? labelSets : []) {
    const pairs = set.pairs.map((text) => text.replaceAll('\0', '\uFFFD'))
    state.addLabelSet({ ...set, pairs, incarnation: incarnationFor(state, set.tenant, objectId).incarnation })
  }
  state.buryIfDead(objectId)
  // What went to a dead incarnation is not worth remembering.
  const isLate = datasets.some(({ incarnation, descriptor: { tenant } }) => incarnation < liveFromOf(state, tenant))
  const expired = datasets.flatMap(({ descriptor }) =>
    state.tellsExpired && state.rules.keepsBounds && isExpired(state, descriptor) ? [descriptor.index] : [],
  )
  return { verdict: 'committed', skips, labelEpoch: isLate ? 0 : labelEpoch, expired }
}

/** First position of an id wins; who lost everything is dead on arrival. */
function judge(state: TwinState, { objectId, datasets, profileIds, deduplicate }: CommitSegmentRequest): HeldDataset[] {
  let at = 0
  return datasets.map((descriptor) => {
    const skip: number[] = []
    const { incarnation, isRemoved } = incarnationFor(state, descriptor.tenant, objectId)
    for (let position = 0; position < descriptor.profileCount; position++, at++) {
      if (deduplicate[at] === 0) continue
      const own = profileIds.subarray(at * 16, at * 16 + 16).join()
      // What is pushed again after a deletion is new.
      const id = incarnation > 1 && state.renewsIds ? `${own}/${incarnation}` : own
      if (!state.profileIds.has(id)) state.profileIds.set(id, state.nowMs())
      else if (state.rules.dedupes) skip.push(position)
    }
    const isBelow = state.rules.keepsBounds && isExpired(state, descriptor)
    const isLive = skip.length < descriptor.profileCount && !isRemoved && !isBelow
    return { descriptor: { ...descriptor }, skip, incarnation, isLive }
  })
}

export function planQuery(
  state: TwinState,
  { tenants, services, startMs, endMs }: PlanQueryRequest,
): PlanQueryResponse {
  const objects = [...state.objects.values()].map((object) =>
    state.sourceOf(object, (dataset) => {
      const { tenant, service, minTimeMs, maxTimeMs } = dataset.descriptor
      if (!isVisible(state, dataset) || !tenants.includes(tenant)) return false
      return (services.length === 0 || services.includes(service)) && minTimeMs <= endMs && maxTimeMs >= startMs
    }),
  )
  return { objects: objects.filter(({ datasets }) => datasets.length > 0) }
}

export function selectLabelSets(state: TwinState, request: LabelSetsRequest): LabelSetsResponse {
  const { tenants, startMs, endMs, names, namesOnly } = request
  const sets = new Map<string, { pairs: string[] }>()
  for (const { tenant, windowStartMs, pairs, incarnation } of state.labelSets.values()) {
    const overlaps = windowStartMs <= endMs && windowStartMs + MS_PER_HOUR > startMs
    if (!tenants.includes(tenant) || !overlaps || incarnation < liveFromOf(state, tenant)) continue
    const labels = labelsFromPairs(pairs)
    const parts = namesOnly
      ? labels.map(({ name }) => [name, ''])
      : [labelsToPairs(names.length === 0 ? labels : labels.filter(({ name }) => names.includes(name)))]
    for (const part of parts) sets.set(JSON.stringify(part), { pairs: part })
  }
  return { sets: [...sets.values()] }
}

export function tenantStats(state: TwinState, tenants: readonly string[]): TenantStatsResponse {
  const live = [...state.objects.values()]
    .flatMap(({ datasets }) => datasets)
    .filter((dataset) => isVisible(state, dataset) && tenants.includes(dataset.descriptor.tenant))
  if (live.length === 0) return { dataIngested: false, oldestProfileTimeMs: 0, newestProfileTimeMs: 0 }
  return {
    dataIngested: true,
    oldestProfileTimeMs: Math.min(...live.map(({ descriptor }) => descriptor.minTimeMs)),
    newestProfileTimeMs: Math.max(...live.map(({ descriptor }) => descriptor.maxTimeMs)),
  }
}
