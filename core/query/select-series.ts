/**
 * Which series and sample types of a dataset a query means. Pure: labels and types in, a table out.
 *
 * A query names one profile type (five parts) and matchers. The name part is the series' `__name__`; the other four
 * are a sample type of a group and the group's period. Matchers see the labels that clients see: pushed ones and those
 * that follow from the sample type. A query that speaks of tenants also sees whose a series is.
 */
import type { SampleGroup } from '../block/dataset.ts'
import { buildLabels, getLabel, LABEL_NAME, LABEL_SAMPLED_BY, LABEL_TENANT_ID, type Labels } from '../labels/labels.ts'
import { parseProfileType, typedLabels } from '../labels/profile-type.ts'

export interface SelectedType {
  readonly group: number
  readonly type: number
  /** 1 = the series is selected; by series index. */
  readonly series: Uint8Array
  /** Typed labels of selected series, by series index. */
  readonly labels: readonly (Labels | undefined)[]
  /** By series index what annotates the points of its profiles, '' = nothing; absent: nothing does. */
  readonly sampledBy?: readonly string[]
}

export interface SeriesQuery {
  /** Five-part id. */
  readonly profileType: string
  readonly matches: (labels: Labels) => boolean
  /** The tenant is one of the labels: where matchers or groups name it. */
  readonly showsTenant?: boolean
}

/** Types with at least one selected series. */
export function selectSeries(
  dataset: { readonly series: readonly Labels[]; readonly groups: readonly SampleGroup[]; readonly tenant?: string },
  query: SeriesQuery,
): SelectedType[] {
  const wanted = parseProfileType(query.profileType)
  const selected: SelectedType[] = []
  dataset.groups.forEach((group, g) => {
    if (group.periodType !== wanted.periodType || group.periodUnit !== wanted.periodUnit) return
    group.types.forEach(({ type, unit }, t) => {
      if (type !== wanted.sampleType || unit !== wanted.sampleUnit) return
      const series = new Uint8Array(dataset.series.length)
      let sampledBy: string[] | undefined
      const labels = dataset.series.map((base, s) => {
        if (getLabel(base, LABEL_NAME) !== wanted.name) return undefined
        const { periodType, periodUnit } = group
        const own = typedLabels(base, { type, unit, periodType, periodUnit })
        const typed = query.showsTenant === true ? withTenant(own, dataset.tenant) : own
        if (!query.matches(typed)) return undefined
        series[s] = 1
        const value = getLabel(base, LABEL_SAMPLED_BY)
        if (value !== '') (sampledBy ??= dataset.series.map(() => ''))[s] = value
        return typed
      })
      if (series.includes(1)) selected.push({ group: g, type: t, series, labels, ...(sampledBy && { sampledBy }) })
    })
  })
  return selected
}

/** Whatever was pushed under the name. */
function withTenant(labels: Labels, tenant: string | undefined): Labels {
  return buildLabels([...labels, { name: LABEL_TENANT_ID, value: tenant ?? '' }])
}

export function namesTenant(matchers: readonly { readonly name: string }[], groupBy: readonly string[] = []): boolean {
  return groupBy.includes(LABEL_TENANT_ID) || matchers.some(({ name }) => name === LABEL_TENANT_ID)
}
