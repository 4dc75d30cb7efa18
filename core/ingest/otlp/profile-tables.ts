/**
 * The tables of one profile, made of those entries of a request's dictionary that its samples name, each once and in
 * order of first use: columns as of a decoded pprof (core/pprof/profile.ts).
 *
 * 1. An entry gets its row at first use; `RequestTables` remembers it until the next profile.
 * 2. A location comes after its functions and their strings; a mapping is written when all its locations are known.
 * 3. At the end the columns are gathered, all rows of one after another (profile-rows.ts).
 * 4. A mapping of which some locations have lines and some have none becomes two: symbols are complete in one, and
 *    addresses are kept in the other, to be symbolised by build id.
 * 5. What all this would take as pprof is counted on the way (`sizeBytes`).
 *
 * Entry 0 of a table is the null entry by the specification, but there are clients that use it: it is read like any other,
 * and only a mapping of index 0 that is empty is none.
 * Must not: copy a string.
 */
import { NO_ROW } from '../../pprof/profile.ts'
import { checkIndex } from './attributes.ts'
import { fieldBytes, messageBytes } from './pprof-size.ts'
import { FunctionRows, LocationRows, MappingRows, StringColumns } from './profile-rows.ts'
import { STRING_EMPTY, STRING_INVALID } from './request-strings.ts'
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
    this.strings.add(0)
    this.sizeBytes = messageBytes(0)
    this.hasBadString = false
  }

  /** Row of a text that is ours. */
  text(text: string): number {
    return text === '' ? 0 : this.string(this.#request!.strings.numberOf(text))
  }

  /** Row of a string by its number in the request. */
  string(number: number): number {
    const { usedStrings } = this.#request!
    // Past the end it is undefined, and no number.
    const known = usedStrings.rows[number]! - usedStrings.base
    return known >= 0 ? known : this.#addString(number)
  }

  #addString(number: number): number {
    const { strings, usedStrings } = this.#request!
    usedStrings.reserve(strings.count)
    const kind = strings.kindOf(number)
    if (kind === STRING_EMPTY) {
      usedStrings.set(number, 0)
      return 0
    }
    if (kind === STRING_INVALID) this.hasBadString = true
    const row = this.strings.add(number)
    usedStrings.set(number, row)
    this.sizeBytes += messageBytes(strings.lengthOf(number))
    return row
  }

  /** Row of a location of the dictionary. */
  location(index: number): number {
    const request = this.#request!
    const { usedLocations } = request
    const known = usedLocations.rows[index]! - usedLocations.base
    if (known >= 0) return known
    checkIndex(index, request.dictionary.locations.count, 'location')
    return this.#addLocation(request, index)
  }

  #addLocation(request: RequestTables, index: number): number {
    const { locations, usedFunctions } = request
    const first = locations.lineStart[index]!
    const end = locations.lineStart[index + 1]!
    let lineBytes = 0
    // Functions before their location, and all that it names before its mapping.
    for (let line = first; line < end; line++) {
      const functionIndex = locations.lineFunction[line]!
      let functionRow = usedFunctions.rows[functionIndex]! - usedFunctions.base
      if (!(functionRow >= 0)) functionRow = this.#addFunction(request, functionIndex)
      lineBytes += messageBytes(fieldBytes(functionRow + 1) + locations.lineNumberBytes[line]!)
    }
    const mapping = this.#mapping(locations.mapping[index]!, end > first ? request.flagsOf(index) : 0)
    const row = this.locations.add(index, mapping, end - first)
    const mappingBytes = mapping === NO_ROW ? 0 : fieldBytes(mapping + 1)
    this.sizeBytes += messageBytes(fieldBytes(row + 1) + mappingBytes + locations.addressBytes[index]! + lineBytes)
    request.usedLocations.set(index, row)
    return row
  }

  #addFunction(request: RequestTables, index: number): number {
    const { functions } = request
    checkIndex(index, request.dictionary.functions.count, 'function')
    const name = this.string(request.string(functions.name[index]!))
    const systemName = this.string(request.string(functions.systemName[index]!))
    const filename = this.string(request.string(functions.filename[index]!))
    const row = this.functions.add(index)
    const textBytes = fieldBytes(name) + fieldBytes(systemName) + fieldBytes(filename)
    this.sizeBytes += messageBytes(fieldBytes(row + 1) + textBytes + functions.startLineBytes[index]!)
    request.usedFunctions.set(index, row)
    return row
  }

  /** `NO_ROW` for the null entry. `flags`: what the location has, 0 = nothing but its address. */
  #mapping(index: number, flags: number): number {
    const { dictionary, usedMappings, hasNullMapping } = this.#request!
    if (index === 0 && hasNullMapping) return NO_ROW
    const slot = index * 2 + (flags === 0 ? 0 : 1)
    let row = usedMappings.get(slot)
    if (!(row >= 0)) {
      checkIndex(index, dictionary.mappings.count, 'mapping')
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
      const filenameRow = filename < 0 ? 0 : this.string(filename)
      const buildIdRow = buildId < 0 ? 0 : this.string(buildId)
      mappings.set(row, range, filenameRow, buildIdRow)
      let bytes = fieldBytes(row + 1) + fieldBytes(filenameRow) + fieldBytes(buildIdRow) + rangeBytes
      const flags = mappings.flags[row]!
      for (let flag = HAS_FUNCTIONS; flag <= HAS_LINE_NUMBERS; flag *= 2) if ((flags & flag) !== 0) bytes += 2
      this.sizeBytes += messageBytes(bytes)
    }
    this.strings.gather(request.strings)
    // Of a dictionary whose functions nobody names they may be wrong.
    if (this.functions.count > 0) this.functions.gather(request.functions, request.usedStrings)
    if (this.locations.count > 0) this.locations.gather(request.locations, request.usedFunctions)
  }
}
