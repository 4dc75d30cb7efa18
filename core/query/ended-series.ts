/**
 * The end of the series of the only call as the bytes of a SelectSeriesResponse, from the rows where they lie: what
 * time-series.ts ranks and series-wire.ts writes, without an object, a bigint and two list entries a point (a day of 4,320
 * points took 0.45 ms to build, finish and encode).
 *
 * 1. Totals of series as doubles while those are exact, else as bigints; ranked by them, then by labels; the first `limit`.
 * 2. A sum is the nearest double of its int64: its upper half by 2^32 is exact, and adding the lower half rounds once.
 *
 * The bytes must be those of the long way.
 */
import { compareLabels, type Labels } from '../labels/labels.ts'
import type { SeriesEnd } from '../rpc/answer-ends.ts'
import { bigIntsAt } from '../wire/int64.ts'
import { ProtobufWriter, WIRE_LENGTH } from '../wire/protobuf.ts'
import { encodeLabels } from './label-wire.ts'
import { PointEncoder } from './series-wire.ts'
import type { SeriesRows } from './time-series.ts'

const TWO32 = 4294967296

interface RankedSeries {
  readonly labels: Labels
  readonly rows: readonly number[]
  readonly total: number | bigint
}

export function encodeEndedSeries(
  rows: SeriesRows,
  { range, aggregation, limit }: Pick<SeriesEnd, 'range' | 'aggregation' | 'limit'>,
): Uint8Array {
  const { steps, counts, sums } = rows
  const ranked = rankSeries(rows)
  const out = new ProtobufWriter(1 << 12)
  for (const { labels, rows: own } of limit > 0 ? ranked.slice(0, limit) : ranked) {
    const points = new PointEncoder(own.length)
    for (let i = 0; i < own.length; i++) {
      const row = own[i]!
      const sum = (sums.hi[row]! | 0) * TWO32 + sums.lo[row]!
      points.add(range.startMs + steps[row]! * range.stepMs, aggregation === 'sum' ? sum : sum / counts[row]!)
    }
    const [head, body] = [encodeLabels(labels), points.bytes()]
    out.tag(1, WIRE_LENGTH)
    out.varint(head.length + body.length)
    out.rawBytes(head)
    out.rawBytes(body)
  }
  return out.copyBytes()
}

function rankSeries(rows: SeriesRows): RankedSeries[] {
  const ranked: RankedSeries[] = []
  rows.labels.forEach((labels, series) => {
    const own = rows.rowsOf[series]!
    if (own.length > 0) ranked.push({ labels, rows: own, total: totalOf(rows, own) })
  })
  // A number and a bigint compare as what they are.
  return ranked.sort((a, b) => {
    if (a.total > b.total) return -1
    return a.total < b.total ? 1 : compareLabels(a.labels, b.labels)
  })
}

function totalOf({ sums }: SeriesRows, rows: readonly number[]): number | bigint {
  let total = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    const value = (sums.hi[row]! | 0) * TWO32 + sums.lo[row]!
    total += value
    if (!Number.isSafeInteger(value) || !Number.isSafeInteger(total)) {
      return bigIntsAt(sums, rows).reduce((sum, each) => sum + each, 0n)
    }
  }
  return total
}
