/**
 * Header, footer and trailer of an object. The footer restores the index without the rest: object id, level, creation
 * time, the job and the source datasets of a compaction, and every dataset descriptor.
 *
 *   footer: string object id, varint level, ms created, string job id, safe-integer epoch,
 *           sources (string object id, dataset indexes ascending as differences),
 *           texts (distinct tenants and services), datasets (each preceded by its length)
 *   trailer: footer length u32, version u16, 0 u16, crc32c u32 (of footer and the 8 bytes before), "CBLK"
 *
 * Bytes after the known fields of the footer or of a dataset are fields of a later minor version and are skipped.
 */
import { CinderError } from '../errors.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { crc32c } from '../wire/crc32c.ts'
import type { ByteRange } from './coalesce.ts'
import { FOOTER_BYTES_MAX, FORMAT_VERSION, HEADER_BYTES, TRAILER_BYTES, corrupt, datasetSubject } from './format.ts'

/** Datasets of one object that a compaction read. */
export interface ObjectSource {
  readonly objectId: string
  /** Positions in that object's footer, ascending. */
  readonly datasets: readonly number[]
}

export interface ObjectFooter {
  readonly objectId: string
  readonly level: number
  readonly createdMs: number
  /** Job that made the object and its fencing token: of outputs that share a source the highest epoch counts. */
  readonly jobId: string
  readonly epoch: number
  readonly sources: readonly ObjectSource[]
  readonly datasets: readonly DatasetDescriptor[]
}

const MAGIC = new TextEncoder().encode('CINDER')
const TRAILER_MAGIC = new TextEncoder().encode('CBLK')

export function encodeHeader(): Uint8Array {
  const out = new ByteWriter(HEADER_BYTES)
  out.bytes(MAGIC)
  out.u16(FORMAT_VERSION)
  return out.copy()
}

/** Refuses an object whose first bytes are not ours. */
export function checkHeader(bytes: Uint8Array): void {
  const input = new ByteReader(bytes, 'object header')
  const magic = input.viewBytes(MAGIC.length)
  if (magic.some((byte, i) => byte !== MAGIC[i])) input.fail('the magic does not match')
  const version = input.u16()
  if (version !== FORMAT_VERSION) input.fail(`format version ${version}, this reader knows ${FORMAT_VERSION}`)
}

export function encodeFooter(footer: ObjectFooter): Uint8Array {
  const out = new ByteWriter(1024)
  out.string(footer.objectId)
  out.varint(footer.level)
  out.signedInteger(footer.createdMs)
  out.string(footer.jobId)
  out.safeInteger(footer.epoch)
  out.varint(footer.sources.length)
  for (const source of footer.sources) {
    out.string(source.objectId)
    out.varint(source.datasets.length)
    out.deltaColumn32(Uint32Array.from(source.datasets), source.datasets.length)
  }
  const numberOf = new Map<string, number>()
  for (const { tenant, service } of footer.datasets)
    for (const text of [tenant, service]) if (!numberOf.has(text)) numberOf.set(text, numberOf.size)
  out.varint(numberOf.size)
  for (const text of numberOf.keys()) out.string(text)
  out.varint(footer.datasets.length)
  for (const dataset of footer.datasets) {
    const record = encodeDescriptor(dataset, numberOf)
    out.varint(record.length)
    out.bytes(record)
  }
  const bytes = out.view()
  const trailer = new ByteWriter(TRAILER_BYTES)
  trailer.u32(bytes.length)
  trailer.u16(FORMAT_VERSION)
  trailer.u16(0)
  trailer.u32(crc32c(trailer.view(), crc32c(bytes)))
  trailer.bytes(TRAILER_MAGIC)
  out.bytes(trailer.view())
  return out.copy()
}

function encodeDescriptor(dataset: DatasetDescriptor, numberOf: ReadonlyMap<string, number>): Uint8Array {
  const out = new ByteWriter(64)
  out.varint(numberOf.get(dataset.tenant)!)
  out.varint(numberOf.get(dataset.service)!)
  out.signedInteger(dataset.windowStartMs)
  out.safeInteger(dataset.windowMs)
  out.signedInteger(dataset.minTimeMs)
  out.safeInteger(dataset.maxTimeMs - dataset.minTimeMs)
  out.safeInteger(dataset.sizeBytes)
  out.safeInteger(dataset.headBytes)
  out.safeInteger(dataset.profileCount)
  out.safeInteger(dataset.sampleCount)
  return out.copy()
}

const TRAILER_SUBJECT = 'object footer: trailer'

/**
 * Where footer and trailer lie, from the last bytes of an object (at least 16; `FOOTER_TAIL_BYTES` usually hold all).
 * A version that this reader does not know is `unimplemented` if the checksum can be trusted, see `decodeFooter`.
 */
export function footerRange(objectSizeBytes: number, tail: Uint8Array): ByteRange {
  if (tail.length < TRAILER_BYTES) throw corrupt(TRAILER_SUBJECT, `object of ${objectSizeBytes} bytes is too short`)
  const input = new ByteReader(tail.subarray(tail.length - TRAILER_BYTES), TRAILER_SUBJECT)
  const footerBytes = input.u32()
  input.at = TRAILER_BYTES - TRAILER_MAGIC.length
  const magic = input.viewBytes(TRAILER_MAGIC.length)
  if (magic.some((byte, i) => byte !== TRAILER_MAGIC[i])) input.fail('the magic does not match')
  const lengthMax = Math.min(FOOTER_BYTES_MAX, objectSizeBytes - HEADER_BYTES - TRAILER_BYTES)
  if (footerBytes > lengthMax) input.fail(`footer of ${footerBytes} bytes, at most ${lengthMax}`)
  const lengthBytes = footerBytes + TRAILER_BYTES
  return { offset: objectSizeBytes - lengthBytes, lengthBytes }
}

/** `bytes`: footer and trailer, exactly the range of `footerRange`. */
export function decodeFooter(bytes: Uint8Array, objectSizeBytes: number): ObjectFooter {
  const range = footerRange(objectSizeBytes, bytes)
  if (range.lengthBytes !== bytes.length)
    throw corrupt(TRAILER_SUBJECT, `${bytes.length} bytes, footer and trailer take ${range.lengthBytes}`)
  const footerBytes = bytes.length - TRAILER_BYTES
  const trailer = new ByteReader(bytes.subarray(footerBytes), TRAILER_SUBJECT)
  trailer.u32()
  const version = trailer.u16()
  trailer.u16()
  if (crc32c(bytes.subarray(0, footerBytes + 8)) !== trailer.u32())
    throw corrupt('object footer', 'checksum does not match')
  if (version !== FORMAT_VERSION)
    throw new CinderError('unimplemented', `block format version ${version}, this reader knows ${FORMAT_VERSION}`, {
      reason: 'block_version',
    })
  return decodeFields(new ByteReader(bytes.subarray(0, footerBytes), 'object footer'), range.offset)
}

function decodeFields(input: ByteReader, footerOffset: number): ObjectFooter {
  const objectId = input.string()
  const level = input.varint()
  const createdMs = input.signedInteger()
  const jobId = input.string()
  const epoch = input.safeInteger()
  const sources: ObjectSource[] = []
  for (let left = input.count(2); left > 0; left--) {
    const source = input.string()
    sources.push({ objectId: source, datasets: [...input.deltaColumn32(input.count())] })
  }
  const texts: string[] = []
  for (let left = input.count(); left > 0; left--) texts.push(input.string())
  const datasets: DatasetDescriptor[] = []
  let offset = HEADER_BYTES
  for (let left = input.count(10); left > 0; left--) {
    const record = new ByteReader(input.viewBytes(input.varint()), `${input.subject}: dataset ${datasets.length}`)
    const dataset = decodeDescriptor(record, texts, { index: datasets.length, offset })
    offset += dataset.sizeBytes
    datasets.push(dataset)
  }
  if (offset !== footerOffset) input.fail(`datasets end at byte ${offset}, the footer starts at ${footerOffset}`)
  return { objectId, level, createdMs, jobId, epoch, sources, datasets }
}

function decodeDescriptor(
  input: ByteReader,
  texts: readonly string[],
  place: { index: number; offset: number },
): DatasetDescriptor {
  const tenant = texts[input.varint()]
  const service = texts[input.varint()]
  if (tenant === undefined || service === undefined) return input.fail(`names a text past ${texts.length}`)
  const windowStartMs = input.signedInteger()
  const windowMs = input.safeInteger()
  const minTimeMs = input.signedInteger()
  const maxTimeMs = minTimeMs + input.safeInteger()
  const sizeBytes = input.safeInteger()
  const headBytes = input.safeInteger()
  if (headBytes > sizeBytes)
    input.fail(
      `${datasetSubject({ index: place.index, tenant, service })}: head of ${headBytes} bytes passes ${sizeBytes}`,
    )
  const counts = { profileCount: input.safeInteger(), sampleCount: input.safeInteger() }
  return { ...place, tenant, service, windowStartMs, windowMs, minTimeMs, maxTimeMs, sizeBytes, headBytes, ...counts }
}
