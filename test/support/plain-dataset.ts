/** Large datasets straight as columns: what builders of single samples would take seconds for. */
import type { Dataset } from '#core/block/dataset.ts'
import { buildLabels } from '#core/labels/labels.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { floorTo, MS_PER_HOUR } from '#core/units.ts'
import { internFrame } from './symbols.ts'

/** Stacks of 8 frames out of 4,000; those of another `from` are others. */
export function distinctStacks(count: number, from: number): Dataset['symbols'] {
  const builder = new SymbolsBuilder()
  const frames = Array.from({ length: 4_000 }, (_, i) => internFrame(builder, `pkg${i % 50}.function${i}`))
  const stack = new Uint32Array(8)
  for (let i = from; i < from + count; i++) {
    for (let depth = 0; depth < 8; depth++) stack[depth] = frames[Math.floor(i / 7 ** depth + depth * 31) % 4_000]!
    builder.stacks.internStack(stack, 0, 8)
  }
  return builder.build()
}

export interface PlainShape {
  /** Of the first profile; the others follow every 8 s. */
  readonly startMs: number
  readonly profiles: number
  readonly rows: number
  readonly symbols: Dataset['symbols']
  readonly random: (below: number) => number
}

/** One series; every profile has `rows` consecutive stacks. */
export function plainDataset({ startMs, profiles, rows, symbols, random }: PlainShape): Dataset {
  const count = profiles * rows
  const column = () => ({ lo: new Uint32Array(count), hi: new Uint32Array(count) })
  const headerColumn = () => ({ lo: new Uint32Array(profiles), hi: new Uint32Array(profiles) })
  const [stackId, value, time, total] = [new Uint32Array(count), column(), headerColumn(), headerColumn()]
  for (let p = 0; p < profiles; p++) {
    let sum = 0
    for (let i = 0; i < rows; i++) {
      stackId[p * rows + i] = ((p * rows) % symbols.stackCount) + i
      value.lo[p * rows + i] = random(2 ** 31)
      sum += value.lo[p * rows + i]!
    }
    const nanos = BigInt(startMs + p * 8_000) * 1_000_000n
    time.lo[p] = Number(nanos & 0xffffffffn)
    time.hi[p] = Number(nanos >> 32n)
    total.lo[p] = sum % 2 ** 32
    total.hi[p] = Math.floor(sum / 2 ** 32)
  }
  const none = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  return {
    tenant: 'anonymous',
    service: 'large',
    windowStartMs: floorTo(startMs, MS_PER_HOUR),
    windowMs: MS_PER_HOUR,
    symbols,
    series: [buildLabels([{ name: 'service_name', value: 'large' }])],
    groups: [{ types: [{ type: 'bytes', unit: 'bytes' }], periodType: '', periodUnit: '', period: 0n }],
    rows: [{ rowCount: count, stackId, values: [value], ...none }],
    headers: {
      count: profiles,
      profileId: Uint8Array.from({ length: profiles * 16 }, () => random(256)),
      group: new Uint32Array(profiles),
      series: new Uint32Array(profiles),
      timeNanos: time,
      durationNanos: headerColumn(),
      totals: [total],
      rowStart: Uint32Array.from({ length: profiles }, (_, p) => p * rows),
      rowLength: new Uint32Array(profiles).fill(rows),
    },
  }
}
