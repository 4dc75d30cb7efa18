/**
 * The table at the start of a dataset region: which sections follow, how long they are, and their checksums.
 *
 *   crc32c u32 | varint n | n bytes: varint section count, varint head count, then per section
 *     kind varint, flags u8, stored length varint, [raw length varint if zstd], crc32c u32
 *
 * Sections follow the table in its order without a gap, so offsets are sums and no byte is uncovered. The table's
 * checksum starts from the tenant and the service, so that a region read under another dataset's name is refused.
 */
import { crc32c } from '../wire/crc32c.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import type { Codec } from '../ports/codec.ts'
import type { SectionName } from './format.ts'
import {
  COMPRESS_BYTES_MIN,
  OPTIONAL_SECTIONS,
  SECTIONS_MAX,
  SECTION_CODEC,
  SECTION_KIND,
  SECTION_RAW_BYTES_MAX,
  SECTION_REQUIRED,
  corrupt,
  sectionName,
  sectionSubject,
} from './format.ts'

export interface SectionEntry {
  readonly kind: number
  readonly required: boolean
  readonly codec: number
  /** From the start of the region. */
  readonly offset: number
  readonly storedBytes: number
  readonly rawBytes: number
  readonly crc: number
}

export interface SectionTable {
  readonly entries: readonly SectionEntry[]
  /** End of the sections that every read needs. */
  readonly headBytes: number
  /** End of the region. */
  readonly regionBytes: number
}

export interface EncodedSection {
  readonly kind: number
  readonly required: boolean
  readonly codec: number
  readonly rawBytes: number
  readonly stored: Uint8Array
  /** Instead of `stored`: the bytes of a chunked section one after the other, so that they are copied once. */
  readonly chunks?: readonly Uint8Array[]
}

/** Bytes as they are stored: zstd where that is shorter. */
export function compress(codec: Codec, raw: Uint8Array): { stored: Uint8Array; zstd: boolean } {
  if (raw.length < COMPRESS_BYTES_MIN) return { stored: raw, zstd: false }
  const packed = codec.zstdCompress(raw)
  return packed.length < raw.length ? { stored: packed, zstd: true } : { stored: raw, zstd: false }
}

/** `subject` is asked for a fault alone: a query opens thousands of chunks. */
export function inflate(codec: Codec, stored: Uint8Array, rawBytes: number, subject: () => string): Uint8Array {
  let raw: Uint8Array
  try {
    raw = codec.zstdDecompress(stored, rawBytes)
  } catch (cause) {
    throw corrupt(subject(), `zstd does not inflate to ${rawBytes} bytes`, cause)
  }
  if (raw.length !== rawBytes) throw corrupt(subject(), `inflates to ${raw.length} bytes, not ${rawBytes}`)
  return raw
}

export function packSection(name: SectionName, raw: Uint8Array, codec: Codec): EncodedSection {
  const { stored, zstd } = compress(codec, raw)
  const required = !OPTIONAL_SECTIONS.has(name)
  const kind = SECTION_KIND[name]
  return { kind, required, codec: zstd ? SECTION_CODEC.zstd : SECTION_CODEC.raw, rawBytes: raw.length, stored }
}

function identityCrc(tenant: string, service: string): number {
  const identity = new ByteWriter()
  identity.string(tenant)
  identity.string(service)
  return crc32c(identity.view())
}

export interface RegionIdentity {
  readonly tenant: string
  readonly service: string
}

function storedLength({ stored, chunks }: EncodedSection): number {
  return chunks === undefined ? stored.length : chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}

export function encodeTable(sections: readonly EncodedSection[], headCount: number, of: RegionIdentity): Uint8Array {
  const body = new ByteWriter()
  body.varint(sections.length)
  body.varint(headCount)
  for (const section of sections) {
    body.varint(section.kind)
    body.u8((section.required ? SECTION_REQUIRED : 0) | (section.codec << 1))
    body.varint(storedLength(section))
    if (section.codec === SECTION_CODEC.zstd) body.varint(section.rawBytes)
    // A chunked section's bytes are covered chunk by chunk; the index that holds those checksums is a section itself.
    body.u32(section.codec === SECTION_CODEC.chunked ? 0 : crc32c(section.stored))
  }
  const covered = new ByteWriter()
  covered.varint(body.length)
  covered.bytes(body.view())
  const table = new ByteWriter(covered.length + 4)
  table.u32(crc32c(covered.view(), identityCrc(of.tenant, of.service)))
  table.bytes(covered.view())
  return table.copy()
}

export function decodeTable(region: Uint8Array, of: RegionIdentity, dataset: string): SectionTable {
  const subject = `${dataset}: section table`
  const outer = new ByteReader(region, subject)
  const crc = outer.u32()
  const body = new ByteReader(outer.viewBytes(outer.varint()), subject)
  const bodyEnd = outer.at
  if (crc32c(region.subarray(4, bodyEnd), identityCrc(of.tenant, of.service)) !== crc)
    throw corrupt(subject, 'checksum does not match: damaged, or the region of another dataset')
  const sectionCount = body.count(7)
  if (sectionCount > SECTIONS_MAX) throw corrupt(subject, `${sectionCount} sections, at most ${SECTIONS_MAX}`)
  const headCount = body.varint()
  if (headCount > sectionCount) throw corrupt(subject, `${headCount} head sections of ${sectionCount}`)
  const entries: SectionEntry[] = []
  let offset = bodyEnd
  let headBytes = bodyEnd
  for (let i = 0; i < sectionCount; i++) {
    const entry = decodeEntry(body, offset, subject)
    if (entries.some((other) => other.kind === entry.kind)) throw corrupt(subject, `kind ${entry.kind} twice`)
    entries.push(entry)
    offset += entry.storedBytes
    if (i < headCount) headBytes = offset
  }
  body.expectEnd()
  return { entries, headBytes, regionBytes: offset }
}

function decodeEntry(body: ByteReader, offset: number, subject: string): SectionEntry {
  const kind = body.varint()
  const flags = body.u8()
  const codec = flags >>> 1
  const required = (flags & SECTION_REQUIRED) !== 0
  const storedBytes = body.varint()
  const rawBytes = codec === SECTION_CODEC.zstd ? body.varint() : storedBytes
  const crc = body.u32()
  if (required && sectionName(kind) === undefined) throw corrupt(subject, `unknown required section kind ${kind}`)
  if (required && codec > SECTION_CODEC.chunked)
    throw corrupt(subject, `unknown codec ${codec} of section kind ${kind}`)
  if (rawBytes > SECTION_RAW_BYTES_MAX)
    throw corrupt(subject, `section kind ${kind} has ${rawBytes} bytes, at most ${SECTION_RAW_BYTES_MAX}`)
  return { kind, required, codec, offset, storedBytes, rawBytes, crc }
}

export function findSection(table: SectionTable, name: SectionName): SectionEntry | undefined {
  return table.entries.find((entry) => entry.kind === SECTION_KIND[name])
}

/** Length and checksum of the stored bytes. */
export function checkSection(stored: Uint8Array, entry: SectionEntry, dataset: string): void {
  const subject = sectionSubject(dataset, sectionName(entry.kind) ?? `kind ${entry.kind}`)
  if (stored.length !== entry.storedBytes) throw corrupt(subject, `${stored.length} bytes, not ${entry.storedBytes}`)
  if (crc32c(stored) !== entry.crc) throw corrupt(subject, 'checksum does not match')
}

/** Checked and inflated bytes of one section. `stored` is borrowed if the section is raw. */
export function openSection(
  stored: Uint8Array,
  entry: SectionEntry,
  context: { codec: Codec; dataset: string },
): Uint8Array {
  checkSection(stored, entry, context.dataset)
  const subject = sectionSubject(context.dataset, sectionName(entry.kind) ?? `kind ${entry.kind}`)
  if (entry.codec === SECTION_CODEC.raw) return stored
  if (entry.codec === SECTION_CODEC.zstd) return inflate(context.codec, stored, entry.rawBytes, () => subject)
  throw corrupt(subject, `codec ${entry.codec} is not one of a whole section`)
}
