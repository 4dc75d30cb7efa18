/**
 * Attributes of OTLP as label texts. Keys and strings may be references into the dictionary (OTLP 1.10), which are
 * resolved. What is no single value (maps, bytes, lists of any other length than one) is left out, as with the peers;
 * booleans and doubles are kept as text.
 *
 * Must not: fail for a value it does not know. An index outside of its table is `invalid_argument`.
 */
import { CinderError, invalidArgument } from '../../errors.ts'
import { ProtobufReader, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import { hashBytes } from '../../wire/hash.ts'
import { isValidUtf8 } from '../../pprof/utf8.ts'
import { type ByteRange, check, type EntryRanges } from './request.ts'

/** Lists in lists: deeper than this none is looked into, so that a crafted one cannot exhaust the stack. */
const DEPTH_MAX = 4

const decoder = new TextDecoder()

export interface Attribute {
  readonly key: string
  /** Undefined: the value is none that a label can have. */
  readonly value: string | undefined
}

export interface StringTable {
  readonly raw: Uint8Array
  readonly strings: EntryRanges
  /**
   * Remembers the texts that are asked for, by index, or why there is none: 100,000 profiles may name one string of
   * megabytes.
   */
  readonly texts?: (string | CinderError | undefined)[]
  /** Of a table whose attributes are read one after another: a reader for all, and the short texts that come again. */
  readonly scratch?: AttributeScratch
}

interface AttributeScratch {
  readonly reader: ProtobufReader
  readonly known: KnownTexts
}

/** A string of the dictionary. */
export function dictionaryText(table: StringTable, index: number): string {
  checkIndex(index, table.strings.count, 'string')
  const { raw, strings, texts } = table
  const known = texts?.[index] ?? readText(raw, strings.start.array[index]!, strings.end.array[index]!)
  if (texts !== undefined) texts[index] = known
  if (known instanceof CinderError) throw known
  return known
}

/** Fails with the name of the table if an index lies outside of it. */
export function checkIndex(index: number, count: number, what: string): void {
  if (index >= count) {
    throw invalidArgument(`invalid ${what} index: ${index} (the table has ${count} entries)`, 'otlp_index')
  }
}

/** A `KeyValue`: key 1, value 2, reference to the key 3. */
export function readKeyValue(table: StringTable, range: ByteRange): Attribute {
  return readPair(table, range, { key: 1, keyIndex: 3 })
}

/** A `KeyValueAndUnit` of the attribute table: reference to the key 1, value 2. */
export function readTableAttribute(table: StringTable, range: ByteRange): Attribute {
  return readPair(table, range, { key: 0, keyIndex: 1 })
}

function readPair(table: StringTable, { start, end }: ByteRange, fields: { key: number; keyIndex: number }): Attribute {
  const reader = table.scratch?.reader ?? new ProtobufReader(table.raw)
  reader.begin(table.raw, start, end)
  let key = ''
  let value: string | undefined
  while (reader.next()) {
    const { field, wireType } = reader
    if (field === fields.key && wireType === WIRE_LENGTH) key = textOf(table, reader)
    else if (field === fields.keyIndex && wireType === WIRE_VARINT) key = referenceOf(table, reader) || key
    else if (field === 2 && wireType === WIRE_LENGTH) value = readAnyValue(table, reader, 0)
    else reader.skip()
  }
  check(reader, 'an attribute')
  return { key, value }
}

/** The last field of the `oneof` counts, as protobuf has it. */
function readAnyValue(table: StringTable, reader: ProtobufReader, depth: number): string | undefined {
  const outer = reader.enter()
  let value: string | undefined
  while (reader.next()) {
    const { field, wireType } = reader
    if (field === 1 && wireType === WIRE_LENGTH) value = textOf(table, reader)
    else if (field === 2 && wireType === WIRE_VARINT) value = reader.varint() && reader.lo !== 0 ? 'true' : 'false'
    else if (field === 3 && wireType === WIRE_VARINT) value = integerText(reader)
    else if (field === 4 && wireType === WIRE_FIXED64) value = doubleText(reader)
    else if (field === 5 && wireType === WIRE_LENGTH) value = onlyValue(table, reader, depth + 1)
    else if (field === 8 && wireType === WIRE_VARINT) value = referenceOf(table, reader)
    else reader.skip()
  }
  check(reader, 'an attribute')
  reader.leave(outer)
  return value
}

function onlyValue(table: StringTable, reader: ProtobufReader, depth: number): string | undefined {
  if (depth > DEPTH_MAX) {
    reader.skip()
    return undefined
  }
  const outer = reader.enter()
  let value: string | undefined
  let count = 0
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== WIRE_LENGTH) reader.skip()
    else if (count++ === 0) value = readAnyValue(table, reader, depth)
    else reader.skip()
  }
  check(reader, 'an attribute')
  reader.leave(outer)
  return count === 1 ? value : undefined
}

function referenceOf(table: StringTable, reader: ProtobufReader): string {
  if (!reader.varint()) return ''
  return dictionaryText(table, reader.hi === 0 ? reader.lo : Number.MAX_SAFE_INTEGER)
}

function integerText(reader: ProtobufReader): string | undefined {
  if (!reader.varint()) return undefined
  return reader.hi === 0 ? String(reader.lo) : String(reader.int64())
}

const doubleBits = new DataView(new ArrayBuffer(8))

function doubleText(reader: ProtobufReader): string | undefined {
  if (!reader.fixed64()) return undefined
  doubleBits.setUint32(0, reader.lo, true)
  doubleBits.setUint32(4, reader.hi, true)
  return String(doubleBits.getFloat64(0, true))
}

function textOf({ scratch }: StringTable, reader: ProtobufReader): string {
  const start = reader.payload()
  const text =
    scratch === undefined
      ? readText(reader.raw, start, reader.position)
      : scratch.known.textOf(reader.raw, start, reader.position)
  if (text instanceof CinderError) throw text
  return text
}

/** A text is remembered until another comes to its place; longer ones rarely come again. */
const KNOWN_TEXTS = 512
const KNOWN_BYTES_MAX = 64

/** Texts by their bytes: names of attributes, and many values, come again with every resource. 30 ns where decoding takes 150. */
export class KnownTexts {
  readonly #texts: (string | undefined)[] = Array.from({ length: KNOWN_TEXTS }, () => undefined)
  readonly #start = new Uint32Array(KNOWN_TEXTS)
  readonly #end = new Uint32Array(KNOWN_TEXTS)

  /** Of raw[start, end), which is the same array at each call. */
  textOf(raw: Uint8Array, start: number, end: number): string | CinderError {
    if (end - start > KNOWN_BYTES_MAX) return readText(raw, start, end)
    const place = hashBytes(raw, start, end) % KNOWN_TEXTS
    const known = this.#texts[place]
    if (known !== undefined && this.#isSame(place, raw, start, end)) return known
    const text = readText(raw, start, end)
    if (text instanceof CinderError) return text
    this.#texts[place] = text
    this.#start[place] = start
    this.#end[place] = end
    return text
  }

  #isSame(place: number, raw: Uint8Array, start: number, end: number): boolean {
    const from = this.#start[place]!
    if (this.#end[place]! - from !== end - start) return false
    for (let i = start; i < end; i++) if (raw[from + i - start] !== raw[i]) return false
    return true
  }
}

function readText(bytes: Uint8Array, start: number, end: number): string | CinderError {
  if (!isValidUtf8(bytes, start, end)) return invalidArgument('a string is not UTF-8', 'malformed_body')
  return decoder.decode(bytes.subarray(start, end))
}
