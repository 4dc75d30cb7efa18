/**
 * Which series and sample types of a dataset a query means. Pure: labels and types in, a table out.
 *
 * A query names one profile type (five parts) and matchers. The name part is the series' `__name__`; the other four
 * are a sample type of a group and the group's period. Matchers see the labels that clients see: pushed ones and those
 * that follow from the sample type.
 */
import type { SampleGroup } from '../block/dataset.ts'
import { getLabel, LABEL_NAME, type Labels } from '../labels/labels.ts'
import { parseProfileType, typedLabels } from '../labels/profile-type.ts'

export interface SelectedType {
  readonly group: number
  readonly type: number
  /** 1 = the series is selected; by series index. */
  readonly series: Uint8Array
  /** Typed labels of selected series, by series index. */
  readonly labels: readonly (Labels | undefined)[]
}

export interface SeriesQuery {
  /** Five-part id. */
  readonly profileType: string
  readonly matches: (labels: Labels) => boolean
}

/** Types with at least one selected series. */
export function selectSeries(
  dataset: { readonly series: readonly Labels[]; readonly groups: readonly SampleGroup[] },
  query: SeriesQuery,
): SelectedType[] {
  const wanted = parseProfileType(query.profileType)
  const selected: SelectedType[] = []
  dataset.groups.forEach((group, g) => {
    if (group.periodType !== wanted.periodType || group.periodUnit !== wanted.periodUnit) return
    group.types.forEach(({ type, unit }, t) => {
      if (type !== wanted.sampleType || unit !== wanted.sampleUnit) return
      const series = new Uint8Array(dataset.series.length)
      const labels = dataset.series.map((base, s) => {
        if (getLabel(base, LABEL_NAME) !== wanted.name) return undefined
        const typed = typedLabels(base, { type, unit, periodType: group.periodType, periodUnit: group.periodUnit })
        if (!query.matches(typed)) return undefined
        series[s] = 1
        return typed
      })
      if (series.includes(1)) selected.push({ group: g, type: t, series, labels })
    })
  })
  return selected
}
