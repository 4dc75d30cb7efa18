/**
 * The order invariant of a dataset, checked by the writer before it writes and by the reader after it has read all.
 * Headers ascend by (group, series, time, id); the rows of a group's headers follow each other without a gap; rows of a
 * header ascend by (stack id, span, trace), no two equal. Returns the first fault in words, or undefined.
 */
import type { Dataset, GroupRows, ProfileHeaders } from './dataset.ts'
import type { Int64Column } from '../wire/int64.ts'
import { HEADER_ROWS_MAX } from './format.ts'

type HeaderOrder = Omit<ProfileHeaders, 'profileId'> & { readonly profileId?: Uint8Array }

export function findOrderFault(dataset: Pick<Dataset, 'headers' | 'rows' | 'groups' | 'series'>): string | undefined {
  const limits = { groups: dataset.groups.length, series: dataset.series.length }
  const fault = findHeaderFault(dataset.headers, limits)
  if (fault !== undefined) return fault
  const headers = dataset.headers
  const rowsSeen = dataset.groups.map(() => 0)
  for (let h = 0; h < headers.count; h++) {
    const group = headers.group[h]!
    if (headers.rowStart[h] !== rowsSeen[group])
      return `rows of header ${h} start at ${headers.rowStart[h]}, not ${rowsSeen[group]}`
    const end = rowsSeen[group]! + headers.rowLength[h]!
    if (end > dataset.rows[group]!.rowCount) return `rows of header ${h} end past group ${group}`
    const row = findRowFault(dataset.rows[group]!, rowsSeen[group]!, end)
    if (row >= 0) return `row ${row} of group ${group} is not above the row before it`
    rowsSeen[group] = end
  }
  for (let g = 0; g < dataset.groups.length; g++)
    if (rowsSeen[g] !== dataset.rows[g]!.rowCount)
      return `group ${g} has ${dataset.rows[g]!.rowCount} rows, its headers ${rowsSeen[g]}`
  return undefined
}

/** Headers alone; ids are compared where they are known. */
export function findHeaderFault(headers: HeaderOrder, limits: { groups: number; series: number }): string | undefined {
  for (let h = 0; h < headers.count; h++) {
    if (headers.group[h]! >= limits.groups) return `header ${h} names group ${headers.group[h]} of ${limits.groups}`
    if (headers.series[h]! >= limits.series) return `header ${h} names series ${headers.series[h]} of ${limits.series}`
    if (headers.rowLength[h]! > HEADER_ROWS_MAX)
      return `header ${h} has ${headers.rowLength[h]} rows, at most ${HEADER_ROWS_MAX}`
    if (h > 0 && compareHeaders(headers, h - 1, h) > 0) return `header ${h} sorts before header ${h - 1}`
  }
  return undefined
}

function compareHeaders(headers: HeaderOrder, a: number, b: number): number {
  if (headers.group[a] !== headers.group[b]) return headers.group[a]! - headers.group[b]!
  if (headers.series[a] !== headers.series[b]) return headers.series[a]! - headers.series[b]!
  const time = compareSigned(headers.timeNanos, a, b)
  if (time !== 0 || headers.profileId === undefined) return time
  for (let i = 0; i < 16; i++) {
    const difference = headers.profileId[a * 16 + i]! - headers.profileId[b * 16 + i]!
    if (difference !== 0) return difference
  }
  return 0
}

function compareSigned(column: Int64Column, a: number, b: number): number {
  const high = (column.hi[a]! | 0) - (column.hi[b]! | 0)
  return high !== 0 ? high : column.lo[a]! - column.lo[b]!
}

function compareUnsigned(column: Int64Column | undefined, a: number, b: number): number {
  if (column === undefined) return 0
  return column.hi[a] !== column.hi[b] ? column.hi[a]! - column.hi[b]! : column.lo[a]! - column.lo[b]!
}

/** First row of [start, end), the rows of one header, that is not above the row before it, or -1. */
export function findRowFault(rows: GroupRows, start: number, end: number): number {
  const stackId = rows.stackId
  for (let i = start + 1; i < end; i++) {
    if (stackId[i - 1]! < stackId[i]!) continue
    if (stackId[i - 1]! > stackId[i]!) return i
    const order =
      compareUnsigned(rows.spanId, i - 1, i) ||
      compareUnsigned(rows.traceIdHigh, i - 1, i) ||
      compareUnsigned(rows.traceIdLow, i - 1, i)
    if (order >= 0) return i
  }
  return -1
}
