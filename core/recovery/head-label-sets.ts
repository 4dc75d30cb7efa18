/**
 * The label sets of a dataset, per data hour, from its head: what segments told the metastore when they were committed.
 * One per series and type that has a total which is not zero in the hour.
 */
import type { DatasetHead } from '../block/dataset-head.ts'
import { labelsToPairs } from '../labels/labels.ts'
import { typedLabels } from '../labels/profile-type.ts'
import type { LabelSet } from '../rpc/metastore.ts'
import { hourOfNanos, MS_PER_HOUR } from '../units.ts'

export function labelSetsOfHead(head: DatasetHead): LabelSet[] {
  const { headers, groups, series, descriptor } = head
  const typesMax = headers.totals.length
  /** Cells of one hour; headers are not in order of time over series. */
  const seenByHour = new Map<number, Set<number>>()
  const sets: LabelSet[] = []
  for (let h = 0; h < headers.count; h++) {
    const hour = hourOfNanos(headers.timeNanos.hi[h]! | 0, headers.timeNanos.lo[h]!)
    const group = groups[headers.group[h]!]!
    for (let t = 0; t < group.types.length; t++) {
      if (headers.totals[t]!.lo[h] === 0 && headers.totals[t]!.hi[h] === 0) continue
      const seen = seenByHour.get(hour) ?? new Set()
      seenByHour.set(hour, seen)
      const cell = (headers.group[h]! * series.length + headers.series[h]!) * typesMax + t
      if (seen.has(cell)) continue
      seen.add(cell)
      const { periodType, periodUnit } = group
      const labels = typedLabels(series[headers.series[h]!]!, { ...group.types[t]!, periodType, periodUnit })
      sets.push({ tenant: descriptor.tenant, windowStartMs: hour * MS_PER_HOUR, pairs: labelsToPairs(labels) })
    }
  }
  return sets
}
