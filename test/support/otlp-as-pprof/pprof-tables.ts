/**
 * Tables of one pprof, made of those entries of an OTLP dictionary that its samples name, each once.
 *
 * 1. An entry gets its pprof id at first use; columns by dictionary index remember it. They belong to one request and are
 *    wiped by what was used, so that 500 profiles of a large dictionary cost what they use.
 * 2. A location is written when it is first used, its functions and mapping before it. Strings are copied as bytes.
 * 3. A mapping of which some locations have lines and some have none becomes two: symbols are complete in one, and
 *    addresses are kept in the other, to be symbolised by build id.
 *
 * Entry 0 of a table is the null entry by the specification, but there are clients that use it: it is read like any other,
 * and only a mapping of index 0 that is empty is none.
 * Must not: decode a symbol to a JavaScript string.
 */
import { GrowingUint32 } from '#core/wire/growing.ts'
import { ProtobufReader, type ProtobufWriter, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'
import { type Attribute, checkIndex, readTableAttribute } from '#core/ingest/otlp/attributes.ts'
import { readIndex } from '#core/ingest/otlp/dictionary-columns.ts'
import { type FunctionColumns, type LocationColumns, readFunctions, readLocations } from './dictionary-columns.ts'
import { MessageBytes } from './message-bytes.ts'
import { check, type EntryRanges, type OtlpRequest } from '#core/ingest/otlp/request.ts'

const BUILD_ID = 'process.executable.build_id.gnu'

/** Pprof ids by dictionary index; 0 = not used by this profile. */
class UsedIds {
  readonly #ids: Uint32Array
  readonly #used = new GrowingUint32()

  constructor(count: number) {
    this.#ids = new Uint32Array(count)
  }

  get(index: number): number {
    return this.#ids[index]!
  }

  set(index: number, id: number): void {
    this.#ids[index] = id
    this.#used.push(index)
  }

  clear(): void {
    const { array, count } = this.#used
    for (let i = 0; i < count; i++) this.#ids[array[i]!] = 0
    this.#used.count = 0
  }
}

/** Tags, a length and a number of 64 bits take 22 bytes at most, a number of 32 bits with its tag 6. */
const LOCATION_BYTES_MAX = 24
const LINE_BYTES_MAX = 20
const FUNCTION_BYTES_MAX = 36
const MAPPING_BYTES_MAX = 64

/** Flags of a mapping in pprof: fields 7 to 9. */
const HAS_FUNCTIONS = 1
const HAS_FILENAMES = 2
const HAS_LINE_NUMBERS = 4

const encoder = new TextEncoder()

export class PprofTables {
  readonly #request: OtlpRequest
  #functionColumns: FunctionColumns | undefined
  #locationColumns: LocationColumns | undefined
  readonly #strings: UsedIds
  readonly #functions: UsedIds
  readonly #locations: UsedIds
  /** By index times two, plus one where its locations have lines. */
  readonly #mappings: UsedIds
  /** Of mapping id i + 1: where its slot and what all of its lines have. */
  readonly #mappingSlots = new GrowingUint32()
  readonly #mappingFlags = new GrowingUint32()
  readonly #attributes: (Attribute | undefined)[] = []
  readonly #texts = new Map<string, number>()
  /** Of a request: names and values of labels come again with every profile. */
  readonly #encodedTexts = new Map<string, Uint8Array>()
  readonly #stringBytes = new MessageBytes()
  readonly #functionBytes = new MessageBytes()
  readonly #locationBytes = new MessageBytes()
  readonly #mappingBytes = new MessageBytes()
  #stringCount = 0
  #functionCount = 0
  #locationCount = 0

  constructor(request: OtlpRequest) {
    const { strings, functions, locations, mappings } = request.dictionary
    this.#request = request
    this.#strings = new UsedIds(strings.count)
    this.#functions = new UsedIds(functions.count)
    this.#locations = new UsedIds(locations.count)
    this.#mappings = new UsedIds(mappings.count * 2)
    this.begin()
  }

  /** Forgets the profile before. */
  begin(): void {
    for (const ids of [this.#strings, this.#functions, this.#locations, this.#mappings]) ids.clear()
    for (const bytes of [this.#stringBytes, this.#functionBytes, this.#locationBytes, this.#mappingBytes]) bytes.clear()
    this.#texts.clear()
    this.#functionCount = 0
    this.#locationCount = 0
    this.#mappingSlots.count = 0
    this.#mappingFlags.count = 0
    this.#stringBytes.open(6, 0)
    this.#stringBytes.close()
    this.#stringCount = 1
  }

  get sizeBytes(): number {
    return this.#stringBytes.length + this.#functionBytes.length + this.#locationBytes.length
  }

  /** Writes the tables one after the other, so that equal tables are equal bytes in one run. */
  writeTo(out: ProtobufWriter): void {
    this.#writeMappings()
    for (const { bytes, length } of [this.#mappingBytes, this.#locationBytes, this.#functionBytes, this.#stringBytes]) {
      out.rawRange(bytes, 0, length)
    }
  }

  /** Index in the string table of a text that is ours. */
  text(text: string): number {
    if (text === '') return 0
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    let bytes = this.#encodedTexts.get(text)
    if (bytes === undefined) {
      bytes = encoder.encode(text)
      this.#encodedTexts.set(text, bytes)
    }
    const index = this.#addString(bytes, 0, bytes.length)
    this.#texts.set(text, index)
    return index
  }

  /** Of the attribute table; decoded once a request. */
  attribute(index: number): Attribute {
    const { raw, dictionary } = this.#request
    checkIndex(index, dictionary.attributes.count, 'attribute')
    const known = this.#attributes[index]
    if (known !== undefined) return known
    const { start, end } = dictionary.attributes
    const range = { start: start.array[index]!, end: end.array[index]! }
    const read = readTableAttribute({ raw, strings: dictionary.strings }, range)
    this.#attributes[index] = read
    return read
  }

  /** Pprof id of a location of the dictionary. */
  location(index: number): number {
    const { raw, dictionary } = this.#request
    checkIndex(index, dictionary.locations.count, 'location')
    const known = this.#locations.get(index)
    if (known !== 0) return known
    const columns = (this.#locationColumns ??= readLocations(raw, dictionary.locations))
    const first = columns.lineStart[index]!
    const end = columns.lineStart[index + 1]!
    let flags = HAS_FUNCTIONS | HAS_FILENAMES | HAS_LINE_NUMBERS
    // Functions first: a message is open while its lines are written.
    for (let line = first; line < end; line++)
      flags &= this.#function(columns.lineFunction[line]!) | lineFlag(columns, line)
    const mapping = this.#mapping(columns.mapping[index]!, end > first ? flags : 0)
    const id = ++this.#locationCount
    const bytes = this.#locationBytes
    bytes.open(4, LOCATION_BYTES_MAX + (end - first) * LINE_BYTES_MAX)
    bytes.number(1, id)
    bytes.number(2, mapping)
    bytes.copyNumber(3, raw, columns.addressAt[index]!, columns.addressEnd[index]!)
    for (let line = first; line < end; line++) {
      const functionId = this.#functions.get(columns.lineFunction[line]!)
      bytes.pair(4, functionId, raw, { start: columns.lineAt[line]!, end: columns.lineEnd[line]! })
    }
    bytes.close()
    this.#locations.set(index, id)
    return id
  }

  /** What the function has, as flags of its mapping. */
  #function(index: number): number {
    const { raw, dictionary } = this.#request
    checkIndex(index, dictionary.functions.count, 'function')
    const columns = (this.#functionColumns ??= readFunctions(raw, dictionary.functions))
    if (this.#functions.get(index) === 0) {
      const name = this.#string(columns.name[index]!)
      const systemName = this.#string(columns.systemName[index]!)
      const filename = this.#string(columns.filename[index]!)
      const id = ++this.#functionCount
      const bytes = this.#functionBytes
      bytes.open(5, FUNCTION_BYTES_MAX)
      bytes.number(1, id)
      bytes.number(2, name)
      bytes.number(3, systemName)
      bytes.number(4, filename)
      bytes.copyNumber(5, raw, columns.startLineAt[index]!, columns.startLineEnd[index]!)
      bytes.close()
      this.#functions.set(index, id)
    }
    const { start, end } = dictionary.strings
    const filename = columns.filename[index]!
    return HAS_FUNCTIONS | (start.array[filename] === end.array[filename] ? 0 : HAS_FILENAMES)
  }

  /** 0 for the null entry. `flags`: what the location has, 0 = nothing but its address. */
  #mapping(index: number, flags: number): number {
    const { dictionary } = this.#request
    if (index === 0 && isNullEntry(dictionary.mappings)) return 0
    checkIndex(index, dictionary.mappings.count, 'mapping')
    const slot = index * 2 + (flags === 0 ? 0 : 1)
    let id = this.#mappings.get(slot)
    if (id === 0) {
      this.#mappingSlots.push(slot)
      this.#mappingFlags.push(flags)
      id = this.#mappingSlots.count
      this.#mappings.set(slot, id)
    }
    this.#mappingFlags.array[id - 1]! &= flags
    return id
  }

  /** At the end, when all locations of each have been seen. */
  #writeMappings(): void {
    const { raw, dictionary } = this.#request
    const reader = new ProtobufReader(raw)
    for (let i = 0; i < this.#mappingSlots.count; i++) {
      const index = this.#mappingSlots.array[i]! >>> 1
      const { start, end } = dictionary.mappings
      reader.begin(raw, start.array[index]!, end.array[index]!)
      this.#mappingBytes.open(3, MAPPING_BYTES_MAX)
      this.#mappingBytes.number(1, i + 1)
      this.#readMapping(reader)
      const flags = this.#mappingFlags.array[i]!
      this.#mappingBytes.number(7, flags & HAS_FUNCTIONS)
      this.#mappingBytes.number(8, (flags & HAS_FILENAMES) / HAS_FILENAMES)
      this.#mappingBytes.number(9, (flags & HAS_LINE_NUMBERS) / HAS_LINE_NUMBERS)
      this.#mappingBytes.close()
    }
  }

  #readMapping(reader: ProtobufReader): void {
    const { raw, dictionary } = this.#request
    // A number that did not come is 0, which names a string as any other does where there are strings.
    let filename = dictionary.strings.count === 0 ? undefined : 0
    let buildId = ''
    const at = [0, 0, 0]
    const end = [0, 0, 0]
    while (reader.next()) {
      const { field, wireType } = reader
      if (field < 4 && wireType === WIRE_VARINT) {
        at[field - 1] = reader.position
        reader.skip()
        end[field - 1] = reader.position
      } else if (field === 4 && wireType === WIRE_VARINT) filename = readIndex(reader)
      else if (field === 5 && wireType === WIRE_LENGTH) {
        const list = reader.message()
        while (list.position < list.end && list.fault === undefined) buildId = this.#buildId(readIndex(list)) || buildId
        check(list, 'a mapping')
      } else if (field === 5 && wireType === WIRE_VARINT) buildId = this.#buildId(readIndex(reader)) || buildId
      else reader.skip()
    }
    check(reader, 'a mapping')
    for (let i = 0; i < 3; i++) this.#mappingBytes.copyNumber(i + 2, raw, at[i]!, end[i]!)
    this.#mappingBytes.number(5, filename === undefined ? 0 : this.#string(filename))
    this.#mappingBytes.number(6, this.text(buildId))
  }

  #buildId(attributeIndex: number): string {
    const { key, value } = this.attribute(attributeIndex)
    return key === BUILD_ID && value !== undefined ? value : ''
  }

  /** Index in the pprof's table of a string of the dictionary. */
  #string(index: number): number {
    const { raw, dictionary } = this.#request
    checkIndex(index, dictionary.strings.count, 'string')
    const start = dictionary.strings.start.array[index]!
    const end = dictionary.strings.end.array[index]!
    if (start === end) return 0
    const known = this.#strings.get(index)
    if (known !== 0) return known
    const id = this.#addString(raw, start, end)
    this.#strings.set(index, id)
    return id
  }

  #addString(bytes: Uint8Array, start: number, end: number): number {
    this.#stringBytes.open(6, end - start)
    this.#stringBytes.copyBody(bytes, start, end)
    this.#stringBytes.close()
    return this.#stringCount++
  }
}

function lineFlag(columns: LocationColumns, line: number): number {
  return columns.lineAt[line] === columns.lineEnd[line] ? 0 : HAS_LINE_NUMBERS
}

function isNullEntry(table: EntryRanges): boolean {
  return table.count === 0 || table.start.array[0] === table.end.array[0]
}
