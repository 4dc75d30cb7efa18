/**
 * What happens to a decoded profile between its bytes and its rows, in this order:
 *
 * 1. its clock is repaired (clock-repair.ts), then it is validated;
 * 2. profiles of Go are mended (go-fixes.ts);
 * 3. sample types that the tenant does not want are taken out;
 * 4. samples that cannot be stored are dropped, the rest is split into series by their labels, session ids are reduced,
 *    relabel rules change, keep or drop each series (split.ts, series-labels.ts);
 * 5. a profile that is not drawn by its usage group's sampling is dropped, or leaves its totals behind;
 * 6. labels are checked, and the version of the code that they name goes into the mappings (mapping-version.ts). The rule that
 *    was asked in 5 is written down as one more label.
 *
 * Pure: the draw is an argument, and the same for a retry, so that a retried push meets the same fate.
 */
import {
  buildLabels,
  getLabel,
  LABEL_SAMPLED,
  LABEL_SAMPLED_BY,
  LABEL_SERVICE_NAME,
  LABEL_TYPE,
  LABEL_UNIT,
  type LabelPair,
} from '../labels/labels.ts'
import type { TenantLimits } from '../limits/limits.ts'
import { validateLabels } from '../limits/validate-labels.ts'
import { fixGoProfile } from '../pprof/go-fixes.ts'
import { languageOf } from '../pprof/language.ts'
import { withMappingVersions } from '../pprof/mapping-version.ts'
import type { DecodedProfile } from '../pprof/profile.ts'
import { totalsOf, withSampleTypes } from '../pprof/sample-types.ts'
import type { SeriesRules } from '../pprof/series-labels.ts'
import { type SplitProfile, splitProfile } from '../pprof/split.ts'
import { stringAt } from '../pprof/string-table.ts'
import { validateProfile } from '../pprof/validate.ts'
import { repairedTimeNanos } from './clock-repair.ts'
import type { CompiledPolicy } from './policy.ts'
import { changeBit, watchRelabel } from './rule-changes.ts'

export interface PipelineInput {
  readonly profile: DecodedProfile
  /** Of the valid profile; may say why there are none. */
  readonly labelsOf: () => LabelsResult
  readonly limits: TenantLimits
  readonly policy: CompiledPolicy
  readonly nowMs: number
  /** From 0 to below 1; asked for only where the tenant samples. */
  readonly draw: () => number
  readonly seriesMax: number
}

export interface PipelineFault {
  readonly reason: string
  readonly message: string
}

export type LabelsResult =
  | { readonly ok: true; readonly labels: readonly LabelPair[] }
  | { readonly ok: false; readonly fault: PipelineFault }

export type PipelineResult =
  | {
      readonly kind: 'kept'
      readonly profile: DecodedProfile
      readonly split: SplitProfile
      readonly isClockRepaired: boolean
      /** By the tenant's rules: bits (rule-changes.ts), and the service that they gave it. */
      readonly changes: number
      readonly renamedTo: string | undefined
    }
  /** Nothing that could be stored. */
  | { readonly kind: 'empty' }
  /** The tenant's own rules; a success to the client. */
  | { readonly kind: 'dropped'; readonly reason: 'dropped_by_relabel_rules' | 'dropped_by_sampling' }
  | { readonly kind: 'fault'; readonly fault: PipelineFault }

export function runPipeline(input: PipelineInput): PipelineResult {
  const { limits, policy, nowMs } = input
  const { rejectNewerThanMs } = limits
  const sentNanos = input.profile.timeNanos
  const timeNanos = repairedTimeNanos(sentNanos, { nowMs, rejectNewerThanMs, clockAhead: policy.clockAhead })
  const profile = timeNanos === sentNanos ? input.profile : { ...input.profile, timeNanos }
  const invalid = validateProfile(profile, limits, nowMs)
  if (invalid !== undefined) return { kind: 'fault', fault: invalid }
  const named = input.labelsOf()
  if (!named.ok) return { kind: 'fault', fault: named.fault }
  const { labels } = named
  const fixed = languageOf(labels, profile) === 'go' ? fixGoProfile(profile) : profile
  const typed = keepTypes(fixed, labels, policy)
  if (typed.sampleTypes.length === 0) return { kind: 'dropped', reason: 'dropped_by_relabel_rules' }
  const watched = policy.relabel && watchRelabel(policy.relabel)
  const rules = watched === undefined ? policy : { ...policy, relabel: watched.relabel }
  const split = splitProfile(typed, labels, limits, rules)
  if (split.keptCount === 0) {
    if (split.droppedCount > 0) return { kind: 'dropped', reason: 'dropped_by_relabel_rules' }
    return { kind: 'empty' }
  }
  const drawn = sample(input, { profile: typed, split, labels, rules })
  if (drawn === undefined) return { kind: 'dropped', reason: 'dropped_by_sampling' }
  const fault = checkSeries(drawn.split, input)
  if (fault !== undefined) return { kind: 'fault', fault }
  const versioned = withMappingVersions(drawn.profile, labels)
  const changes =
    (watched?.bits ?? 0) |
    (typed === fixed ? 0 : changeBit('sample_types_dropped_by_rules')) |
    (drawn.split === split ? 0 : changeBit('reduced_to_totals_by_sampling'))
  const isClockRepaired = profile !== input.profile
  const kept = withSampledBy(drawn.split, drawn.sampledBy)
  return { kind: 'kept', split: kept, profile: versioned, isClockRepaired, changes, renamedTo: watched?.renamedTo }
}

function keepTypes(profile: DecodedProfile, labels: readonly LabelPair[], { keepsSampleType }: CompiledPolicy) {
  if (keepsSampleType === undefined) return profile
  const others = labels.filter(({ name }) => name !== LABEL_TYPE && name !== LABEL_UNIT)
  const keeps = profile.sampleTypes.map(({ type, unit }) =>
    keepsSampleType([
      ...others,
      { name: LABEL_TYPE, value: stringAt(profile, type) },
      { name: LABEL_UNIT, value: stringAt(profile, unit) },
    ]),
  )
  return withSampleTypes(profile, keeps)
}

interface Drawn {
  readonly profile: DecodedProfile
  readonly split: SplitProfile
}

interface Sampled extends Drawn {
  /** Value of the annotation of points; undefined: no rule was asked. */
  readonly sampledBy: string | undefined
}

/** Undefined if nothing is left. */
function sample(
  { policy, limits, draw }: PipelineInput,
  { profile, split, labels, rules }: Drawn & { readonly labels: readonly LabelPair[]; readonly rules: SeriesRules },
): Sampled | undefined {
  const rule = policy.samplingOf(labels)
  if (rule === undefined) return { profile, split, sampledBy: undefined }
  const sampledBy = sampledAnnotation(rule)
  if (draw() < rule.probability) return { profile, split, sampledBy }
  if (!rule.keepTotals) return undefined
  const totals = totalsOf(profile, split.keptSample.subarray(0, split.keptCount))
  const own = labels.filter(({ name }) => name !== LABEL_SAMPLED)
  const stripped = splitProfile(totals, [...own, { name: LABEL_SAMPLED, value: 'true' }], limits, rules)
  return stripped.keptCount === 0 ? undefined : { profile: totals, split: stripped, sampledBy }
}

/** Words of the wire: whoever scales a sum up finds the probability beside it. */
function sampledAnnotation({ group, probability }: { readonly group: string; readonly probability: number }): string {
  return JSON.stringify({ body: { source: { usageGroup: group, probability } } })
}

function withSampledBy(split: SplitProfile, value: string | undefined): SplitProfile {
  if (value === undefined) return split
  return { ...split, series: split.series.map((labels) => buildLabels([...labels, { name: LABEL_SAMPLED_BY, value }])) }
}

function checkSeries(split: SplitProfile, { limits, seriesMax }: PipelineInput): PipelineFault | undefined {
  if (split.series.length > seriesMax) {
    const message = `sample labels split the profile into ${split.series.length} series, ${seriesMax} are allowed`
    return { reason: 'series_limit', message }
  }
  const service = getLabel(split.series[0]!, LABEL_SERVICE_NAME)
  for (const labels of split.series) {
    const invalid = validateLabels(labels, limits)
    if (invalid !== undefined) return invalid
    const other = getLabel(labels, LABEL_SERVICE_NAME)
    if (other !== service) return servicesFault(service, other)
  }
  return undefined
}

/** Rules may rename a service, but what came in one profile is stored in one. */
export function servicesFault(service: string, other: string): PipelineFault {
  const names = `${JSON.stringify(service)} and ${JSON.stringify(other)}`
  const message = `relabelRules give parts of one profile the service names ${names}: a service_name must not follow from labels of samples or events`
  return { reason: 'relabel_splits_service', message }
}
