/** Rollups for tests: the stored ones in readable form, the slow truth from rows, and datasets in which they pay. */
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeFunctionSymbols, decodeRollupColumns, type DatasetHead, type FetchedRanges } from '#core/block/read.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { ARBITRARY_GROUPS, makeDataset, makeLabels, WINDOW_START_NANOS } from './datasets.ts'

export interface PlainRollup {
  readonly group: number
  readonly hour: number
  /** 0 = all series, else series + 1. */
  readonly scope: number
  readonly profiles: number
  /** Stack id and a value per type. */
  readonly rows: readonly (readonly string[])[]
}

export function plainRollups(head: DatasetHead, fetched: FetchedRanges): PlainRollup[] {
  const stored = head.rollups
  if (stored === undefined) return []
  const symbols = decodeFunctionSymbols(head, fetched)
  const { stackCount } = symbols.kind === 'line-level' ? symbols.symbols : symbols.stacks
  return stored.frames.flatMap((frame) => {
    const types = head.groups[frame.group]!.types.map((_, type) => type)
    const { stackId, values } = decodeRollupColumns(head, fetched, { frame, types, stackCount })
    return Array.from({ length: frame.headerCount }, (_, i): PlainRollup => {
      const r = frame.firstHeader + i
      const start = stored.rowStart[r]! - frame.rowStart
      const rows = Array.from({ length: stored.rowLength[r]! }, (_row, k) => [
        String(stackId[start + k]),
        ...values.map((column) => String(getBigInt(column, start + k))),
      ])
      const [group, hour, scope] = [stored.group[r]!, stored.hour[r]!, stored.scope[r]!]
      return { group, hour, scope, profiles: stored.profiles[r]!, rows }
    })
  })
}

/** What a rollup of this scope must hold, from the rows. */
export function expectedRollup(dataset: Dataset, of: Pick<PlainRollup, 'group' | 'hour' | 'scope'>): PlainRollup {
  const { headers } = dataset
  const sums = new Map<number, bigint[]>()
  let profiles = 0
  for (let h = 0; h < headers.count; h++) {
    const nanos = getBigInt(headers.timeNanos, h)
    const hour = Number((nanos - (((nanos % HOUR_NANOS) + HOUR_NANOS) % HOUR_NANOS)) / HOUR_NANOS)
    const inScope = of.scope === 0 || headers.series[h] === of.scope - 1
    if (headers.group[h] !== of.group || hour !== of.hour || !inScope) continue
    profiles++
    const rows = dataset.rows[of.group]!
    for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++) {
      const known = sums.get(rows.stackId[row]!) ?? rows.values.map(() => 0n)
      sums.set(
        rows.stackId[row]!,
        known.map((sum, t) => BigInt.asIntN(64, sum + getBigInt(rows.values[t]!, row))),
      )
    }
  }
  const rows = [...sums]
    .filter(([, values]) => values.some((value) => value !== 0n))
    .sort(([a], [b]) => a - b)
    .map(([stack, values]) => [stack, ...values].map(String))
  return { ...of, profiles, rows }
}

const HOUR_NANOS = 3_600_000_000_000n

/** 24 to 48 profiles of three series and two groups over three hours, with few stacks: most hours have rollups. */
export function repetitiveDataset(): fc.Arbitrary<Dataset> {
  const groups = ARBITRARY_GROUPS.slice(0, 2)
  const stack = fc.constantFrom<string[]>([], ['main'], ['serve', 'main'], ['gc'], ['read', 'serve', 'main'])
  const value = fc.oneof(fc.constant(0n), fc.nat(20).map(BigInt), fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }))
  const profile = fc.constantFrom(0, 0, 0, 1).chain((group) =>
    fc.record({
      group: fc.constant(group),
      series: fc.constantFrom(0, 0, 0, 1, 1, 2),
      timeNanos: fc
        .tuple(
          fc.constantFrom(0, 1, 1, 2),
          fc.constantFrom(0n, 1n, 60_000_000_000n, 1_800_000_000_000n, HOUR_NANOS - 1n),
        )
        .map(([hour, offset]) => WINDOW_START_NANOS + BigInt(hour) * HOUR_NANOS + offset),
      id: fc.nat(),
      samples: fc.array(
        fc.record({
          stack,
          values: fc.array(value, { minLength: groups[group]!.types.length, maxLength: groups[group]!.types.length }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  )
  const series = [0, 1, 2].map((i) => makeLabels({ pod: `pod-${i}`, region: 'eu' }))
  return fc
    .array(profile, { minLength: 24, maxLength: 48 })
    .map((profiles) => makeDataset({ series, groups, profiles, windowMs: 6 * 3_600_000 }))
}
