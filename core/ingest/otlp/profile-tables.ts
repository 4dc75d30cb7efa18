/**
 * The tables of one profile, made of those entries of a request's dictionary that its samples name, each once and in
 * order of first use: columns as of a decoded pprof (core/pprof/profile.ts).
 *
 * 1. An entry gets its row at first use; `RequestTables` remembers it until the next profile.
 * 2. A location comes after its functions and their strings; a mapping is written when all its locations are known.
 * 3. A mapping of which some locations have lines and some have none becomes two: symbols are complete in one, and
 *    addresses are kept in the other, to be symbolised by build id.
 * 4. What all this would take as pprof is counted on the way (`sizeBytes`).
 *
 * Entry 0 of a table is the null entry by the specification, but there are clients that use it: it is read like any other,
 * and only a mapping of index 0 that is empty is none.
 * Must not: copy a string.
 */
import { NO_ROW } from '../../pprof/profile.ts'
import { checkIndex } from './attributes.ts'
import type { FunctionColumns } from './dictionary-columns.ts'
import { copiedBytes, fieldBytes, messageBytes } from './pprof-size.ts'
import { FunctionRows, LocationRows, MappingRows, StringColumns } from './profile-rows.ts'
import type { EntryRanges } from './request.ts'
import { HAS_FUNCTIONS, HAS_LINE_NUMBERS, type RequestTables } from './request-tables.ts'

export class ProfileTables {
  #request: RequestTables | undefined
  sizeBytes = 0
  hasBadString = false
  readonly strings = new StringColumns()
  readonly functions = new FunctionRows()
  readonly mappings = new MappingRows()
  readonly locations = new LocationRows()

  /** Begins a profile of the request. */
  begin(request: RequestTables): void {
    this.#request = request
    const { usedStrings, usedFunctions, usedLocations, usedMappings } = request
    usedStrings.clear()
    usedFunctions.clear()
    usedLocations.clear()
    usedMappings.clear()
    this.strings.count = 0
    this.functions.count = 0
    this.mappings.count = 0
    this.locations.begin()
    this.strings.add(0, 0, 0)
    this.sizeBytes = messageBytes(0)
    this.hasBadString = false
  }

  /** Row of a text that is ours. */
  text(text: string): number {
    return text === '' ? 0 : this.string(this.#request!.strings.numberOf(text))
  }

  /** Row of a string by its number in the request. */
  string(number: number): number {
    const { strings, usedStrings } = this.#request!
    usedStrings.reserve(strings.count)
    const known = usedStrings.get(number)
    if (known >= 0) return known
    const start = strings.start.array[number]!
    const length = strings.end.array[number]! - start
    if (length === 0) return 0
    if (!strings.look(number)) this.hasBadString = true
    const row = this.strings.add(number, start, length)
    usedStrings.set(number, row)
    this.sizeBytes += messageBytes(length)
    return row
  }

  /** Row of a location of the dictionary. */
  location(index: number): number {
    const request = this.#request!
    checkIndex(index, request.dictionary.locations.count, 'location')
    const known = request.usedLocations.get(index)
    return known >= 0 ? known : this.#addLocation(request, index)
  }

  #addLocation(request: RequestTables, index: number): number {
    const { locations, functions, usedFunctions } = request
    const first = locations.lineStart[index]!
    const end = locations.lineStart[index + 1]!
    // Functions before their location, and all that it names before its mapping.
    for (let line = first; line < end; line++) {
      const functionIndex = locations.lineFunction[line]!
      checkIndex(functionIndex, request.dictionary.functions.count, 'function')
      if (usedFunctions.get(functionIndex) < 0) this.#addFunction(request, functions, functionIndex)
    }
    const flags = end > first ? request.flagsOf(first, end) : 0
    const mapping = this.#mapping(locations.mapping[index]!, flags)
    const rows = this.locations
    const row = rows.add(mapping, locations.address.lo[index]!, locations.address.hi[index]!)
    let bytes = fieldBytes(row + 1) + (mapping === NO_ROW ? 0 : fieldBytes(mapping + 1))
    bytes += copiedBytes(locations.addressEnd[index]! - locations.addressAt[index]!)
    for (let line = first; line < end; line++) {
      const functionRow = usedFunctions.get(locations.lineFunction[line]!)
      rows.addLine(functionRow, locations.lineNumber.lo[line]!, locations.lineNumber.hi[line]!)
      const numberBytes = copiedBytes(locations.lineEnd[line]! - locations.lineAt[line]!)
      bytes += messageBytes(fieldBytes(functionRow + 1) + numberBytes)
    }
    rows.lineStart[row + 1] = rows.lineCount
    this.sizeBytes += messageBytes(bytes)
    request.usedLocations.set(index, row)
    return row
  }

  #addFunction(request: RequestTables, functions: FunctionColumns, index: number): void {
    const name = this.string(request.string(functions.name[index]!))
    const systemName = this.string(request.string(functions.systemName[index]!))
    const filename = this.string(request.string(functions.filename[index]!))
    const { lo, hi } = functions.startLine
    const row = this.functions.add(name, systemName, filename)
    this.functions.startLine.lo[row] = lo[index]!
    this.functions.startLine.hi[row] = hi[index]!
    const startLineBytes = copiedBytes(functions.startLineEnd[index]! - functions.startLineAt[index]!)
    const textBytes = fieldBytes(name) + fieldBytes(systemName) + fieldBytes(filename)
    this.sizeBytes += messageBytes(fieldBytes(row + 1) + textBytes + startLineBytes)
    request.usedFunctions.set(index, row)
  }

  /** `NO_ROW` for the null entry. `flags`: what the location has, 0 = nothing but its address. */
  #mapping(index: number, flags: number): number {
    const { dictionary, usedMappings } = this.#request!
    if (index === 0 && isNullEntry(dictionary.mappings)) return NO_ROW
    checkIndex(index, dictionary.mappings.count, 'mapping')
    const slot = index * 2 + (flags === 0 ? 0 : 1)
    let row = usedMappings.get(slot)
    if (row < 0) {
      row = this.mappings.add(slot, flags)
      usedMappings.set(slot, row)
    }
    this.mappings.flags[row]! &= flags
    return row
  }

  /** At the end, when all locations of each mapping have been seen. */
  finish(): void {
    const request = this.#request!
    const mappings = this.mappings
    for (let row = 0; row < mappings.count; row++) {
      const { range, rangeBytes, filename, buildId } = request.mapping(mappings.slot[row]! >>> 1)
      const filenameRow = this.string(filename)
      const buildIdRow = buildId < 0 ? 0 : this.string(buildId)
      mappings.set(row, range, filenameRow, buildIdRow)
      let bytes = fieldBytes(row + 1) + fieldBytes(filenameRow) + fieldBytes(buildIdRow)
      for (const varint of rangeBytes) bytes += copiedBytes(varint)
      const flags = mappings.flags[row]!
      for (let flag = HAS_FUNCTIONS; flag <= HAS_LINE_NUMBERS; flag *= 2) if ((flags & flag) !== 0) bytes += 2
      this.sizeBytes += messageBytes(bytes)
    }
  }
}

function isNullEntry(table: EntryRanges): boolean {
  return table.count === 0 || table.start.array[0] === table.end.array[0]
}
