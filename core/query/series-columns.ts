/**
 * Series as columns, to be handed to another thread without a clone of every point: those of all series one after the
 * other, series s with `lengths[s]` of them.
 */
import type { LabelPair } from '../labels/labels.ts'
import type { TimeSeries } from '../rpc/query-backend.ts'

export interface SeriesColumns {
  readonly labels: readonly LabelPair[][]
  readonly lengths: Uint32Array
  readonly stepIndexes: Float64Array
  readonly sums: BigInt64Array
  readonly counts: Float64Array
}

export function packSeries(series: readonly TimeSeries[]): SeriesColumns {
  const lengths = Uint32Array.from(series, ({ stepIndexes }) => stepIndexes.length)
  const count = lengths.reduce((sum, length) => sum + length, 0)
  const columns = {
    labels: series.map(({ labels }) => labels),
    lengths,
    stepIndexes: new Float64Array(count),
    sums: new BigInt64Array(count),
    counts: new Float64Array(count),
  }
  let at = 0
  for (const { stepIndexes, sums, counts } of series) {
    for (let i = 0; i < stepIndexes.length; i++, at++) {
      columns.stepIndexes[at] = stepIndexes[i]!
      columns.sums[at] = sums[i]!
      columns.counts[at] = counts[i]!
    }
  }
  return columns
}

export function unpackSeries({ labels, lengths, stepIndexes, sums, counts }: SeriesColumns): TimeSeries[] {
  let end = 0
  return labels.map((each, s) => {
    const start = end
    end += lengths[s]!
    return {
      labels: each,
      stepIndexes: Array.from(stepIndexes.subarray(start, end)),
      sums: Array.from(sums.subarray(start, end)),
      counts: Array.from(counts.subarray(start, end)),
    }
  })
}

export function seriesBytes({ stepIndexes, sums, counts }: SeriesColumns): number {
  return stepIndexes.byteLength + sums.byteLength + counts.byteLength
}

export function seriesBuffers({ lengths, stepIndexes, sums, counts }: SeriesColumns): ArrayBuffer[] {
  return [lengths, stepIndexes, sums, counts].map(({ buffer }) => buffer as ArrayBuffer)
}
