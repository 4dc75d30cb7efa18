/**
 * What a dataset says, whatever its numbering: one entry per profile and type, stacks as names. Two datasets with equal
 * contents answer every query alike.
 */
import type { Dataset } from '#core/block/dataset.ts'
import { labelsKey } from '#core/labels/labels.ts'
import { getBigInt, type Int64Column } from '#core/wire/int64.ts'
import { stackNames } from './symbols.ts'

export interface ProfileContent {
  readonly id: string
  readonly series: string
  readonly type: string
  readonly timeNanos: string
  readonly total: string
  /** `leaf < … < root span=… trace=…: value`, sorted. */
  readonly samples: readonly string[]
}

export function contentsOf(dataset: Dataset): ProfileContent[] {
  const contents: ProfileContent[] = []
  const { headers } = dataset
  const names = Array.from({ length: dataset.symbols.stackCount }, (_, i) => stackNames(dataset.symbols, i).join(' < '))
  for (let h = 0; h < headers.count; h++) {
    const group = headers.group[h]!
    const rows = dataset.rows[group]!
    const start = headers.rowStart[h]!
    const positions = Array.from({ length: headers.rowLength[h]! }, (_, k) => start + k)
    dataset.groups[group]!.types.forEach(({ type, unit }, t) => {
      contents.push({
        id: [...headers.profileId.subarray(h * 16, h * 16 + 16)]
          .map((byte) => byte.toString(16).padStart(2, '0'))
          .join(''),
        series: labelsKey(dataset.series[headers.series[h]!]!),
        type: `${type}:${unit}`,
        timeNanos: String(getBigInt(headers.timeNanos, h)),
        total: String(getBigInt(headers.totals[t]!, h)),
        samples: positions
          .map((row) => {
            const span = columnText(rows.spanId, row)
            const trace = `${columnText(rows.traceIdHigh, row)}/${columnText(rows.traceIdLow, row)}`
            return `${names[rows.stackId[row]!]} span=${span} trace=${trace}: ${getBigInt(rows.values[t]!, row)}`
          })
          .sort(),
      })
    })
  }
  return contents.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

function columnText(column: Int64Column | undefined, row: number): string {
  return column === undefined ? '0' : String(getBigInt(column, row))
}
