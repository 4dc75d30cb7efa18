/**
 * Locations and functions of an OTLP dictionary as columns, decoded once a request however many of its profiles use them.
 *
 * Of numbers of 64 bits (addresses, lines) both lanes are kept, and their length, because it counts.
 * Must not: judge an index; an entry that nobody uses may be wrong.
 */
import { GrowingInt64, GrowingUint32, GrowingUint8 } from '../../wire/growing.ts'
import { allocateInt64Column, type Int64Column } from '../../wire/int64.ts'
import { ProtobufReader, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import { copiedBytes } from './pprof-size.ts'
import { check, type EntryRanges } from './request.ts'

/** An index that lies outside of every table. */
export const NO_INDEX = 0xffffffff

export interface FunctionColumns {
  readonly name: Uint32Array
  readonly systemName: Uint32Array
  readonly filename: Uint32Array
  /** What the first line takes as a field of pprof; 0 = it did not come. */
  readonly startLineBytes: Uint8Array
  readonly startLine: Int64Column
}

export interface LocationColumns {
  readonly mapping: Uint32Array
  /** As a field of pprof; 0 = it did not come. */
  readonly addressBytes: Uint8Array
  readonly address: Int64Column
  /** Lines of location i: [lineStart[i], lineStart[i + 1]), leaf first. */
  readonly lineStart: Uint32Array
  readonly lineFunction: Uint32Array
  /** Of the line's number as a field of pprof; 0 = it did not come. */
  readonly lineNumberBytes: Uint8Array
  readonly lineNumber: Int64Column
}

export function readFunctions(raw: Uint8Array, table: EntryRanges): FunctionColumns {
  const column = () => new Uint32Array(table.count)
  const [name, systemName, filename] = [column(), column(), column()]
  const startLineBytes = new Uint8Array(table.count)
  const startLine = allocateInt64Column(table.count)
  const texts = [name, systemName, filename]
  const reader = new ProtobufReader(raw)
  for (let i = 0; i < table.count; i++) {
    reader.begin(raw, table.start.array[i]!, table.end.array[i]!)
    while (reader.next()) {
      if (reader.wireType !== WIRE_VARINT || reader.field > 4) reader.skip()
      else if (reader.field < 4) texts[reader.field - 1]![i] = readIndex(reader)
      else {
        const at = reader.position
        readLanes(reader, startLine, i)
        startLineBytes[i] = copiedBytes(reader.position - at)
      }
    }
    check(reader, 'a function')
  }
  return { name, systemName, filename, startLineBytes, startLine }
}

export function readLocations(raw: Uint8Array, table: EntryRanges): LocationColumns {
  const { count } = table
  const mapping = new Uint32Array(count)
  const addressBytes = new Uint8Array(count)
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
        const at = reader.position
        readLanes(reader, address, i)
        addressBytes[i] = copiedBytes(reader.position - at)
      } else if (field === 3 && wireType === WIRE_LENGTH) lines.read(reader.payload(), reader.position)
      else reader.skip()
    }
    check(reader, 'a location')
    lineStart[i + 1] = lines.functions.count
  }
  const { functions, numberBytes, number } = lines
  return {
    mapping,
    addressBytes,
    address,
    lineStart,
    lineFunction: functions.array,
    lineNumberBytes: numberBytes.array,
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
  readonly numberBytes: GrowingUint8
  readonly number: GrowingInt64
  readonly #raw: Uint8Array
  readonly #reader: ProtobufReader

  /** Most locations have one line. */
  constructor(raw: Uint8Array, locationCount: number) {
    const capacity = locationCount + 64
    this.functions = new GrowingUint32(capacity)
    this.numberBytes = new GrowingUint8(capacity)
    this.number = new GrowingInt64(capacity)
    this.#raw = raw
    this.#reader = new ProtobufReader(raw)
  }

  read(start: number, end: number): void {
    const reader = this.#reader
    reader.begin(this.#raw, start, end)
    let functionIndex = 0
    let numberBytes = 0
    let lo = 0
    let hi = 0
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_VARINT) functionIndex = readIndex(reader)
      else if (reader.field === 2 && reader.wireType === WIRE_VARINT) {
        const at = reader.position
        if (reader.varint()) ({ lo, hi } = reader)
        numberBytes = copiedBytes(reader.position - at)
      } else reader.skip()
    }
    check(reader, 'a line')
    this.functions.push(functionIndex)
    this.numberBytes.push(numberBytes)
    this.number.push(lo, hi)
  }
}

/** An index of a table; what is negative or past 32 bits is `NO_INDEX`. */
export function readIndex(reader: ProtobufReader): number {
  if (!reader.varint()) return 0
  return reader.hi === 0 ? reader.lo : NO_INDEX
}
