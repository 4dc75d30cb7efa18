/**
 * Numbers of the block format, version 1. `core/docs/formats/block.md` describes every byte; a number here never
 * changes its meaning, new kinds take new numbers.
 */
import { CinderError } from '../errors.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'

export const FORMAT_VERSION = 1

/** "CINDER", then the format version as u16. */
export const HEADER_BYTES = 8
/** Footer length u32, format version u16, zero u16, crc32c u32, "CBLK". This layout holds for every version. */
export const TRAILER_BYTES = 16
/** First read of an unknown object: footers of up to 250 datasets fit, so that one request usually suffices. */
export const FOOTER_TAIL_BYTES = 16 * 1024

/** 64 MiB: a footer of 100,000 datasets takes 6 MiB. */
export const FOOTER_BYTES_MAX = 64 * 1024 * 1024
/** 1 GiB: inflated size of one section or column chunk; above it a runtime may not allocate the array. */
export const SECTION_RAW_BYTES_MAX = 1024 * 1024 * 1024
/** 256: version 1 knows 19 kinds; bounds the table of a crafted file. */
export const SECTIONS_MAX = 256
/** 16 Mi rows of one profile in one dataset: 1,000 times the default limit of samples. Bounds one frame. */
export const HEADER_ROWS_MAX = 1 << 24
/** 64 Ki rows a frame: a column chunk is 64 KiB at one byte a row, the unit of reading and of checksums. */
export const FRAME_ROWS_TARGET = 1 << 16
/** A frame ends at a change of hour once it has this many rows, so that edge hours of long windows read little else. */
export const FRAME_ROWS_HOUR_CUT = 1 << 14
/** Below 100 bytes zstd saves nothing: its frame alone costs 13. */
export const COMPRESS_BYTES_MIN = 100

export const SECTION_KIND = {
  series: 1,
  groups: 2,
  headers: 3,
  sums: 4,
  frameIndex: 5,
  profileIds: 6,
  mappings: 7,
  locations: 8,
  functions: 9,
  locationLines: 10,
  tree: 11,
  stacks: 12,
  strings: 13,
  frames: 14,
  functionLevel: 32,
  /** Per-hour totals of every stack and their index: rollup-section.ts. */
  rollupIndex: 33,
  rollups: 34,
  /** Numbers of stacks in the writer's dictionary: stack-keys.ts. */
  stackKeys: 35,
  /** What each node of the function level sums to over the whole dataset: function-totals.ts. */
  functionTotals: 36,
} as const

export type SectionName = keyof typeof SECTION_KIND

const NAME_BY_KIND = new Map<number, SectionName>(
  (Object.keys(SECTION_KIND) as SectionName[]).map((name) => [SECTION_KIND[name], name]),
)

export function sectionName(kind: number): SectionName | undefined {
  return NAME_BY_KIND.get(kind)
}

/** Readers do without them. */
export const OPTIONAL_SECTIONS: ReadonlySet<SectionName> = new Set<SectionName>([
  'functionLevel',
  'rollupIndex',
  'rollups',
  'stackKeys',
  'functionTotals',
])

/** Flags of a section: bit 0 required, bits 1 and 2 the codec. */
export const SECTION_REQUIRED = 1
/** `chunked`: the bytes are chunks that the frame index describes, each with its own codec and checksum. */
export const SECTION_CODEC = { raw: 0, zstd: 1, chunked: 2 } as const

/** How a column chunk of a frame is written. Bit 4 of the byte says that the bytes are zstd. */
export const CHUNK_ENCODING = { zero: 0, varint32: 1, varint64: 2, same: 3, sparse64: 4 } as const
export const CHUNK_ZSTD = 0x10

export function corrupt(subject: string, what: string, cause?: unknown): CinderError {
  return new CinderError('data_loss', `${subject}: ${what}`, { reason: 'corrupt_block', cause })
}

/** How messages name a dataset. */
export function datasetSubject(dataset: Pick<DatasetDescriptor, 'index' | 'tenant' | 'service'>): string {
  return `dataset ${dataset.index} (tenant ${JSON.stringify(dataset.tenant)}, service ${JSON.stringify(dataset.service)})`
}

export function sectionSubject(dataset: string, section: string): string {
  return `${dataset}: section ${section}`
}
