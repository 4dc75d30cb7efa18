/**
 * An OTLP profiles request (`opentelemetry.proto.profiles.v1development`), read once into places: which bytes are which
 * table, resource, scope and profile. Nothing inside a profile or a table entry is decoded here.
 *
 * 1. The request: its resources and its dictionary; a dictionary that comes twice is one, as protobuf merges messages.
 * 2. The dictionary: where each entry of each table lies, in columns. Strings are checked once, when one is needed.
 * 3. A resource: its attributes; a scope: name, version, attributes; a profile: where it lies.
 *
 * Errors are `invalid_argument` and name the byte. Must not: copy payloads, or allocate for a sample.
 */
import { invalidArgument } from '../../errors.ts'
import { GrowingUint32 } from '../../wire/growing.ts'
import { ProtobufReader, WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'

/**
 * 2 Mi, over all tables: agents of busy hosts have tens of thousands. Entries take two bytes or more on the wire, next to
 * nothing compressed, and 16 bytes at most here: 32 MiB, beside a body of 24 MiB in the 128 MB of a worker.
 */
export const DICTIONARY_ENTRIES_MAX = 2 * 1024 * 1024
/** 300,000 resources, scopes and attributes of theirs: likewise two bytes or more each, and objects of 50 to 150 bytes here. */
export const PARTS_MAX = 300_000
/** 100,000 profiles of one request: 200 times what an agent of a busy host sends; each is an object here. */
export const PROFILES_MAX = 100_000

/** Tables of an agent have hundreds of entries; mappings and links are tens. */
const ENTRIES_FIRST = 512
const FEW_ENTRIES_FIRST = 64

/** Entry i lies in raw[start.array[i], end.array[i]). */
export class EntryRanges {
  readonly start: GrowingUint32
  readonly end: GrowingUint32

  constructor(capacity = ENTRIES_FIRST) {
    this.start = new GrowingUint32(capacity)
    this.end = new GrowingUint32(capacity)
  }

  get count(): number {
    return this.start.count
  }

  clear(): void {
    this.start.count = this.end.count = 0
  }

  push(start: number, end: number): void {
    this.start.push(start)
    this.end.push(end)
  }
}

export interface OtlpDictionary {
  readonly mappings: EntryRanges
  readonly locations: EntryRanges
  readonly functions: EntryRanges
  readonly links: EntryRanges
  readonly strings: EntryRanges
  readonly attributes: EntryRanges
  readonly stacks: EntryRanges
}

export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface OtlpScope {
  readonly attributes: readonly ByteRange[]
  readonly profiles: readonly ByteRange[]
}

export interface OtlpResource {
  /** `KeyValue` messages. */
  readonly attributes: readonly ByteRange[]
  readonly scopes: readonly OtlpScope[]
}

export interface OtlpRequest {
  readonly raw: Uint8Array
  readonly dictionary: OtlpDictionary
  /** Where it lies; more than one are one after another. */
  readonly dictionaryRanges: readonly ByteRange[]
  readonly resources: readonly OtlpResource[]
  readonly profileCount: number
}

const WIRE_TYPES: ReadonlySet<number> = new Set([WIRE_VARINT, WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH])

const TABLES = ['mappings', 'locations', 'functions', 'links', 'strings', 'attributes', 'stacks'] as const

type TableName = (typeof TABLES)[number]

/** What an envelope is made of (envelope.ts); the rest is for who decodes profiles. */
export const ENVELOPE_TABLES: readonly TableName[] = ['links', 'strings', 'attributes']

/**
 * Fails with `invalid_argument` if the bytes are no request, have no dictionary or no resource. Tables that are not asked
 * for stay empty.
 */
export function readOtlpRequest(raw: Uint8Array, wanted: readonly TableName[] = TABLES): OtlpRequest {
  const reader = new ProtobufReader(raw)
  const resources: OtlpResource[] = []
  const dictionary = emptyDictionary(wanted)
  const dictionaryRanges: ByteRange[] = []
  const seen = { profiles: 0, parts: 0, entries: 0 }
  while (reader.next()) {
    if (reader.wireType !== WIRE_LENGTH || reader.field > 2) {
      reader.skip()
      continue
    }
    const { field } = reader
    const outer = reader.enter()
    if (reader.fault !== undefined) break
    if (field === 1) {
      countPart(seen)
      resources.push(readResource(reader, seen))
    } else {
      dictionaryRanges.push({ start: reader.position, end: reader.end })
      seen.entries = readDictionary(reader, { dictionary, wanted }, seen.entries)
    }
    reader.leave(outer)
  }
  check(reader, 'the request')
  if (dictionaryRanges.length === 0) throw invalidArgument('missing profile metadata dictionary', 'otlp_dictionary')
  if (resources.length === 0) throw invalidArgument('missing resource profiles', 'otlp_resources')
  return { raw, dictionary, dictionaryRanges, resources, profileCount: seen.profiles }
}

/** Whether the parts of the message itself, resources and dictionaries, are few enough for a decoder that makes objects of them. */
export function checkOtlpParts(raw: Uint8Array): void {
  const reader = new ProtobufReader(raw)
  const seen = { profiles: 0, parts: 0 }
  // Groups are none that we read, and others pass over them.
  while (reader.next() && WIRE_TYPES.has(reader.wireType)) {
    countPart(seen)
    reader.skip()
  }
  if (reader.position < reader.end && (reader.end - reader.position) / 2 > PARTS_MAX) {
    throw invalidArgument(`the request is no protobuf behind byte ${reader.position}`, 'malformed_body')
  }
}

/** A dictionary alone, as its request had it: the message, or several one after another. */
export function readOtlpDictionary(raw: Uint8Array): OtlpDictionary {
  const dictionary = emptyDictionary(TABLES)
  readDictionary(new ProtobufReader(raw), { dictionary, wanted: TABLES }, 0)
  return dictionary
}

function emptyDictionary(wanted: readonly TableName[]): OtlpDictionary {
  const isWhole = wanted === TABLES
  return {
    mappings: new EntryRanges(isWhole ? FEW_ENTRIES_FIRST : 0),
    locations: new EntryRanges(isWhole ? ENTRIES_FIRST : 0),
    functions: new EntryRanges(isWhole ? ENTRIES_FIRST : 0),
    links: new EntryRanges(FEW_ENTRIES_FIRST),
    strings: new EntryRanges(),
    attributes: new EntryRanges(),
    stacks: new EntryRanges(isWhole ? ENTRIES_FIRST : 0),
  }
}

interface WantedTables {
  readonly dictionary: OtlpDictionary
  readonly wanted: readonly TableName[]
}

/** Returns how many entries all tables have, with those before. */
function readDictionary(reader: ProtobufReader, { dictionary, wanted }: WantedTables, before: number): number {
  const tables = TABLES.map((name) => (wanted.includes(name) ? dictionary[name] : undefined))
  let entries = before
  while (reader.next()) {
    if (reader.wireType !== WIRE_LENGTH || reader.field > TABLES.length) {
      reader.skip()
      continue
    }
    const table = tables[reader.field - 1]
    const start = reader.payload()
    if (entries++ === DICTIONARY_ENTRIES_MAX) {
      throw invalidArgument(
        `the tables of the dictionary have more than the allowed ${DICTIONARY_ENTRIES_MAX} entries together: send fewer profiles in a request`,
        'otlp_table_limit',
      )
    }
    if (table !== undefined) table.push(start, reader.position)
  }
  check(reader, 'the dictionary')
  return entries
}

/** What of a request was seen so far. */
interface Seen {
  profiles: number
  parts: number
}

function countPart(seen: Seen): void {
  if (seen.parts++ < PARTS_MAX) return
  throw invalidArgument(
    `the request has more than the allowed ${PARTS_MAX} resources, scopes and attributes of theirs: send fewer in a request`,
    'otlp_parts_limit',
  )
}

function readResource(reader: ProtobufReader, seen: Seen): OtlpResource {
  const attributes: ByteRange[] = []
  const scopes: OtlpScope[] = []
  while (reader.next()) {
    if (reader.wireType !== WIRE_LENGTH || reader.field > 2) {
      reader.skip()
      continue
    }
    const isScope = reader.field === 2
    const outer = reader.enter()
    if (reader.fault !== undefined) break
    if (isScope) {
      countPart(seen)
      scopes.push(readScope(reader, seen))
    } else readAttributes(reader, { field: 1, attributes }, seen)
    reader.leave(outer)
  }
  check(reader, 'a resource')
  return { attributes, scopes }
}

function readScope(reader: ProtobufReader, seen: Seen): OtlpScope {
  const attributes: ByteRange[] = []
  const profiles: ByteRange[] = []
  while (reader.next()) {
    if (reader.wireType !== WIRE_LENGTH || reader.field > 2) reader.skip()
    else if (reader.field === 1) {
      const outer = reader.enter()
      if (reader.fault !== undefined) break
      readAttributes(reader, { field: 3, attributes }, seen)
      reader.leave(outer)
    } else {
      if (seen.profiles++ === PROFILES_MAX) {
        throw invalidArgument(`the request has more than the allowed ${PROFILES_MAX} profiles`, 'otlp_profiles_limit')
      }
      profiles.push(rangeOf(reader))
    }
  }
  check(reader, 'a scope')
  return { attributes, profiles }
}

function readAttributes(
  reader: ProtobufReader,
  { field, attributes }: { readonly field: number; readonly attributes: ByteRange[] },
  seen: Seen,
): void {
  while (reader.next()) {
    if (reader.field === field && reader.wireType === WIRE_LENGTH) {
      countPart(seen)
      attributes.push(rangeOf(reader))
    } else reader.skip()
  }
  check(reader, 'attributes')
}

function rangeOf(reader: ProtobufReader): ByteRange {
  const start = reader.payload()
  return { start, end: reader.position }
}

/** Fails if the reader met a fault. */
export function check(reader: ProtobufReader, what: string): void {
  if (reader.fault !== undefined) throw invalidArgument(`${what} is no protobuf: ${reader.fault}`, 'malformed_body')
}
