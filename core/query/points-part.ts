/**
 * Points of a partial answer as bytes (part-columns.ts): steps, values and counts of all rows, and with exemplars their times,
 * the numbers of their label sets, and their ids as one text. Label sets are written once: all profiles of a series have the
 * same.
 */
import { type LabelPair, labelsKey } from '../labels/labels.ts'
import type { PointExemplar, PointSeries } from '../rpc/query-backend.ts'
import { damagedPart, encodePart, labelSetsOf, listOf, PartReader, rowsOf } from './part-columns.ts'
import { pairsOf } from './series-part.ts'

interface Head {
  readonly labels: LabelPair[][]
  /** Rows of each series, and how many of them have an exemplar: all or none. */
  readonly lengths: readonly number[]
  readonly named: readonly number[]
  readonly labelSets: LabelPair[][]
  /** `profile span trace`, separated by commas; ids are hex. */
  readonly ids: string
}

export function encodePointsPart(series: readonly PointSeries[]): Uint8Array {
  const lengths = series.map(({ steps }) => steps.length)
  const named = series.map(({ exemplars }) => exemplars.length)
  const rows = sumOf(lengths)
  const [steps, counts] = [new Float64Array(rows), new Float64Array(rows)]
  const values = new BigInt64Array(rows)
  const shown = new ExemplarColumns(sumOf(named))
  let at = 0
  for (const each of series) {
    for (let i = 0; i < each.steps.length; i++, at++) {
      steps[at] = each.steps[i]!
      values[at] = each.values[i]!
      counts[at] = each.counts[i]!
    }
    for (const exemplar of each.exemplars) shown.add(exemplar)
  }
  const { labelSets, ids, times, sets } = shown
  const head: Head = {
    labels: series.map(({ labels }) => pairsOf(labels)),
    lengths,
    named,
    labelSets,
    ids: ids.join(','),
  }
  return encodePart(head, [steps, values, counts, times, sets])
}

class ExemplarColumns {
  readonly labelSets: LabelPair[][] = []
  readonly ids: string[] = []
  readonly times: Float64Array
  readonly sets: Float64Array
  readonly #setByKey = new Map<string, number>()
  #last: { readonly labels: readonly LabelPair[]; readonly set: number } | undefined

  constructor(rows: number) {
    this.times = new Float64Array(rows)
    this.sets = new Float64Array(rows)
  }

  add({ timeMs, profileId, spanId, traceId, labels }: PointExemplar): void {
    const set = this.#setOf(labels)
    const row = this.ids.push(`${profileId} ${spanId} ${traceId}`) - 1
    this.times[row] = timeMs
    this.sets[row] = set
  }

  #setOf(labels: readonly LabelPair[]): number {
    // Profiles come series by series: labels that are the same object need no key.
    if (this.#last?.labels === labels) return this.#last.set
    const key = labelsKey(labels)
    let set = this.#setByKey.get(key)
    if (set === undefined) {
      set = this.labelSets.push(pairsOf(labels)) - 1
      this.#setByKey.set(key, set)
    }
    this.#last = { labels, set }
    return set
  }
}

/** Fails with `data_loss`. */
export function decodePointsPart(part: Uint8Array): PointSeries[] {
  const reader = new PartReader(part)
  const { labels: given, lengths = [], named = [], labelSets, ids } = (reader.head ?? {}) as Partial<Head>
  const labels = labelSetsOf(given)
  const [rows, exemplarRows] = [rowsOf(lengths, labels.length), rowsOf(named, labels.length)]
  const steps = reader.doubles(rows)
  const values = reader.integers(rows)
  const counts = reader.doubles(rows)
  const times = reader.doubles(exemplarRows)
  const sets = reader.doubles(exemplarRows)
  reader.end()
  const exemplarOf = exemplarsOf({ times, sets, labelSets: labelSetsOf(labelSets), ids })
  let [end, shown] = [0, 0]
  return labels.map((each, s) => {
    const start = end
    end += lengths[s]!
    if (named[s] !== 0 && named[s] !== lengths[s]) throw damagedPart(`${named[s]} exemplars of ${lengths[s]} rows`)
    return {
      labels: each,
      steps: listOf(steps, start, end),
      values: listOf(values, start, end),
      counts: listOf(counts, start, end),
      exemplars: Array.from({ length: named[s]! }, () => exemplarOf(shown++)),
    }
  })
}

/** By row. */
function exemplarsOf({
  times,
  sets,
  labelSets,
  ids,
}: Pick<ExemplarColumns, 'times' | 'sets' | 'labelSets'> & { readonly ids: unknown }): (row: number) => PointExemplar {
  const idsOf = typeof ids !== 'string' || times.length === 0 ? [] : ids.split(',')
  if (idsOf.length !== times.length) throw damagedPart(`ids of ${idsOf.length} exemplars, not of ${times.length}`)
  return (row) => {
    const [profileId, spanId, traceId, ...others] = idsOf[row]!.split(' ')
    const labels = labelSets[sets[row]!]
    if (profileId === undefined || spanId === undefined || traceId === undefined || others.length > 0 || !labels) {
      throw damagedPart(`ids or label set of exemplar ${row}`)
    }
    return { timeMs: times[row]!, profileId, spanId, traceId, labels }
  }
}

function sumOf(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0)
}
