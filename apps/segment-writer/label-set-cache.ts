/**
 * Which label sets of which data hour the metastore already has from this writer: a set is sent once an hour, not once
 * a segment. Only a hint: sending a set again changes nothing.
 *
 * A deletion of a tenant takes its sets along. What is left out is therefore worth what the label epoch says that it was
 * sent under: a commit names it, and one of another epoch is told to come again with everything (flusher.ts). An answer
 * without an epoch says nothing of when its sets arrived, and is not remembered.
 */
import type { Dataset } from '#core/block/dataset.ts'
import { labelsFromPairs, labelsKey, labelsToPairs } from '#core/labels/labels.ts'
import { typedLabels } from '#core/labels/profile-type.ts'
import type { LabelSet } from '#core/rpc/metastore.ts'

/** 200,000 sets of about 300 bytes are 60 MB; past it the cache starts anew, which costs one upsert a set. */
export const LABEL_SETS_MAX = 200_000

export class LabelSetCache {
  readonly #known = new Set<string>()
  readonly #entriesMax: number
  #labelEpoch: number | undefined

  constructor(entriesMax = LABEL_SETS_MAX) {
    this.#entriesMax = entriesMax
  }

  /** Sets of this dataset that the metastore may not have: one per series and type with a total that is not zero. */
  missing(dataset: Dataset): LabelSet[] {
    const sets: LabelSet[] = []
    const { headers, groups } = dataset
    const seen = new Set<number>()
    for (let h = 0; h < headers.count; h++) {
      const group = groups[headers.group[h]!]!
      for (let t = 0; t < group.types.length; t++) {
        if (headers.totals[t]!.lo[h] === 0 && headers.totals[t]!.hi[h] === 0) continue
        const cell = (headers.group[h]! * dataset.series.length + headers.series[h]!) * headers.totals.length + t
        if (seen.has(cell)) continue
        seen.add(cell)
        const labels = typedLabels(dataset.series[headers.series[h]!]!, {
          type: group.types[t]!.type,
          unit: group.types[t]!.unit,
          periodType: group.periodType,
          periodUnit: group.periodUnit,
        })
        const key = cacheKey(dataset.tenant, dataset.windowStartMs, labelsKey(labels))
        if (this.#known.has(key)) continue
        sets.push({
          tenant: dataset.tenant,
          windowStartMs: dataset.windowStartMs,
          pairs: labelsToPairs(labels),
        })
      }
    }
    return sets
  }

  /** Of all that `missing` leaves out; undefined: it leaves out nothing. */
  get labelEpoch(): number | undefined {
    return this.#labelEpoch
  }

  /** After a commit that carried them. */
  remember(sets: readonly LabelSet[], labelEpoch: number | undefined): void {
    if (labelEpoch === undefined) return
    if (labelEpoch !== this.#labelEpoch) {
      this.#known.clear()
      this.#labelEpoch = labelEpoch
    }
    if (this.#known.size + sets.length > this.#entriesMax) this.#known.clear()
    for (const { tenant, windowStartMs, pairs } of sets) {
      this.#known.add(cacheKey(tenant, windowStartMs, labelsKey(labelsFromPairs(pairs))))
    }
  }
}

function cacheKey(tenant: string, windowStartMs: number, labels: string): string {
  return `${tenant}\n${windowStartMs}\n${labels}`
}
