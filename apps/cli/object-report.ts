/**
 * What an object holds and whether it is whole. Pure: bytes in, report out, damage is listed and never thrown.
 *
 * 1. Header, then trailer and footer. Without a footer nothing else can be found.
 * 2. Per dataset the section table; per section its checksum and, for the frames, that of every chunk.
 * 3. Where all checksums hold, the dataset is decoded as a merge would, its conservation sums are computed from the
 *    rows and compared with the stored ones.
 */
import { compareSums, conservationSums, describeDifference, stackHashes } from '#core/block/conservation.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { SECTION_CODEC, sectionName } from '#core/block/format.ts'
import {
  checkHeader,
  type DatasetHead,
  decodeDataset,
  decodeFooter,
  decodeFunctionSymbols,
  FetchedRanges,
  footerRange,
  type ObjectFooter,
  openDataset,
} from '#core/block/read.ts'
import { findSection, openSection, type SectionEntry } from '#core/block/section-table.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { crc32c } from '#core/wire/crc32c.ts'

/** `unchecked`: what would have to be read first is damaged. */
export type Condition = 'ok' | 'damaged' | 'unchecked'

export interface SectionReport {
  readonly name: string
  readonly kind: number
  readonly isRequired: boolean
  readonly codec: string
  readonly storedBytes: number
  readonly rawBytes: number
  readonly checksum: Condition
  /** What the section counts: series, profiles, sample rows, strings, …; undefined if it could not be decoded. */
  readonly rows: number | undefined
}

export interface DatasetReport {
  readonly descriptor: DatasetDescriptor
  readonly bytesPerSample: number
  /** As `type:unit`, by sample group. */
  readonly types: readonly string[]
  readonly sections: readonly SectionReport[]
  readonly sums: { readonly condition: Condition; readonly count: number }
  readonly damage: readonly string[]
}

export interface ObjectReport {
  readonly sizeBytes: number
  readonly header: Condition
  readonly footer: Condition
  readonly footerBytes: number
  readonly content: Omit<ObjectFooter, 'datasets'> | undefined
  readonly datasets: readonly DatasetReport[]
  /** Everything that is wrong, in the order of the bytes. Empty = the object is whole. */
  readonly damage: readonly string[]
}

export function inspectObject(bytes: Uint8Array, codec: Codec): ObjectReport {
  const damage: string[] = []
  const header = attempt(damage, () => (checkHeader(bytes), true))
  const range = attempt(damage, () => footerRange(bytes.length, bytes))
  const footer =
    range === undefined ? undefined : attempt(damage, () => decodeFooter(bytes.subarray(range.offset), bytes.length))
  const datasets = (footer?.datasets ?? []).map((descriptor) => inspectDataset(bytes, descriptor, codec))
  return {
    sizeBytes: bytes.length,
    header: header === undefined ? 'damaged' : 'ok',
    footer: footer === undefined ? 'damaged' : 'ok',
    footerBytes: range?.lengthBytes ?? 0,
    content: footer === undefined ? undefined : contentOf(footer),
    datasets,
    damage: [...damage, ...datasets.flatMap((dataset) => dataset.damage)],
  }
}

function contentOf({ objectId, level, createdMs, jobId, epoch, sources }: ObjectFooter): ObjectReport['content'] {
  return { objectId, level, createdMs, jobId, epoch, sources }
}

function inspectDataset(bytes: Uint8Array, descriptor: DatasetDescriptor, codec: Codec): DatasetReport {
  const damage: string[] = []
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
  const head = attempt(damage, () => openDataset(region, descriptor, codec))
  const checksums = (head?.table.entries ?? []).map((entry) => checkEntry(head!, region, entry, damage))
  const isReadable = head !== undefined && checksums.every((condition) => condition === 'ok')
  const dataset = isReadable ? attempt(damage, () => decodeWhole(head, region)) : undefined
  const sums = dataset === undefined ? undefined : attempt(damage, () => checkSums(head!, dataset, damage))
  const counts = dataset === undefined ? undefined : rowCounts(head!, dataset)
  return {
    descriptor,
    bytesPerSample: descriptor.sampleCount === 0 ? 0 : descriptor.sizeBytes / descriptor.sampleCount,
    types: (dataset?.groups ?? []).flatMap(({ types }) => types.map(({ type, unit }) => `${type}:${unit}`)),
    sections: (head?.table.entries ?? []).map((entry, i) => sectionReport(entry, checksums[i]!, counts)),
    sums: { condition: sums ?? 'unchecked', count: dataset === undefined ? 0 : head!.sums.length },
    damage,
  }
}

function checkEntry(head: DatasetHead, region: Uint8Array, entry: SectionEntry, damage: string[]): Condition {
  const stored = region.subarray(entry.offset, entry.offset + entry.storedBytes)
  if (entry.codec === SECTION_CODEC.chunked) return checkFrames(head, stored, damage)
  const context = { codec: head.codec, dataset: head.subject }
  return attempt(damage, () => openSection(stored, entry, context)) === undefined ? 'damaged' : 'ok'
}

/** The frame index holds the checksum of every chunk; it can be read only if the head is whole. */
function checkFrames(head: DatasetHead, stored: Uint8Array, damage: string[]): Condition {
  let frames
  try {
    frames = head.frames
  } catch {
    // The section that is to blame reports itself.
    return 'unchecked'
  }
  let condition: Condition = 'ok'
  for (const [f, frame] of frames.entries()) {
    for (const [c, chunk] of frame.columns.entries()) {
      if (chunk.storedBytes === 0) continue
      if (crc32c(stored.subarray(chunk.offset, chunk.offset + chunk.storedBytes)) === chunk.crc) continue
      condition = 'damaged'
      damage.push(`${head.subject}: frame ${f}: column ${c}: checksum does not match`)
    }
  }
  return condition
}

/** The function level too, which no merge reads. */
function decodeWhole(head: DatasetHead, region: Uint8Array): Dataset {
  const dataset = decodeDataset(region, head.descriptor, head.codec)
  if (findSection(head.table, 'functionLevel') !== undefined)
    decodeFunctionSymbols(head, new FetchedRanges([{ offset: head.descriptor.offset, bytes: region }]))
  return dataset
}

function checkSums(head: DatasetHead, dataset: Dataset, damage: string[]): Condition {
  const actual = conservationSums(dataset, stackHashes(dataset.symbols))
  const difference = compareSums(head.sums, actual)
  if (difference === undefined) return 'ok'
  damage.push(`${head.subject}: conservation sums: ${describeDifference(difference, dataset)}`)
  return 'damaged'
}

function rowCounts(head: DatasetHead, { symbols, series, groups, headers, rows }: Dataset): Record<string, number> {
  return {
    series: series.length,
    groups: groups.length,
    headers: headers.count,
    sums: head.sums.length,
    frameIndex: head.frames.length,
    profileIds: headers.count,
    mappings: symbols.mappingCount,
    locations: symbols.locationCount,
    functions: symbols.functionCount,
    locationLines: symbols.locationLineStart[symbols.locationCount]!,
    tree: symbols.nodeCount,
    stacks: symbols.stackCount,
    functionLevel: symbols.nodeCount,
    strings: symbols.stringCount,
    frames: rows.reduce((sum, { rowCount }) => sum + rowCount, 0),
  }
}

function sectionReport(
  entry: SectionEntry,
  checksum: Condition,
  counts: Record<string, number> | undefined,
): SectionReport {
  const name = sectionName(entry.kind) ?? `kind ${entry.kind}`
  const { kind, required, storedBytes, rawBytes } = entry
  const codec =
    Object.entries(SECTION_CODEC).find(([, number]) => number === entry.codec)?.[0] ?? `codec ${entry.codec}`
  return { name, kind, isRequired: required, codec, storedBytes, rawBytes, checksum, rows: counts?.[name] }
}

/** The result, or undefined with the reason noted. Any failure counts: a damaged file may break what decoding assumes. */
function attempt<T>(damage: string[], read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    damage.push(error instanceof Error ? error.message : String(error))
    return undefined
  }
}
