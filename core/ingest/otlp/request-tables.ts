/**
 * The dictionary of an OTLP request, decoded for all profiles that refer to it: each entry once, and when it is first
 * needed, because an entry that nobody uses may be wrong, and costs nothing. One that is used and wrong is read once too:
 * 100,000 profiles may name one of megabytes.
 *
 * Stacks become lists of locations, attributes and links the numbers of their texts, mappings their numbers; locations and
 * functions are columns. Which of them a profile uses is kept here too (`used…`), one profile at a time.
 * Must not: keep more than its bytes and columns of its entries, which `baseBytes` tells.
 */
import { GrowingUint32 } from '../../wire/growing.ts'
import { allocateInt64Column, type Int64Column } from '../../wire/int64.ts'
import { ProtobufReader, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import { checkIndex, dictionaryText, readTableAttribute, type StringTable } from './attributes.ts'
import {
  type FunctionColumns,
  type LocationColumns,
  readFunctions,
  readIndex,
  readLocations,
} from './dictionary-columns.ts'
import { hexOf } from './hex.ts'
import { copiedBytes } from './pprof-size.ts'
import { RequestStrings } from './request-strings.ts'
import { PlainAttribute } from './plain-attribute.ts'
import { type ByteRange, check, type OtlpDictionary, readOtlpDictionary } from './request.ts'
import { UsedRows } from './used-rows.ts'

const BUILD_ID = 'process.executable.build_id.gnu'
/** Flags of a mapping, as in pprof. */
export const HAS_FUNCTIONS = 1
const HAS_FILENAMES = 2
export const HAS_LINE_NUMBERS = 4
/** Of a location that was looked at. */
const FLAGS_KNOWN = 128

/** Of the stacks of an agent. */
const STACK_LOCATIONS_FIRST = 2_048

/** It is a label of the series. */
const SERVICE_NAME = 'service.name'

/** Tables by number, for what is wrong in them. */
const MAPPINGS = 0
const LOCATIONS = 1
const FUNCTIONS = 2
const LINKS = 3
const ATTRIBUTES = 4
const STACKS = 5

/** As numbers of strings. */
export interface LabelNumbers {
  readonly key: number
  readonly value: number
}

export interface MappingEntry {
  /** Start, limit and offset. */
  readonly range: Int64Column
  /** What these take as fields of pprof. */
  readonly rangeBytes: number
  /** Index of a string of the dictionary, 0 where none came; -1 = there are no strings. */
  readonly filename: number
  /** Number of a string; -1 = none. */
  readonly buildId: number
}

export class RequestTables {
  readonly dictionary: OtlpDictionary
  readonly strings: RequestStrings
  readonly usedStrings: UsedRows
  readonly usedFunctions: UsedRows
  readonly usedLocations: UsedRows
  /** By index times two, plus one where its locations have lines. */
  readonly usedMappings: UsedRows
  /** A mapping of index 0 is none. */
  readonly hasNullMapping: boolean
  readonly #bytes: Uint8Array
  readonly #reader: ProtobufReader
  readonly #texts: StringTable
  readonly #attributes: (LabelNumbers | null | undefined)[] = []
  readonly #plain = new PlainAttribute()
  readonly #keys: (number | undefined)[] = []
  readonly #serviceName: number
  readonly #links: (readonly LabelNumbers[] | undefined)[] = []
  readonly #mappings: (MappingEntry | undefined)[] = []
  /** Locations of stack i: [stackStart[i] - 1, stackEnd[i]); a start of 0 = not read yet. */
  readonly #stackStart: Uint32Array
  readonly #stackEnd: Uint32Array
  readonly #stackLocations = new GrowingUint32(STACK_LOCATIONS_FIRST)
  #functions: FunctionColumns | undefined
  #locations: LocationColumns | undefined
  #locationFlags: Uint8Array | undefined
  /** Of entries that were read and are wrong, by table and index. */
  readonly #faults = new Map<number, unknown>()

  /** Of `readOtlpDictionary`. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#reader = new ProtobufReader(bytes)
    this.dictionary = readOtlpDictionary(bytes)
    const { strings, functions, locations, mappings, stacks } = this.dictionary
    this.#texts = { raw: bytes, strings, texts: [] }
    this.hasNullMapping = mappings.count === 0 || mappings.start.array[0] === mappings.end.array[0]
    this.strings = new RequestStrings(bytes, strings)
    this.#serviceName = this.strings.numberOf(SERVICE_NAME)
    this.usedStrings = new UsedRows(strings.count)
    this.usedFunctions = new UsedRows(functions.count)
    this.usedLocations = new UsedRows(locations.count)
    this.usedMappings = new UsedRows(mappings.count * 2)
    this.#stackStart = new Uint32Array(stacks.count)
    this.#stackEnd = new Uint32Array(stacks.count)
  }

  /** Memory besides the bytes, about, also of what is not read yet: a list of locations has a byte or more for each. */
  get baseBytes(): number {
    const { functions, locations } = this.dictionary
    const used = [this.usedStrings, this.usedFunctions, this.usedLocations, this.usedMappings]
    const columns = (functions.count * 6 + locations.count * 10 + this.#bytes.length / 4) * 4
    return used.reduce((sum, { sizeBytes }) => sum + sizeBytes, this.strings.sizeBytes + columns)
  }

  get functions(): FunctionColumns {
    return (this.#functions ??= this.#readOnce(FUNCTIONS, 0, () =>
      readFunctions(this.#bytes, this.dictionary.functions),
    ))
  }

  get locations(): LocationColumns {
    return (this.#locations ??= this.#readOnce(LOCATIONS, 0, () =>
      readLocations(this.#bytes, this.dictionary.locations),
    ))
  }

  #readOnce<Read>(table: number, index: number, read: () => Read): Read {
    const entry = table * 2 ** 32 + index
    if (this.#faults.has(entry)) throw this.#faults.get(entry)
    try {
      return read()
    } catch (error) {
      this.#faults.set(entry, error)
      throw error
    }
  }

  /** What all lines of a location have; 0 if there are none. Its functions, and the names of their files, are there. */
  flagsOf(location: number): number {
    const known = (this.#locationFlags ??= new Uint8Array(this.dictionary.locations.count))
    if (known[location] !== 0) return known[location]! & ~FLAGS_KNOWN
    const { lineStart, lineFunction, lineNumberBytes } = this.locations
    const { filename } = this.functions
    const first = lineStart[location]!
    const end = lineStart[location + 1]!
    let flags = end === first ? 0 : HAS_FUNCTIONS | HAS_FILENAMES | HAS_LINE_NUMBERS
    for (let line = first; line < end; line++) {
      if (this.strings.lengthOf(filename[lineFunction[line]!]!) === 0) flags &= ~HAS_FILENAMES
      if (lineNumberBytes[line] === 0) flags &= ~HAS_LINE_NUMBERS
    }
    known[location] = flags | FLAGS_KNOWN
    return flags
  }

  /** Number of a string by its index in the dictionary. */
  string(index: number): number {
    checkIndex(index, this.dictionary.strings.count, 'string')
    return index
  }

  /** A string of the dictionary as a text. */
  text(index: number): string {
    return dictionaryText(this.#texts, index)
  }

  readonly textOf = (index: number): string => this.text(index)

  /** Undefined if no label comes of it. */
  attribute(index: number): LabelNumbers | undefined {
    let known = this.#attributes[index]
    if (known === undefined) {
      const { attributes } = this.dictionary
      checkIndex(index, attributes.count, 'attribute')
      const range = { start: attributes.start.array[index]!, end: attributes.end.array[index]! }
      known = this.#readPlain(range) ?? this.#readOnce(ATTRIBUTES, index, () => this.#readAttribute(range))
      this.#attributes[index] = known
    }
    return known ?? undefined
  }

  /** An attribute as most are; undefined: it is another, or wrong. */
  #readPlain({ start, end }: ByteRange): LabelNumbers | null | undefined {
    const plain = this.#plain
    const { strings } = this
    if (!plain.read(this.#bytes, start, end) || plain.key >= this.dictionary.strings.count) return undefined
    const value = plain.isText
      ? strings.numberAt(plain.textStart, plain.textEnd)
      : strings.numberOfDigits(plain.integer)
    const key = this.#keyNumber(plain.key)
    if (!strings.look(key) || !strings.look(value)) return undefined
    return strings.lengthOf(key) === 0 || key === this.#serviceName ? null : { key, value }
  }

  /** Number of the text that a string of the dictionary is: few strings are keys, each of many attributes. */
  #keyNumber(index: number): number {
    const { strings } = this
    return (this.#keys[index] ??= strings.numberAt(strings.start.array[index]!, strings.end.array[index]!))
  }

  #readAttribute(range: ByteRange): LabelNumbers | null {
    const { key, value } = readTableAttribute(this.#texts, range)
    if (value === undefined || key === '' || key === SERVICE_NAME) return null
    return { key: this.strings.numberOf(key), value: this.strings.numberOf(value) }
  }

  /** Span and trace, hexadecimal, where the bytes are such ids. */
  link(index: number): readonly LabelNumbers[] {
    const known = this.#links[index]
    if (known !== undefined) return known
    const { links } = this.dictionary
    checkIndex(index, links.count, 'link')
    return (this.#links[index] = this.#readOnce(LINKS, index, () =>
      this.#readLink(links.start.array[index]!, links.end.array[index]!),
    ))
  }

  #readLink(start: number, end: number): LabelNumbers[] {
    const reader = new ProtobufReader(this.#bytes, start, end)
    let trace = ''
    let span = ''
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_LENGTH) trace = idText(reader.bytes(), 16)
      else if (reader.field === 2 && reader.wireType === WIRE_LENGTH) span = idText(reader.bytes(), 8)
      else reader.skip()
    }
    check(reader, 'a link')
    const named = [
      ['span_id', span],
      ['trace_id', trace],
    ] as const
    return named
      .filter(([, id]) => id !== '')
      .map(([name, id]) => ({ key: this.strings.numberOf(name), value: this.strings.numberOf(id) }))
  }

  /** Locations of a stack are [start, end) of `stackLocations`. */
  stackStart(index: number): number {
    const known = this.#stackStart[index]!
    if (known > 0) return known - 1
    checkIndex(index, this.dictionary.stacks.count, 'stack')
    this.#readOnce(STACKS, index, () => this.#readStack(index))
    return this.#stackStart[index]! - 1
  }

  stackEnd(index: number): number {
    return this.#stackEnd[index]!
  }

  get stackLocations(): Uint32Array {
    return this.#stackLocations.array
  }

  #readStack(index: number): void {
    const { start, end } = this.dictionary.stacks
    const locations = this.#stackLocations
    const first = locations.count
    const reader = this.#reader
    reader.begin(this.#bytes, start.array[index]!, end.array[index]!)
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_LENGTH) {
        const outer = reader.enter()
        if (reader.fault !== undefined) break
        this.#readStackLocations(reader, locations)
        check(reader, 'a stack')
        reader.leave(outer)
      } else if (reader.field === 1 && reader.wireType === WIRE_VARINT) locations.push(readIndex(reader))
      else reader.skip()
    }
    check(reader, 'a stack')
    this.#stackStart[index] = first + 1
    this.#stackEnd[index] = locations.count
  }

  /** Indices of one or two bytes are read here: nearly all are. */
  #readStackLocations(reader: ProtobufReader, locations: GrowingUint32): void {
    const bytes = this.#bytes
    locations.reserve(reader.end - reader.position)
    const { array } = locations
    while (reader.position < reader.end && reader.fault === undefined) {
      const at = reader.position
      const low = bytes[at]!
      const high = at + 1 < reader.end ? bytes[at + 1]! : 0x80
      if (low < 0x80) {
        array[locations.count++] = low
        reader.position = at + 1
      } else if (high < 0x80) {
        array[locations.count++] = (low & 0x7f) | (high << 7)
        reader.position = at + 2
      } else array[locations.count++] = readIndex(reader)
    }
  }

  mapping(index: number): MappingEntry {
    const known = this.#mappings[index]
    if (known !== undefined) return known
    const { mappings } = this.dictionary
    return (this.#mappings[index] = this.#readOnce(MAPPINGS, index, () =>
      this.#readMapping(mappings.start.array[index]!, mappings.end.array[index]!),
    ))
  }

  #readMapping(start: number, end: number): MappingEntry {
    const reader = new ProtobufReader(this.#bytes, start, end)
    const range = allocateInt64Column(3)
    const rangeBytes = [0, 0, 0]
    let filename = this.dictionary.strings.count === 0 ? -1 : 0
    let buildId = -1
    while (reader.next()) {
      const { field, wireType, position } = reader
      if (field < 4 && wireType === WIRE_VARINT) {
        if (!reader.varint()) continue
        range.lo[field - 1] = reader.lo
        range.hi[field - 1] = reader.hi
        rangeBytes[field - 1] = copiedBytes(reader.position - position)
      } else if (field === 4 && wireType === WIRE_VARINT) filename = this.string(readIndex(reader))
      else if (field === 5 && wireType === WIRE_LENGTH) {
        const list = reader.message()
        while (list.position < list.end && list.fault === undefined) buildId = this.#buildId(readIndex(list), buildId)
        check(list, 'a mapping')
      } else if (field === 5 && wireType === WIRE_VARINT) buildId = this.#buildId(readIndex(reader), buildId)
      else reader.skip()
    }
    check(reader, 'a mapping')
    return { range, rangeBytes: rangeBytes[0]! + rangeBytes[1]! + rangeBytes[2]!, filename, buildId }
  }

  /** Of the attribute if it is one, else what is known. */
  #buildId(attributeIndex: number, known: number): number {
    const label = this.attribute(attributeIndex)
    const isBuildId = label !== undefined && label.key === this.strings.numberOf(BUILD_ID)
    return isBuildId && this.strings.lengthOf(label.value) > 0 ? label.value : known
  }
}

function idText(bytes: Uint8Array, sizeBytes: number): string {
  return bytes.length === sizeBytes ? hexOf(bytes) : ''
}
