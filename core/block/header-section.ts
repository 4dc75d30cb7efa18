/**
 * Profile headers as columns: group, series, time, duration, row length, totals by type. Ids have their own section
 * (16 bytes each, never compressed), because queries over time do not read them.
 *
 * Everything is a difference to the header before: headers are sorted, so most differences are 0 or one scrape interval.
 */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'
import { floorTo } from '../units.ts'
import { allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import type { ProfileHeaders, SampleGroup } from './dataset.ts'
import { findHeaderFault } from './order.ts'

export const PROFILE_ID_BYTES = 16

/** Headers without the ids. */
export type HeadHeaders = Omit<ProfileHeaders, 'profileId'>

/** Totals that headers have: type t exists where the header's group has more than t types. */
function headersWithType(
  groups: readonly SampleGroup[],
  headers: Pick<ProfileHeaders, 'count' | 'group'>,
  type: number,
): Uint32Array {
  const rows = new Uint32Array(headers.count)
  let count = 0
  for (let h = 0; h < headers.count; h++) if (groups[headers.group[h]!]!.types.length > type) rows[count++] = h
  return rows.subarray(0, count)
}

function typesMax(groups: readonly SampleGroup[]): number {
  return groups.reduce((max, group) => Math.max(max, group.types.length), 0)
}

export function encodeHeaders(headers: ProfileHeaders, groups: readonly SampleGroup[], out: ByteWriter): void {
  const count = headers.count
  out.varint(count)
  out.deltaColumn32(headers.group, count)
  out.deltaColumn32(headers.series, count)
  out.deltaColumn64(headers.timeNanos, count)
  out.deltaColumn64(headers.durationNanos, count)
  out.column32(headers.rowLength, count)
  for (let t = 0; t < typesMax(groups); t++) {
    const rows = headersWithType(groups, headers, t)
    const totals = allocateInt64Column(rows.length)
    rows.forEach((h, i) => {
      totals.lo[i] = headers.totals[t]!.lo[h]!
      totals.hi[i] = headers.totals[t]!.hi[h]!
    })
    out.column64(totals, rows.length)
  }
}

export function decodeHeaders(
  input: ByteReader,
  dataset: { groups: readonly SampleGroup[]; seriesCount: number },
): HeadHeaders {
  const count = input.count(5)
  const group = input.deltaColumn32(count)
  const series = input.deltaColumn32(count)
  const timeNanos = input.deltaColumn64(count)
  const durationNanos = input.deltaColumn64(count)
  const rowLength = input.column32(count)
  const rowStart = new Uint32Array(count)
  const headers = { count, group, series, timeNanos, durationNanos, rowLength, rowStart, totals: [] }
  const fault = findHeaderFault(headers, { groups: dataset.groups.length, series: dataset.seriesCount })
  if (fault !== undefined) input.fail(fault)
  const rowsOfGroup = new Float64Array(dataset.groups.length)
  for (let h = 0; h < count; h++) {
    const g = group[h]!
    rowStart[h] = rowsOfGroup[g]!
    rowsOfGroup[g] = rowsOfGroup[g]! + rowLength[h]!
    if (rowsOfGroup[g]! > 0xffffffff) input.fail(`group ${g} has more than 2^32 rows`)
  }
  const totals = decodeTotals(input, dataset.groups, headers)
  input.expectEnd()
  return { ...headers, totals }
}

function decodeTotals(
  input: ByteReader,
  groups: readonly SampleGroup[],
  headers: Pick<ProfileHeaders, 'count' | 'group'>,
): Int64Column[] {
  const totals: Int64Column[] = []
  for (let t = 0; t < typesMax(groups); t++) {
    const rows = headersWithType(groups, headers, t)
    const stored = input.column64(rows.length)
    const column = allocateInt64Column(headers.count)
    rows.forEach((h, i) => {
      column.lo[h] = stored.lo[i]!
      column.hi[h] = stored.hi[i]!
    })
    totals.push(column)
  }
  return totals
}

/** Floor of the first and last profile time: inclusive bounds. */
export function timeBounds(headers: Pick<ProfileHeaders, 'count' | 'timeNanos'>): {
  minTimeMs: number
  maxTimeMs: number
} {
  const { lo, hi } = headers.timeNanos
  let first = 0
  let last = 0
  for (let h = 1; h < headers.count; h++) {
    const high = hi[h]! | 0
    if (high < (hi[first]! | 0) || (high === (hi[first]! | 0) && lo[h]! < lo[first]!)) first = h
    if (high > (hi[last]! | 0) || (high === (hi[last]! | 0) && lo[h]! > lo[last]!)) last = h
  }
  return { minTimeMs: floorMs(hi[first]! | 0, lo[first]!), maxTimeMs: floorMs(hi[last]! | 0, lo[last]!) }
}

/** floor(nanos / 10^6), exact: long division by lanes. */
export function floorMs(hi: number, lo: number): number {
  const whole = floorTo(hi, 1_000_000) / 1_000_000
  const rest = hi - whole * 1_000_000
  // rest * 2^32 + lo < 10^6 * 2^32 < 2^52: exact.
  return whole * 4294967296 + Math.floor((rest * 4294967296 + lo) / 1_000_000)
}
