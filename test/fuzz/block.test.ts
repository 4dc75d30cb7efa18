/**
 * Decoders of blocks, by whole objects. A blind change must be found by a checksum, wherever it is. Behind the checksums
 * objects are changed as a writer with a fault would: the footer, or the content of one section, and every checksum above
 * it written anew. Columns are fuzzed by themselves.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { decodeNarrow, decodeResiduals, decodeSparse } from '#core/block/column-codec.ts'
import { encodeFooter, encodeHeader } from '#core/block/footer.ts'
import { CHUNK_ENCODING, SECTION_CODEC, SECTION_KIND, TRAILER_BYTES } from '#core/block/format.ts'
import { chunksInOrder, encodeFrameIndex } from '#core/block/frame-index.ts'
import { decodeFooter, footerRange, openDataset, verifyObject } from '#core/block/read.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { compress, decodeTable, type EncodedSection, encodeTable, inflate } from '#core/block/section-table.ts'
import { CinderError } from '#core/errors.ts'
import { crc32c } from '#core/wire/crc32c.ts'
import { allocateInt64Column, type Int64Column } from '#core/wire/int64.ts'
import { isDataLoss, written } from '../support/block-faults.ts'
import { buildObject, TEST_CODEC } from '../support/block-objects.ts'
import { arbitraryDataset } from '../support/datasets.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'
import { INPUT_BYTES_MAX, mutate, type Random } from './mutate.ts'

const GOLDEN = join(import.meta.dirname, '..', 'golden', 'block', 'v1')

/** Every golden file, and datasets of all shapes. */
const OBJECTS = [
  ...readdirSync(GOLDEN)
    .filter((name) => name.endsWith('.cb'))
    .map((name) => new Uint8Array(readFileSync(join(GOLDEN, name)))),
  ...fc
    .sample(arbitraryDataset(), { seed: 1, numRuns: 6 })
    .map((dataset, i) => buildObject([dataset], i % 2 === 0).bytes),
]

function isRefusal(error: unknown): boolean {
  return isDataLoss(error) || (error instanceof CinderError && error.reason === 'block_version')
}

/**
 * Columns of a repeated value take no bytes a row, so rows are bounded by `HEADER_ROWS_MAX` and not by the input. These
 * inputs stay below it: their counts were checked against other sections before anything is made.
 */
const OBJECT_MEMORY = { baseBytes: 64 * 1024, multiple: 64 }

const blind: FuzzTarget = {
  name: 'block-bytes',
  seeds: OBJECTS,
  read(input) {
    verifyObject(input, TEST_CODEC)
    const isSeed = OBJECTS.some((object) => Buffer.from(object).equals(input))
    if (!isSeed) throw new Error('a changed block is read as if it were whole')
  },
  isRefusal,
  memory: OBJECT_MEMORY,
}

/** A footer with its length and checksum written anew. */
function changeFooter(object: Uint8Array, random: Random): Uint8Array {
  let at: number
  try {
    at = footerRange(object.length, object).offset
  } catch {
    return mutate(object, OBJECTS, [], random)
  }
  const footer = mutate(object.subarray(at, object.length - TRAILER_BYTES), OBJECTS, [], random)
  const out = new Uint8Array(at + footer.length + TRAILER_BYTES)
  out.set(object.subarray(0, at))
  out.set(footer, at)
  out.set(object.subarray(object.length - TRAILER_BYTES), at + footer.length)
  const view = new DataView(out.buffer)
  const trailerAt = at + footer.length
  view.setUint32(trailerAt, footer.length, true)
  view.setUint32(trailerAt + 8, crc32c(out.subarray(at, trailerAt + 8)), true)
  return out.subarray(0, INPUT_BYTES_MAX)
}

const footer: FuzzTarget = {
  name: 'block-footer',
  seeds: OBJECTS,
  mutate: changeFooter,
  read: (input) => void verifyObject(input, TEST_CODEC),
  isRefusal,
  memory: OBJECT_MEMORY,
}

type Change = (region: Uint8Array, of: DatasetDescriptor, random: Random) => Region

interface Region {
  readonly bytes: Uint8Array
  readonly headBytes: number
}

/** One dataset with other content: table, lengths and footer follow. */
function changeDataset(object: Uint8Array, random: Random, change: Change): Uint8Array {
  try {
    const footer = decodeFooter(object.subarray(footerRange(object.length, object).offset), object.length)
    const chosen = random(footer.datasets.length)
    const regions = footer.datasets.map((dataset, i): Region => {
      const region = object.subarray(dataset.offset, dataset.offset + dataset.sizeBytes)
      return i === chosen ? change(region, dataset, random) : { bytes: region, headBytes: dataset.headBytes }
    })
    const datasets = footer.datasets.map((dataset, i) => {
      const { bytes, headBytes } = regions[i]!
      return { ...dataset, sizeBytes: bytes.length, headBytes }
    })
    const parts = [encodeHeader(), ...regions.map(({ bytes }) => bytes), encodeFooter({ ...footer, datasets })]
    return new Uint8Array(Buffer.concat(parts)).subarray(0, INPUT_BYTES_MAX)
  } catch {
    // An object of the corpus whose footer, table or head is no longer read.
    return mutate(object, OBJECTS, [], random)
  }
}

/** Blind bytes in one section, under a checksum that holds. */
function changeSection(region: Uint8Array, of: DatasetDescriptor, random: Random): Region {
  const { sections, headCount } = sectionsOf(region, of)
  const chosen = random(sections.length)
  const changed = sections.map((section, i): EncodedSection => {
    if (i !== chosen) return section
    const raw = mutate(rawOf(section), [section.stored], [], random)
    return section.codec === SECTION_CODEC.chunked ? { ...section, stored: raw } : withContent(section, raw)
  })
  return assemble(changed, headCount, of)
}

/** Blind bytes in one column of one frame, under checksums that hold: frames are covered by their index. */
function changeColumn(region: Uint8Array, of: DatasetDescriptor, random: Random): Region {
  const { sections, headCount } = sectionsOf(region, of)
  const { frames, groups } = openDataset(region, of, TEST_CODEC)
  const stored = sections.find(({ kind }) => kind === SECTION_KIND.frames)!.stored
  const places = [...chunksInOrder(frames)]
  const chosen = random(places.length)
  const contents = places.map(({ frame, column }, i) => {
    const columns = frames[frame]!.columns
    const chunk = columns[column]!
    const bytes = stored.subarray(chunk.offset, chunk.offset + chunk.storedBytes)
    if (i !== chosen || bytes.length === 0) return bytes
    const raw = mutate(
      chunk.zstd ? inflate(TEST_CODEC, bytes, chunk.rawBytes, () => 'seed') : bytes,
      [stored],
      [],
      random,
    )
    const packed = compress(TEST_CODEC, raw)
    const facts = { zstd: packed.zstd, storedBytes: packed.stored.length, rawBytes: raw.length }
    columns[column] = { ...chunk, ...facts, crc: crc32c(packed.stored) }
    return packed.stored
  })
  const content = {
    [SECTION_KIND.frames]: new Uint8Array(Buffer.concat(contents)),
    [SECTION_KIND.frameIndex]: written((out) => encodeFrameIndex(frames, groups, out)),
  }
  const changed = sections.map((section): EncodedSection => {
    if (section.kind === SECTION_KIND.frames) return { ...section, stored: content[SECTION_KIND.frames]! }
    return section.kind === SECTION_KIND.frameIndex ? withContent(section, content[section.kind]!) : section
  })
  return assemble(changed, headCount, of)
}

function sectionsOf(region: Uint8Array, of: DatasetDescriptor): { sections: EncodedSection[]; headCount: number } {
  const { entries, headBytes } = decodeTable(region, of, 'seed')
  const sections = entries.map((entry) => ({
    ...entry,
    stored: region.subarray(entry.offset, entry.offset + entry.storedBytes),
  }))
  return { sections, headCount: entries.filter(({ offset }) => offset < headBytes).length }
}

function rawOf({ codec, stored, rawBytes }: EncodedSection): Uint8Array {
  return codec === SECTION_CODEC.zstd ? inflate(TEST_CODEC, stored, rawBytes, () => 'seed') : stored
}

function withContent(section: EncodedSection, raw: Uint8Array): EncodedSection {
  const { stored, zstd } = compress(TEST_CODEC, raw)
  return { ...section, codec: zstd ? SECTION_CODEC.zstd : SECTION_CODEC.raw, rawBytes: raw.length, stored }
}

function assemble(sections: readonly EncodedSection[], headCount: number, of: DatasetDescriptor): Region {
  const table = encodeTable(sections, headCount, of)
  const headBytes = sections.slice(0, headCount).reduce((sum, { stored }) => sum + stored.length, table.length)
  return { bytes: new Uint8Array(Buffer.concat([table, ...sections.map(({ stored }) => stored)])), headBytes }
}

const section: FuzzTarget = {
  name: 'block-section',
  seeds: OBJECTS,
  mutate: (object, random) => changeDataset(object, random, changeSection),
  read: (input) => void verifyObject(input, TEST_CODEC),
  isRefusal,
  memory: OBJECT_MEMORY,
}

const frames: FuzzTarget = {
  name: 'block-frames',
  seeds: OBJECTS,
  mutate: (object, random) => changeDataset(object, random, changeColumn),
  read: (input) => void verifyObject(input, TEST_CODEC),
  isRefusal,
  memory: OBJECT_MEMORY,
}

const ROWS = 64

function decodeColumn(
  kind: number,
  raw: Uint8Array,
  { narrow, wide, count }: { narrow: Uint32Array; wide: Int64Column; count: number },
): boolean {
  if (kind % 4 === 0) return decodeNarrow(raw, narrow, 0, count)
  if (kind % 4 === 1) return decodeSparse(raw, wide, 0, count)
  const encoding = kind % 4 === 2 ? CHUNK_ENCODING.varint32 : CHUNK_ENCODING.varint64
  return decodeResiduals({ raw, encoding }, wide, 0, count)
}

/** The first byte chooses the decoder, the second the number of rows. */
const columns: FuzzTarget = {
  name: 'column',
  seeds: [0, 1, 2, 3, 4].map((kind) => Uint8Array.from([kind, 3, 1, 2, 3, 0x80, 1])),
  read([kind = 0, rows = 0, ...bytes]) {
    const raw = Uint8Array.from(bytes)
    const count = rows % ROWS
    const wide = allocateInt64Column(ROWS)
    const narrow = new Uint32Array(ROWS)
    const isRead = decodeColumn(kind, raw, { narrow, wide, count })
    if (narrow.subarray(count).some(Boolean) || wide.lo.subarray(count).some(Boolean))
      throw new Error('wrote past its rows')
    return isRead ? 'read' : 'refused'
  },
  isRefusal: () => false,
  memory: { baseBytes: 2_048, multiple: 4 },
}

fuzz([blind, footer, section, frames, columns])
