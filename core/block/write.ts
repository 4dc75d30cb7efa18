/**
 * Writes datasets and objects of block format version 1 (`core/docs/formats/block.md`).
 *
 * 1. `encodeDataset`: order asserted, frames encoded, sections packed, table in front. Symbols, rollups and frames last,
 *    so that what a flame graph needs is one run of bytes after the head. With a function level come rollups, if they pay.
 *    `encodeRegion` is its second half, for rows that were encoded frame by frame.
 * 2. `encodeObject`: header, regions without gaps, footer, trailer; `ObjectEncoder` gives them out as they come.
 */
import { assert } from '../assert.ts'
import type { Codec } from '../ports/codec.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import type { FunctionLevel } from '../symbols/function-level.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { conservationSums, stackHashes } from './conservation.ts'
import type { ConservationSum, Dataset } from './dataset.ts'
import { encodeFooter, encodeHeader, type ObjectSource } from './footer.ts'
import { HEADER_BYTES, SECTION_CODEC, SECTION_KIND, type SectionName } from './format.ts'
import { encodeFrameIndex } from './frame-index.ts'
import { buildFunctionTotals, functionTotalsBytesMax } from './function-totals-build.ts'
import { type EncodedFrames, encodeFrames, planFrames } from './frames.ts'
import { encodeHeaders, PROFILE_ID_BYTES, timeBounds } from './header-section.ts'
import { encodeGroups, encodeSeries } from './label-sections.ts'
import { findOrderFault } from './order.ts'
import { type EncodedRollups, encodeRollups, ROLLUP_BYTES_FRACTION } from './rollup-section.ts'
import { encodeTable, packSection, type EncodedSection } from './section-table.ts'
import { encodeStackKeys } from './stack-keys.ts'
import { encodeSums } from './sum-section.ts'
import {
  encodeFunctionLevel,
  encodeFunctions,
  encodeLines,
  encodeLocations,
  encodeMappings,
  encodeStacks,
  encodeStrings,
  encodeTree,
} from './symbol-sections.ts'

export type { FunctionLevel } from '../symbols/function-level.ts'
export type { ObjectSource } from './footer.ts'
export { floorMs } from './header-section.ts'

const NOTHING = new Uint8Array(0)

/** 1/32 of a segment: a service of many stacks and few samples of each does without keys, and its merges with the gain. */
const STACK_KEYS_FRACTION = 1 / 32

export interface EncodedDataset {
  readonly tenant: string
  readonly service: string
  /** The region. */
  readonly bytes: Uint8Array
  readonly headBytes: number
  readonly minTimeMs: number
  readonly maxTimeMs: number
  readonly profileCount: number
  /** Rows: (profile, stack, span, trace), however many types they have. */
  readonly sampleCount: number
}

export interface EncodeDatasetOptions {
  readonly codec: Codec
  readonly functionLevel?: FunctionLevel | undefined
  /** Bytes of rollups per byte of frames, at most; 0: none are written. Absent: `ROLLUP_BYTES_FRACTION`. */
  readonly rollupBytesFraction?: number
  /** Bytes of the total per function node per byte of frames, at most. Absent: none is written. */
  readonly functionTotalsFraction?: number
  /** Bytes of stack keys per byte of symbols and frames, at most. Absent: `STACK_KEYS_FRACTION`. */
  readonly stackKeysFraction?: number
  /** Computed if absent. */
  readonly sums?: readonly ConservationSum[] | undefined
}

export function encodeDataset(dataset: Dataset, options: EncodeDatasetOptions): EncodedDataset {
  const { headers } = dataset
  assert(headers.count > 0, 'a dataset has at least one profile')
  assert(headers.profileId.length === headers.count * PROFILE_ID_BYTES, 'one profile id a header')
  const fault = findOrderFault(dataset)
  assert(fault === undefined, `dataset out of order: ${fault}`)
  const sums = options.sums ?? conservationSums(dataset, stackHashes(dataset.symbols))
  const { codec, functionLevel } = options
  const frames = encodeFrames(dataset, { codec }, planFrames(headers))
  const allowedBytes = frames.sizeBytes * (options.rollupBytesFraction ?? ROLLUP_BYTES_FRACTION)
  const rollups = functionLevel === undefined ? undefined : encodeRollups(dataset, codec, allowedBytes)
  const { stackKeysFraction, functionTotalsFraction = 0 } = options
  const allowance = { fraction: functionTotalsFraction, hasRollups: rollups !== undefined }
  const totalsBytes = functionTotalsBytesMax(frames.sizeBytes, allowance)
  const functionTotals = buildFunctionTotals({ ...dataset, functionLevel }, totalsBytes)
  const region = { ...dataset, functionLevel, sums, frames, rollups, functionTotals, stackKeysFraction }
  return encodeRegion(region, codec)
}

/** A dataset whose rows are encoded already. Its order is the caller's to check (order.ts). */
export interface RegionContent extends Omit<Dataset, 'rows' | 'windowStartMs' | 'windowMs'> {
  readonly functionLevel: FunctionLevel | undefined
  readonly sums: readonly ConservationSum[]
  readonly frames: EncodedFrames
  readonly rollups: EncodedRollups | undefined
  /** The section, if it pays. */
  readonly functionTotals?: Uint8Array | undefined
  /** `packSymbols` of the symbols and the function level, if the caller has them. */
  readonly symbolSections?: readonly EncodedSection[]
  readonly stackKeysFraction?: number | undefined
}

export function encodeRegion(content: RegionContent, codec: Codec): EncodedDataset {
  const { headers, groups, frames, rollups } = content
  const pack = packer(codec)
  const head = [
    pack('series', (out) => encodeSeries(content.series, out)),
    pack('groups', (out) => encodeGroups(groups, out)),
    pack('headers', (out) => encodeHeaders(headers, groups, out)),
    pack('sums', (out) => encodeSums(content.sums, out)),
    pack('frameIndex', (out) => encodeFrameIndex(frames.frames, groups, out)),
  ]
  if (rollups !== undefined) head.push(packSection('rollupIndex', rollups.index, codec))
  const symbols = content.symbolSections ?? packSymbols(content.symbols, content.functionLevel, codec)
  const body = [rawSection('profileIds', headers.profileId)]
  const { stackKeys } = content
  if (stackKeys !== undefined) {
    assert(stackKeys.numbers.length === content.symbols.stackCount, 'one key a stack')
    const keys = pack('stackKeys', (out) => encodeStackKeys(stackKeys, out))
    const otherBytes = symbols.reduce((sum, { stored }) => sum + stored.length, frames.sizeBytes)
    if (keys.stored.length <= otherBytes * (content.stackKeysFraction ?? STACK_KEYS_FRACTION)) body.push(keys)
  }
  body.push(...symbols)
  if (content.functionTotals !== undefined) body.push(packSection('functionTotals', content.functionTotals, codec))
  if (rollups !== undefined) body.push(chunkedSection('rollups', rollups.frames))
  body.push(chunkedSection('frames', frames))
  const table = encodeTable([...head, ...body], head.length, content)
  const bytes = concat([table, ...[...head, ...body].flatMap(({ stored, chunks }) => chunks ?? [stored])])
  return {
    tenant: content.tenant,
    service: content.service,
    bytes,
    headBytes: head.reduce((sum, { stored }) => sum + stored.length, table.length),
    ...timeBounds(headers),
    profileCount: headers.count,
    sampleCount: frames.frames.reduce((sum, { rowCount }) => sum + rowCount, 0),
  }
}

function chunkedSection(name: 'frames' | 'rollups', { chunks, sizeBytes }: EncodedFrames): EncodedSection {
  const place = { kind: SECTION_KIND[name], required: name === 'frames', codec: SECTION_CODEC.chunked }
  return { ...place, rawBytes: sizeBytes, stored: NOTHING, chunks }
}

function packer(codec: Codec): (name: SectionName, write: (out: ByteWriter) => void) => EncodedSection {
  return (name, write) => {
    const out = new ByteWriter(1024)
    write(out)
    return packSection(name, out.view(), codec)
  }
}

function rawSection(name: SectionName, stored: Uint8Array): EncodedSection {
  return { kind: SECTION_KIND[name], required: true, codec: SECTION_CODEC.raw, rawBytes: stored.length, stored }
}

/** What only a pprof needs first; then what flame graphs need, next to the frames. */
export function packSymbols(
  symbols: Symbols,
  functionLevel: FunctionLevel | undefined,
  codec: Codec,
): EncodedSection[] {
  const pack = packer(codec)
  const sections = [
    pack('mappings', (out) => encodeMappings(symbols, out)),
    pack('locations', (out) => encodeLocations(symbols, out)),
    pack('functions', (out) => encodeFunctions(symbols, out)),
    pack('locationLines', (out) => encodeLines(symbols, out)),
    pack('tree', (out) => encodeTree(symbols, out)),
    pack('stacks', (out) => encodeStacks(symbols, out)),
  ]
  if (functionLevel !== undefined) {
    assert(functionLevel.nodeToFunctionNode.length === symbols.nodeCount, 'one function node a line-level node')
    sections.push(pack('functionLevel', (out) => encodeFunctionLevel(functionLevel, out)))
  }
  sections.push(pack('strings', (out) => encodeStrings(symbols, out)))
  return sections
}

export interface ObjectDataset {
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly windowMs: number
  readonly encoded: EncodedDataset
  /** Samples of the sources that were added to others; not stored, for the commit alone. */
  readonly joinedSamples?: number | undefined
}

export interface ObjectContent {
  readonly objectId: string
  readonly level: number
  readonly createdMs: number
  /** What a compaction read; empty for a segment. */
  readonly sources: readonly ObjectSource[]
  /** The compaction job and its fencing token; absent for a segment. */
  readonly job?: { readonly jobId: string; readonly epoch: number }
  /** In the order of `compareObjectDatasets`. */
  readonly datasets: readonly ObjectDataset[]
}

/** Order of datasets in an object: tenant, service (UTF-16 code units), window. */
export function compareObjectDatasets(
  a: Pick<ObjectDataset, 'tenant' | 'service' | 'windowStartMs'>,
  b: Pick<ObjectDataset, 'tenant' | 'service' | 'windowStartMs'>,
): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}

/** The parts of an object in their order: header, regions as they come, footer. */
export class ObjectEncoder {
  readonly #content: Omit<ObjectContent, 'datasets'>
  readonly #descriptors: DatasetDescriptor[] = []
  #last: ObjectDataset | undefined
  #offset = HEADER_BYTES

  constructor(content: Omit<ObjectContent, 'datasets'>) {
    this.#content = content
  }

  get header(): Uint8Array {
    return encodeHeader()
  }

  /** Says where the region lies that the caller writes next. */
  add(dataset: ObjectDataset): DatasetDescriptor {
    const { tenant, service, windowStartMs, windowMs, encoded } = dataset
    if (this.#last !== undefined)
      assert(compareObjectDatasets(this.#last, dataset) <= 0, 'datasets by tenant, service, window')
    assert(encoded.tenant === tenant, 'a region keeps its tenant')
    assert(encoded.service === service, 'a region keeps its service')
    const { headBytes, minTimeMs, maxTimeMs, profileCount, sampleCount, bytes } = encoded
    const place = { tenant, service, windowStartMs, windowMs, offset: this.#offset, sizeBytes: bytes.length, headBytes }
    const index = this.#descriptors.length
    const descriptor = { index, ...place, minTimeMs, maxTimeMs, profileCount, sampleCount }
    this.#descriptors.push(descriptor)
    // Its bytes are the caller's: nothing of them is kept here.
    this.#last = { ...dataset, encoded: { ...encoded, bytes: NOTHING } }
    this.#offset += bytes.length
    return descriptor
  }

  finish(): Uint8Array {
    const { objectId, level, createdMs, job, sources } = this.#content
    return encodeFooter({
      objectId,
      level,
      createdMs,
      jobId: job?.jobId ?? '',
      epoch: job?.epoch ?? 0,
      sources,
      datasets: this.#descriptors,
    })
  }
}

export function encodeObject(content: ObjectContent): { bytes: Uint8Array; descriptors: DatasetDescriptor[] } {
  const encoder = new ObjectEncoder(content)
  const descriptors = content.datasets.map((dataset) => encoder.add(dataset))
  const regions = content.datasets.map(({ encoded }) => encoded.bytes)
  return { bytes: concat([encoder.header, ...regions, encoder.finish()]), descriptors }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
