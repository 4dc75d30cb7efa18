/**
 * Which bytes of an object a read of one dataset needs beyond its head, and the container of what was fetched. Pure.
 *
 * 1. Sections by the need for symbols; column chunks by the frames that hold a selected header and by type.
 * 2. Coalesced; if what is left is more than one range but close together, one range over all.
 * With the head that makes one or two requests a dataset, unless the bytes lie more than a request apart.
 */
import { type ByteRange, COALESCE_LIMITS, coalesceRanges } from './coalesce.ts'
import type { DatasetHead } from './dataset-head.ts'
import { corrupt, type SectionName } from './format.ts'
import type { Frame } from './frame-index.ts'
import { neededColumns } from './frames.ts'
import { findSection } from './section-table.ts'
import type { ColumnRef } from './selection.ts'

export interface ReadNeed {
  /** `functions`: what a flame graph needs; `all`: what a pprof needs; `held`: the reader has them. */
  readonly symbols: 'none' | 'held' | 'functions' | 'all'
  /** Header positions, ascending; empty if no samples are wanted. */
  readonly headers: Uint32Array
  /** Types whose values are wanted. */
  readonly columns: readonly ColumnRef[]
  readonly spans?: boolean
  readonly profileIds?: boolean
  /** Rollups to read instead of samples, ascending. */
  readonly rollups?: readonly number[]
  /** The total of the dataset by function node. */
  readonly functionTotals?: boolean
}

const FUNCTION_LEVEL: readonly SectionName[] = ['stacks', 'functionLevel', 'strings']
const ALL_SYMBOLS: readonly SectionName[] = [
  'mappings',
  'locations',
  'functions',
  'locationLines',
  'tree',
  'stacks',
  'strings',
]

function symbolSections(head: DatasetHead, need: ReadNeed['symbols']): readonly SectionName[] {
  if (need === 'none' || need === 'held') return []
  // Without a stored function level it is computed from everything: a location without lines is named by its address.
  const stored = need === 'functions' && findSection(head.table, 'functionLevel') !== undefined
  return stored ? FUNCTION_LEVEL : ALL_SYMBOLS
}

/** Frames that hold any of the positions, ascending. */
export function selectFrames(head: DatasetHead, positions: Uint32Array): Frame[] {
  return framesWith(head.frames, positions)
}

/** Frames that hold any of the rollups, ascending. */
export function selectRollupFrames(head: DatasetHead, rollups: ArrayLike<number>): Frame[] {
  return head.rollups === undefined ? [] : framesWith(head.rollups.frames, rollups)
}

function framesWith(frames: readonly Frame[], positions: ArrayLike<number>): Frame[] {
  const selected: Frame[] = []
  let at = 0
  for (const frame of frames) {
    const end = frame.firstHeader + frame.headerCount
    while (at < positions.length && positions[at]! < frame.firstHeader) at++
    if (at < positions.length && positions[at]! < end) selected.push(frame)
  }
  return selected
}

/** 1 MiB: about what a store sends in the time of one request, so that one range beats two. */
const SPAN_WASTE_BYTES_MAX = 1024 * 1024

/** Ranges of the object that the need takes beyond the head. Usually one; more where the bytes lie far apart. */
export function planDatasetRead(head: DatasetHead, need: ReadNeed): ByteRange[] {
  const base = head.descriptor.offset
  const ranges: ByteRange[] = []
  const addSection = (name: SectionName): void => {
    const { offset, storedBytes } = head.section(name)
    ranges.push({ offset: base + offset, lengthBytes: storedBytes })
  }
  for (const name of symbolSections(head, need.symbols)) addSection(name)
  if (need.profileIds === true) addSection('profileIds')
  if (need.functionTotals === true) addSection('functionTotals')
  const addFrames = (section: SectionName, frames: readonly Frame[], spans: boolean): void => {
    if (frames.length === 0) return
    const framesOffset = base + head.section(section).offset
    for (const frame of frames) {
      const types = need.columns.filter(({ group }) => group === frame.group).map(({ type }) => type)
      for (const column of neededColumns(frame, head.groups[frame.group]!, { types, spans })) {
        const chunk = frame.columns[column]!
        ranges.push({ offset: framesOffset + chunk.offset, lengthBytes: chunk.storedBytes })
      }
    }
  }
  if (need.headers.length > 0 && need.symbols === 'none') addSection('stacks')
  addFrames('rollups', selectRollupFrames(head, need.rollups ?? []), false)
  addFrames('frames', selectFrames(head, need.headers), need.spans === true)
  return joinSpan(coalesceRanges(ranges))
}

/** One range over all, if that wastes little and stays within a request; else the ranges as they are. */
export function joinSpan(ranges: ByteRange[]): ByteRange[] {
  if (ranges.length < 2) return ranges
  const offset = ranges[0]!.offset
  const last = ranges.at(-1)!
  const lengthBytes = last.offset + last.lengthBytes - offset
  const waste = lengthBytes - ranges.reduce((sum, range) => sum + range.lengthBytes, 0)
  const joins = lengthBytes <= COALESCE_LIMITS.requestBytesMax && waste <= SPAN_WASTE_BYTES_MAX
  return joins ? [{ offset, lengthBytes }] : ranges
}

/** Bytes that were read, by their offset in the object. Views borrow. */
export class FetchedRanges {
  readonly #parts: readonly { offset: number; bytes: Uint8Array }[]
  readonly #beforeView: (() => void) | undefined

  /** `beforeView` may throw: how a long merge is ended. */
  constructor(parts: readonly { offset: number; bytes: Uint8Array }[], beforeView?: () => void) {
    this.#parts = parts
    this.#beforeView = beforeView
  }

  view(offset: number, lengthBytes: number): Uint8Array {
    this.#beforeView?.()
    if (lengthBytes === 0) return new Uint8Array(0)
    for (const part of this.#parts) {
      const start = offset - part.offset
      if (start >= 0 && start + lengthBytes <= part.bytes.length) return part.bytes.subarray(start, start + lengthBytes)
    }
    throw corrupt('object', `bytes ${offset}..${offset + lengthBytes} are missing from what was read`)
  }
}
