/**
 * The head of a dataset region: the section table and the sections that every read needs. Each is checked and decoded
 * when first asked for, then kept; nothing else is cached.
 *
 * Must not: read past the head, or trust a count that its descriptor does not confirm.
 */
import type { Labels } from '../labels/labels.ts'
import type { Codec } from '../ports/codec.ts'
import type { DatasetDescriptor } from '../rpc/metastore.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import type { ConservationSum, SampleGroup } from './dataset.ts'
import { corrupt, datasetSubject, type SectionName, sectionSubject } from './format.ts'
import { decodeFrameIndex, type Frame } from './frame-index.ts'
import { decodeHeaders, type HeadHeaders, timeBounds } from './header-section.ts'
import { decodeGroups, decodeSeries } from './label-sections.ts'
import { decodeRollupIndex, type StoredRollups } from './rollup-section.ts'
import { decodeTable, findSection, openSection, type SectionEntry, type SectionTable } from './section-table.ts'
import { decodeSums } from './sum-section.ts'

export class DatasetHead {
  readonly descriptor: DatasetDescriptor
  readonly codec: Codec
  readonly table: SectionTable
  /** For messages. */
  readonly subject: string
  readonly #bytes: Uint8Array
  #series: Labels[] | undefined
  #groups: SampleGroup[] | undefined
  #headers: HeadHeaders | undefined
  #frames: Frame[] | undefined
  #sums: ConservationSum[] | undefined
  #rollups: StoredRollups | undefined

  constructor(bytes: Uint8Array, descriptor: DatasetDescriptor, codec: Codec) {
    this.subject = datasetSubject(descriptor)
    const subject = `${this.subject}: section table`
    if (bytes.length < descriptor.headBytes)
      throw corrupt(subject, `head of ${bytes.length} bytes, not ${descriptor.headBytes}`)
    this.#bytes = bytes.subarray(0, descriptor.headBytes)
    this.table = decodeTable(this.#bytes, descriptor, this.subject)
    if (this.table.headBytes !== descriptor.headBytes)
      throw corrupt(subject, `head of ${this.table.headBytes} bytes, its descriptor says ${descriptor.headBytes}`)
    if (this.table.regionBytes !== descriptor.sizeBytes)
      throw corrupt(subject, `region of ${this.table.regionBytes} bytes, its descriptor says ${descriptor.sizeBytes}`)
    this.descriptor = descriptor
    this.codec = codec
  }

  get series(): readonly Labels[] {
    this.#series ??= decodeSeries(this.#reader('series'))
    return this.#series
  }

  get seriesCount(): number {
    return this.series.length
  }

  get groups(): readonly SampleGroup[] {
    this.#groups ??= decodeGroups(this.#reader('groups'))
    return this.#groups
  }

  get headers(): HeadHeaders {
    this.#headers ??= this.#decodeHeaders()
    return this.#headers
  }

  get sums(): readonly ConservationSum[] {
    this.#sums ??= decodeSums(this.#reader('sums'))
    return this.#sums
  }

  get frames(): readonly Frame[] {
    const framesBytes = this.section('frames').storedBytes
    const context = { groups: this.groups, headers: this.headers, framesBytes }
    this.#frames ??= decodeFrameIndex(this.#reader('frameIndex'), context)
    return this.#frames
  }

  /** Undefined if the dataset has none. */
  get rollups(): StoredRollups | undefined {
    if (findSection(this.table, 'rollupIndex') === undefined) return undefined
    const rollupsBytes = this.section('rollups').storedBytes
    const context = { groups: this.groups, seriesCount: this.series.length, rollupsBytes }
    this.#rollups ??= decodeRollupIndex(this.#reader('rollupIndex'), context)
    return this.#rollups
  }

  section(name: SectionName): SectionEntry {
    const entry = findSection(this.table, name)
    if (entry === undefined) throw corrupt(`${this.subject}: section table`, `section ${name} is missing`)
    return entry
  }

  #decodeHeaders(): HeadHeaders {
    const headers = decodeHeaders(this.#reader('headers'), { groups: this.groups, seriesCount: this.series.length })
    let rows = 0
    for (let h = 0; h < headers.count; h++) rows += headers.rowLength[h]!
    const { profileCount, sampleCount } = this.descriptor
    if (headers.count !== profileCount || rows !== sampleCount)
      throw corrupt(
        sectionSubject(this.subject, 'headers'),
        `${headers.count} profiles and ${rows} rows, the descriptor says ${profileCount} and ${sampleCount}`,
      )
    const times = timeBounds(headers)
    const { minTimeMs, maxTimeMs } = this.descriptor
    if (times.minTimeMs !== minTimeMs || times.maxTimeMs !== maxTimeMs)
      throw corrupt(
        sectionSubject(this.subject, 'headers'),
        `times ${times.minTimeMs}..${times.maxTimeMs}, the descriptor says ${minTimeMs}..${maxTimeMs}`,
      )
    return headers
  }

  #reader(name: SectionName): ByteReader {
    const entry = this.section(name)
    const end = entry.offset + entry.storedBytes
    if (end > this.#bytes.length) throw corrupt(sectionSubject(this.subject, name), 'lies outside the head')
    const raw = openSection(this.#bytes.subarray(entry.offset, end), entry, {
      codec: this.codec,
      dataset: this.subject,
    })
    return new ByteReader(raw, sectionSubject(this.subject, name))
  }
}

/** `head`: the first `headBytes` of the region, or more. */
export function openDataset(head: Uint8Array, descriptor: DatasetDescriptor, codec: Codec): DatasetHead {
  return new DatasetHead(head, descriptor, codec)
}
