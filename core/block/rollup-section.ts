/**
 * Rollups as sections. The index lies in the head: which rollups there are and where their column chunks lie; the
 * chunks lie before those of the frames, written by the same column codec.
 *
 * 1. `planRollupFrames`: consecutive whole rollups of one group and hour are a frame of up to 64 Ki rows; a rollup over
 *    all series is a frame of its own, so that a query over all series reads nothing else.
 * 2. `encodeRollups`: all of them if they take at most a quarter of the bytes of the frames, else those over all series
 *    if these do, else none.
 * 3. `decodeRollupIndex` checks every reference and the order, so that a crafted index costs an error and no memory.
 */
import type { CinderError } from '../errors.ts'
import type { Codec } from '../ports/codec.ts'
import type { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { corrupt, datasetSubject, FRAME_ROWS_TARGET, HEADER_ROWS_MAX } from './format.ts'
import type { Dataset, SampleGroup } from './dataset.ts'
import { decodeFrameIndex, encodeFrameIndex, type Frame } from './frame-index.ts'
import { type EncodedFrames, encodeFrames, type FramePlan, type FrameTools } from './frames.ts'
import { ALL_SERIES, filterRollups, findRollupFault, type RollupIndex, type Rollups } from './rollup.ts'
import { buildRollups } from './rollup-build.ts'

/** 1/4 of the bytes of the frames: what an hour answered twenty times faster may cost, and never more. */
export const ROLLUP_BYTES_FRACTION = 1 / 4

export function planRollupFrames(index: RollupIndex): FramePlan[] {
  const plans: FramePlan[] = []
  let first = 0
  let rowCount = 0
  const close = (end: number): void => {
    if (end > first) {
      const place = { group: index.group[first]!, rowStart: index.rowStart[first]!, rowCount }
      plans.push({ ...place, firstHeader: first, headerCount: end - first })
    }
    first = end
    rowCount = 0
  }
  for (let r = 0; r < index.count; r++) {
    const otherHour = index.group[r] !== index.group[first] || index.hour[r] !== index.hour[first]
    const ownFrame = index.scope[r] === ALL_SERIES || index.scope[first] === ALL_SERIES
    if (otherHour || ownFrame || rowCount + index.rowLength[r]! > FRAME_ROWS_TARGET) close(r)
    rowCount += index.rowLength[r]!
  }
  close(index.count)
  return plans
}

export interface EncodedRollups {
  readonly index: Uint8Array
  readonly frames: EncodedFrames
}

/** Undefined where they would not pay. Fails with `data_loss` if they do not add up to the headers. */
export function encodeRollups(dataset: Dataset, codec: Codec, allowedBytes: number): EncodedRollups | undefined {
  if (allowedBytes === 0) return undefined
  return packRollups(dataset, buildRollups(dataset), { codec, allowedBytes })
}

/** The same from rollups that are built already. */
export function packRollups(
  dataset: Pick<Dataset, 'tenant' | 'service' | 'headers' | 'groups'>,
  all: Rollups,
  tools: FrameTools & { readonly allowedBytes: number },
): EncodedRollups | undefined {
  const { allowedBytes } = tools
  const fault = findRollupFault(dataset, { index: all, valuesOf: (group, type) => all.rows[group]!.values[type]! })
  if (fault !== undefined) throw rollupFault(dataset, fault)
  const encoded = encodeSections(all, dataset.groups, tools)
  if (fits(encoded, allowedBytes)) return encoded
  const wide = filterRollups(all, (rollup) => all.scope[rollup] === ALL_SERIES)
  const smaller = encodeSections(wide, dataset.groups, tools)
  return fits(smaller, allowedBytes) ? smaller : undefined
}

function rollupFault(dataset: Pick<Dataset, 'tenant' | 'service'>, fault: string): CinderError {
  return corrupt(`${datasetSubject({ ...dataset, index: 0 })}: rollups`, fault)
}

function fits({ index, frames }: EncodedRollups, allowedBytes: number): boolean {
  return frames.sizeBytes > 0 && index.length + frames.sizeBytes <= allowedBytes
}

function encodeSections(rollups: Rollups, groups: readonly SampleGroup[], tools: FrameTools): EncodedRollups {
  const content = { groups, rows: rollups.rows, headers: rollups }
  const frames = encodeFrames(content, tools, planRollupFrames(rollups))
  const out = new ByteWriter()
  encodeRollupIndex(rollups, out)
  encodeFrameIndex(frames.frames, groups, out)
  return { index: out.copy(), frames }
}

function encodeRollupIndex(index: RollupIndex, out: ByteWriter): void {
  const { count } = index
  out.varint(count)
  out.deltaColumn32(index.group, count)
  out.deltaColumn32(new Uint32Array(index.hour.buffer, index.hour.byteOffset, count), count)
  out.deltaColumn32(index.scope, count)
  out.column32(index.profiles, count)
  out.column32(index.rowLength, count)
}

export interface StoredRollups extends RollupIndex {
  readonly frames: readonly Frame[]
}

export function decodeRollupIndex(
  input: ByteReader,
  dataset: { readonly groups: readonly SampleGroup[]; readonly seriesCount: number; readonly rollupsBytes: number },
): StoredRollups {
  const { groups, seriesCount, rollupsBytes } = dataset
  const count = input.count(5)
  const group = input.deltaColumn32(count)
  const hour = new Int32Array(input.deltaColumn32(count).buffer)
  const scope = input.deltaColumn32(count)
  const profiles = input.column32(count)
  const rowLength = input.column32(count)
  const rowStart = new Uint32Array(count)
  const next = new Float64Array(groups.length)
  for (let r = 0; r < count; r++) {
    const g = group[r]!
    if (g >= groups.length) input.fail(`rollup ${r} names group ${g} of ${groups.length}`)
    if (scope[r]! > seriesCount) input.fail(`rollup ${r} names series ${scope[r]! - 1} of ${seriesCount}`)
    if (rowLength[r]! > HEADER_ROWS_MAX) input.fail(`rollup ${r} has ${rowLength[r]} rows, at most ${HEADER_ROWS_MAX}`)
    if (r > 0 && compareEntries({ group, hour, scope }, r - 1, r) >= 0) input.fail(`rollup ${r} is not above ${r - 1}`)
    rowStart[r] = next[g]!
    next[g] = next[g]! + rowLength[r]!
    if (next[g]! > 0xffffffff) input.fail(`group ${g} has more than 2^32 rows`)
  }
  const headers = { count, group, rowStart, rowLength }
  const frames = decodeFrameIndex(input, { groups, headers, framesBytes: rollupsBytes })
  return { ...headers, hour, scope, profiles, frames }
}

function compareEntries(index: Pick<RollupIndex, 'group' | 'hour' | 'scope'>, a: number, b: number): number {
  if (index.group[a] !== index.group[b]) return index.group[a]! - index.group[b]!
  if (index.hour[a] !== index.hour[b]) return index.hour[a]! - index.hour[b]!
  return index.scope[a]! - index.scope[b]!
}
