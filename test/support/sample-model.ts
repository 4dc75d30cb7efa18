/**
 * What queries for samples must answer, by the slowest way: every row of every profile is looked at, its stack is a text,
 * and texts are summed in a Map. No table, tree, rollup or range is used.
 */
import type { MergeInput } from '#core/compaction/merge.ts'
import type { Labels } from '#core/labels/labels.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { decodeReference } from './reference-pprof.ts'
import { stringOf } from './symbols.ts'

export interface ModelQuery {
  /** Name of the sample type. */
  readonly type: string
  readonly startMs: number
  readonly endMs: number
  readonly matches?: (labels: Labels) => boolean
  readonly profileIds?: readonly string[]
  readonly spanIds?: readonly string[]
  readonly traceIds?: readonly string[]
  readonly callSite?: readonly string[]
}

export interface ModelAnswer {
  /** By the text of a stack with everything that a pprof says of its frames, leaf first. */
  readonly lines: Record<string, bigint>
  /** By function names, root first, joined by `;`. */
  readonly functions: Record<string, bigint>
}

export function modelAnswer(inputs: readonly MergeInput[], query: ModelQuery): ModelAnswer {
  const lines = new Map<string, bigint>()
  const functions = new Map<string, bigint>()
  const add = (map: Map<string, bigint>, key: string, value: bigint): void => {
    map.set(key, BigInt.asIntN(64, (map.get(key) ?? 0n) + value))
  }
  for (const input of inputs) {
    for (const { stack, value } of selectedRows(input, query)) {
      const names = namesOf(input.dataset.symbols, stack)
      if (stack === 0 || !(query.callSite ?? []).every((name, i) => names[i] === name)) continue
      add(lines, JSON.stringify(framesOf(input.dataset.symbols, stack)), value)
      add(functions, names.join(';'), value)
    }
  }
  return { lines: nonZero(lines), functions: nonZero(functions) }
}

function* selectedRows(
  { dataset, skip }: MergeInput,
  query: ModelQuery,
): Generator<{ readonly stack: number; readonly value: bigint }> {
  const { headers, symbols } = dataset
  for (let h = 0; h < headers.count; h++) {
    const group = headers.group[h]!
    const type = dataset.groups[group]!.types.findIndex((each) => each.type === query.type)
    const nanos = getBigInt(headers.timeNanos, h)
    if (type < 0 || skip.includes(h)) continue
    if (nanos < BigInt(query.startMs) * 1_000_000n || nanos > BigInt(query.endMs) * 1_000_000n) continue
    if (query.matches?.(dataset.series[headers.series[h]!]!) === false) continue
    // All parts of a pushed profile, which share 14 of 16 bytes, go by the id of any.
    const whole = query.profileIds?.map((id) => id.slice(0, 28))
    if (
      whole !== undefined &&
      whole.length > 0 &&
      !whole.includes(hex(headers.profileId.subarray(h * 16, h * 16 + 14)))
    )
      continue
    // A profile whose total of the type is zero is not there.
    if (getBigInt(headers.totals[type]!, h) === 0n) continue
    const rows = dataset.rows[group]!
    for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++) {
      const digits = (column: typeof rows.spanId): string =>
        BigInt.asUintN(64, column === undefined ? 0n : getBigInt(column, row))
          .toString(16)
          .padStart(16, '0')
      if (isLeftOut(query.spanIds, digits(rows.spanId))) continue
      if (isLeftOut(query.traceIds, digits(rows.traceIdHigh) + digits(rows.traceIdLow))) continue
      yield { stack: symbols.stackNode[rows.stackId[row]!]!, value: getBigInt(rows.values[type]!, row) }
    }
  }
}

function isLeftOut(wanted: readonly string[] | undefined, id: string): boolean {
  return wanted !== undefined && wanted.length > 0 && (!wanted.includes(id) || /^0+$/.test(id))
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function nonZero(sums: ReadonlyMap<string, bigint>): Record<string, bigint> {
  return Object.fromEntries([...sums].filter(([, sum]) => sum !== 0n).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function namesOf(symbols: Symbols, node: number): string[] {
  return framesOf(symbols, node)
    .flatMap(({ lines }) => lines.map(({ function: text }) => (JSON.parse(text) as string[])[0]!))
    .reverse()
}

const EMPTY_MAPPING = JSON.stringify(['0', '0', '0', '', '', false, false, false, false])

/** Leaf first, in the words of `decodeReference`. */
function framesOf(symbols: Symbols, leaf: number) {
  const frames: { mapping: string; address: string; folded: boolean; lines: { function: string; line: string }[] }[] =
    []
  for (let node = leaf; node !== 0; node = symbols.nodeParent[node]!) {
    const at = symbols.nodeLocation[node]!
    const lines: { function: string; line: string }[] = []
    for (let line = symbols.locationLineStart[at]!; line < symbols.locationLineStart[at + 1]!; line++) {
      const line64 = String(getBigInt(symbols.lineNumber, line))
      lines.push({ function: functionText(symbols, symbols.lineFunction[line]!), line: line64 })
    }
    frames.push({
      mapping: mappingText(symbols, symbols.locationMapping[at]! - 1),
      address: String(BigInt.asUintN(64, getBigInt(symbols.locationAddress, at))),
      folded: symbols.locationFolded[at] === 1,
      lines,
    })
  }
  return frames
}

function functionText(symbols: Symbols, row: number): string {
  const texts = [symbols.functionName, symbols.functionSystemName, symbols.functionFilename]
  return JSON.stringify([
    ...texts.map((column) => stringOf(symbols, column[row]!)),
    String(getBigInt(symbols.functionStartLine, row)),
  ])
}

function mappingText(symbols: Symbols, row: number): string {
  if (row < 0) return EMPTY_MAPPING
  const numbers = [symbols.mappingStart, symbols.mappingLimit, symbols.mappingOffset]
  return JSON.stringify([
    ...numbers.map((column) => String(BigInt.asUintN(64, getBigInt(column, row)))),
    ...[symbols.mappingFilename, symbols.mappingBuildId].map((column) => stringOf(symbols, column[row]!)),
    ...[0, 1, 2, 3].map((bit) => ((symbols.mappingFlags[row]! >>> bit) & 1) === 1),
  ])
}

/** The samples of a pprof in the words of the model. A stack that comes twice is a fault. */
export function pprofLines(pprof: Uint8Array): Record<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const { stack, values } of decodeReference(pprof).samples) {
    const frames = stack.map((location) => ({
      mapping: location!.mapping!,
      address: String(location!.address),
      folded: location!.folded,
      lines: location!.lines.map((line) => ({ function: line!.function, line: String(line!.line) })),
    }))
    const key = JSON.stringify(frames)
    if (sums.has(key)) throw new Error(`the stack ${key} comes twice`)
    sums.set(key, values[0]!)
  }
  return nonZero(sums)
}
