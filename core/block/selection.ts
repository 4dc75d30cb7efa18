/**
 * Which profile headers a query wants, from the head alone: by group and type, series, time, and skip list.
 *
 * A (series, type) whose total is zero in a profile is not there. Times are compared exactly, in lanes. Positions come
 * back ascending, which is also the order of the rows.
 */
import type { SampleGroup } from './dataset.ts'
import type { HeadHeaders } from './header-section.ts'

/** One type of one group. */
export interface ColumnRef {
  readonly group: number
  readonly type: number
}

export interface HeaderQuery {
  /** Headers of other groups, or whose totals of these types are all zero, are left out. */
  readonly columns: readonly ColumnRef[]
  /** Asked once per series. */
  seriesMatches(series: number): boolean
  /** Inclusive. */
  readonly startMs: number
  readonly endMs: number
  /** Header positions that lost against an earlier profile with the same id, ascending. */
  readonly skip: readonly number[]
}

/** Columns of a profile type: every (group, type) that the predicate takes. */
export function findColumns(
  groups: readonly SampleGroup[],
  matches: (group: SampleGroup, type: number) => boolean,
): ColumnRef[] {
  return groups.flatMap((group, g) =>
    group.types.flatMap((_, type) => (matches(group, type) ? [{ group: g, type }] : [])),
  )
}

export function selectHeaders(
  head: { readonly headers: HeadHeaders; readonly groups: readonly SampleGroup[]; readonly seriesCount: number },
  query: HeaderQuery,
): Uint32Array {
  const { headers } = head
  const typesOfGroup = head.groups.map((_, g) => query.columns.filter((c) => c.group === g).map((c) => c.type))
  const seriesMask = new Uint8Array(head.seriesCount)
  for (let s = 0; s < seriesMask.length; s++) seriesMask[s] = query.seriesMatches(s) ? 1 : 0
  const from = toLanes(query.startMs)
  const until = toLanes(query.endMs)
  const positions = new Uint32Array(headers.count)
  let count = 0
  let skipAt = 0
  for (let h = 0; h < headers.count; h++) {
    while (skipAt < query.skip.length && query.skip[skipAt]! < h) skipAt++
    if (query.skip[skipAt] === h || seriesMask[headers.series[h]!] === 0) continue
    const hi = headers.timeNanos.hi[h]! | 0
    const lo = headers.timeNanos.lo[h]!
    if (hi < from.hi || (hi === from.hi && lo < from.lo)) continue
    if (hi > until.hi || (hi === until.hi && lo > until.lo)) continue
    for (const type of typesOfGroup[headers.group[h]!]!) {
      const totals = headers.totals[type]!
      if ((totals.lo[h]! | totals.hi[h]!) === 0) continue
      positions[count++] = h
      break
    }
  }
  return positions.slice(0, count)
}

/** Nanoseconds as lanes; instants past what int64 holds are its ends. */
function toLanes(timeMs: number): { hi: number; lo: number } {
  const limitMs = 9_223_372_036_854
  const clampedMs = Math.trunc(Math.min(limitMs, Math.max(-limitMs, timeMs)))
  const nanos = BigInt(clampedMs) * 1_000_000n
  return { hi: Number(BigInt.asIntN(32, nanos >> 32n)), lo: Number(nanos & 0xffffffffn) }
}
