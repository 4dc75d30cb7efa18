/** Series of a partial answer as bytes (part-columns.ts): steps, sums and counts of all series, one after the other. */
import type { LabelPair } from '../labels/labels.ts'
import type { TimeSeries } from '../rpc/query-backend.ts'
import { encodePart, labelSetsOf, listOf, PartReader, rowsOf } from './part-columns.ts'

interface Head {
  readonly labels: LabelPair[][]
  /** Points of each series. */
  readonly lengths: readonly number[]
}

export function encodeSeriesPart(series: readonly TimeSeries[]): Uint8Array {
  const lengths = series.map(({ stepIndexes }) => stepIndexes.length)
  const rows = lengths.reduce((sum, length) => sum + length, 0)
  const [steps, counts] = [new Float64Array(rows), new Float64Array(rows)]
  const values = new BigInt64Array(rows)
  let at = 0
  for (const { stepIndexes, sums, counts: profiles } of series) {
    for (let i = 0; i < stepIndexes.length; i++, at++) {
      steps[at] = stepIndexes[i]!
      values[at] = sums[i]!
      counts[at] = profiles[i]!
    }
  }
  const head: Head = { labels: series.map(({ labels }) => pairsOf(labels)), lengths }
  return encodePart(head, [steps, values, counts])
}

/** Fails with `data_loss`. */
export function decodeSeriesPart(part: Uint8Array): TimeSeries[] {
  const reader = new PartReader(part)
  const { labels: given, lengths = [] } = (reader.head ?? {}) as Partial<Head>
  const labels = labelSetsOf(given)
  const rows = rowsOf(lengths, labels.length)
  const steps = reader.doubles(rows)
  const values = reader.integers(rows)
  const counts = reader.doubles(rows)
  reader.end()
  let end = 0
  return labels.map((each, s) => {
    const start = end
    end += lengths[s]!
    return {
      labels: each,
      stepIndexes: listOf(steps, start, end),
      sums: listOf(values, start, end),
      counts: listOf(counts, start, end),
    }
  })
}

/** Of labels that came as messages the two fields alone. */
export function pairsOf(labels: readonly LabelPair[]): LabelPair[] {
  return labels.map(({ name, value }) => ({ name, value }))
}
