/**
 * Locations and functions of an OTLP dictionary as columns, with the places of their numbers, which the model copies.
 *
 * Of numbers of 64 bits (addresses, lines) both lanes are kept, and where they lie: their length counts.
 * Must not: judge an index; an entry that nobody uses may be wrong.
 */
import { GrowingInt64, GrowingUint32 } from '#core/wire/growing.ts'
import { allocateInt64Column, type Int64Column } from '#core/wire/int64.ts'
import { ProtobufReader, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'
import { readIndex } from '#core/ingest/otlp/dictionary-columns.ts'
import { check, type EntryRanges } from '#core/ingest/otlp/request.ts'

export interface FunctionColumns {
  readonly name: Uint32Array
  readonly systemName: Uint32Array
  readonly filename: Uint32Array
  /** Where the varint of the first line lies; equal ends are 0. */
  readonly startLineAt: Uint32Array
  readonly startLineEnd: Uint32Array
  readonly startLine: Int64Column
}

export interface LocationColumns {
  readonly mapping: Uint32Array
  readonly addressAt: Uint32Array
  readonly addressEnd: Uint32Array
  readonly address: Int64Column
  /** Lines of location i: [lineStart[i], lineStart[i + 1]), leaf first. */
  readonly lineStart: Uint32Array
  readonly lineFunction: Uint32Array
  readonly lineAt: Uint32Array
  readonly lineEnd: Uint32Array
  readonly lineNumber: Int64Column
}

export function readFunctions(raw: Uint8Array, table: EntryRanges): FunctionColumns {
  const column = () => new Uint32Array(table.count)
  const [name, systemName, filename, startLineAt, startLineEnd] = [column(), column(), column(), column(), column()]
  const startLine = allocateInt64Column(table.count)
  const texts = [name, systemName, filename]
  const reader = new ProtobufReader(raw)
  for (let i = 0; i < table.count; i++) {
    reader.begin(raw, table.start.array[i]!, table.end.array[i]!)
    while (reader.next()) {
      if (reader.wireType !== WIRE_VARINT || reader.field > 4) reader.skip()
      else if (reader.field < 4) texts[reader.field - 1]![i] = readIndex(reader)
      else {
        startLineAt[i] = reader.position
        readLanes(reader, startLine, i)
        startLineEnd[i] = reader.position
      }
    }
    check(reader, 'a function')
  }
  return { name, systemName, filename, startLineAt, startLineEnd, startLine }
}

export function readLocations(raw: Uint8Array, table: EntryRanges): LocationColumns {
  const { count } = table
  const mapping = new Uint32Array(count)
  const addressAt = new Uint32Array(count)
  const addressEnd = new Uint32Array(count)
  const address = allocateInt64Column(count)
  const lineStart = new Uint32Array(count + 1)
  const lines = new LineReader(raw, count)
  const reader = new ProtobufReader(raw)
  for (let i = 0; i < count; i++) {
    reader.begin(raw, table.start.array[i]!, table.end.array[i]!)
    while (reader.next()) {
      const { field, wireType } = reader
      if (field === 1 && wireType === WIRE_VARINT) mapping[i] = readIndex(reader)
      else if (field === 2 && wireType === WIRE_VARINT) {
        addressAt[i] = reader.position
        readLanes(reader, address, i)
        addressEnd[i] = reader.position
      } else if (field === 3 && wireType === WIRE_LENGTH) lines.read(reader.payload(), reader.position)
      else reader.skip()
    }
    check(reader, 'a location')
    lineStart[i + 1] = lines.functions.count
  }
  const { functions, at, end, number } = lines
  return {
    mapping,
    addressAt,
    addressEnd,
    address,
    lineStart,
    lineFunction: functions.array,
    lineAt: at.array,
    lineEnd: end.array,
    lineNumber: { lo: number.lo.array, hi: number.hi.array },
  }
}

function readLanes(reader: ProtobufReader, { lo, hi }: Int64Column, row: number): void {
  if (!reader.varint()) return
  lo[row] = reader.lo
  hi[row] = reader.hi
}

class LineReader {
  readonly functions: GrowingUint32
  readonly at: GrowingUint32
  readonly end: GrowingUint32
  readonly number: GrowingInt64
  readonly #raw: Uint8Array
  readonly #reader: ProtobufReader

  /** Most locations have one line. */
  constructor(raw: Uint8Array, locationCount: number) {
    const capacity = locationCount + 64
    this.functions = new GrowingUint32(capacity)
    this.at = new GrowingUint32(capacity)
    this.end = new GrowingUint32(capacity)
    this.number = new GrowingInt64(capacity)
    this.#raw = raw
    this.#reader = new ProtobufReader(raw)
  }

  read(start: number, end: number): void {
    const reader = this.#reader
    reader.begin(this.#raw, start, end)
    let functionIndex = 0
    let lineAt = 0
    let lineEnd = 0
    let lo = 0
    let hi = 0
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_VARINT) functionIndex = readIndex(reader)
      else if (reader.field === 2 && reader.wireType === WIRE_VARINT) {
        lineAt = reader.position
        if (reader.varint()) ({ lo, hi } = reader)
        lineEnd = reader.position
      } else reader.skip()
    }
    check(reader, 'a line')
    this.functions.push(functionIndex)
    this.at.push(lineAt)
    this.end.push(lineEnd)
    this.number.push(lo, hi)
  }
}
