/**
 * Maps one decoded profile's tables into a table of symbols, row by row and only where a kept sample points:
 * what no sample uses is never stored.
 *
 * What a row was mapped to is remembered with the digest of the tables' bytes: agents that send the same tables with
 * every profile (heap, mutex and block profiles of Go; whatever goes through a converter) pay for their symbols once.
 *
 * Normalisation that belongs to locations, as clients of Pyroscope expect it: a location with neither line nor address, or
 * with a dangling function, does not exist, and a sample that names it is dropped before any of it is mapped; a dangling
 * mapping is none; addresses of mappings that have functions are zeroed, together with the mapping's memory range, so
 * that equal frames of different processes are equal.
 */
import { NO_ROW, type DecodedProfile } from '../pprof/profile.ts'
import type { LocationRow, SymbolsBuilder } from '../symbols/builder.ts'

const UNKNOWN = 0xffffffff
const ABSENT = 0xfffffffe
/** Looked at and there, but not mapped: no kept sample has named it yet. */
const PRESENT = 0xfffffffd
const HAS_FUNCTIONS = 1

/** Five kinds of profile from a Go process, some with tables that never repeat, and room for a second build. */
export const TABLE_MEMOS_MAX = 8
const DIGEST_BYTES = 16

/** By row of the profile's tables: the row of the builder, or what is known of it. */
class TableRows {
  digest: Uint8Array | undefined
  usedAt = 0
  string = new Uint32Array(32)
  function = new Uint32Array(16)
  mapping = new Uint32Array(16)
  location = new Uint32Array(16)

  begin(profile: DecodedProfile, digest: Uint8Array | undefined): void {
    this.digest = digest
    this.string = cleared(this.string, profile.stringCount)
    this.function = cleared(this.function, profile.functionCount)
    this.mapping = cleared(this.mapping, profile.mappingCount)
    this.location = cleared(this.location, profile.locationCount)
  }

  get sizeBytes(): number {
    const columns = [this.string, this.function, this.mapping, this.location]
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}

export class ProfileSymbols {
  readonly #builder: SymbolsBuilder
  #profile: DecodedProfile | undefined
  readonly #memos: TableRows[] = []
  #begins = 0
  #rows = new TableRows()
  #stack = new Uint32Array(32)
  readonly #row: LocationRow = {
    mapping: 0,
    addressLo: 0,
    addressHi: 0,
    folded: 0,
    lineCount: 0,
    lineFunction: new Uint32Array(16),
    lineLo: new Uint32Array(16),
    lineHi: new Uint32Array(16),
  }

  constructor(builder: SymbolsBuilder) {
    this.#builder = builder
  }

  /** Profiles with equal `tablesDigest` have equal tables, byte by byte; undefined = not known. */
  begin(profile: DecodedProfile, tablesDigest?: Uint8Array): void {
    this.#profile = profile
    if (this.#stack.length < profile.sampleDepthMax) this.#stack = new Uint32Array(profile.sampleDepthMax * 2)
    this.#begins++
    const known = this.#memos.find(({ digest }) => isEqual(digest, tablesDigest))
    this.#rows = known ?? this.#leastRecent()
    this.#rows.usedAt = this.#begins
    if (known === undefined) this.#rows.begin(profile, tablesDigest)
  }

  get sizeBytes(): number {
    const { lineFunction, lineLo, lineHi } = this.#row
    const scratch = this.#stack.byteLength + lineFunction.byteLength + lineLo.byteLength + lineHi.byteLength
    return this.#memos.reduce((sum, memo) => sum + memo.sizeBytes, scratch)
  }

  /** Tables without a digest take the place of others without one: they leave the memos alone. */
  #leastRecent(): TableRows {
    let oldest = this.#memos.find(({ digest }) => digest === undefined)
    if (oldest === undefined && this.#memos.length < TABLE_MEMOS_MAX) {
      oldest = new TableRows()
      this.#memos.push(oldest)
    }
    return oldest ?? this.#memos.reduce((a, b) => (b.usedAt < a.usedAt ? b : a))
  }

  /** Stack id of a sample, its root-most `depthMax` frames (0 = all); -1 if it names a location that does not exist. */
  stackOf(sample: number, depthMax: number): number {
    const profile = this.#profile!
    const end = profile.sampleLocationStart[sample + 1]!
    let start = profile.sampleLocationStart[sample]!
    // pprof lists the leaf first, so the leaf side is what a depth limit takes away.
    if (depthMax > 0 && end - start > depthMax) start = end - depthMax
    const stack = this.#stack
    const locations = this.#rows.location
    let depth = 0
    let unmapped = 0
    for (let i = start; i < end; i++) {
      const row = profile.sampleLocation[i]!
      if (row === NO_ROW) return -1
      let id = locations[row]!
      if (id === UNKNOWN) {
        id = this.#isPresent(row) ? PRESENT : ABSENT
        locations[row] = id
      }
      if (id === ABSENT) return -1
      if (id === PRESENT) unmapped++
      stack[depth++] = id
    }
    if (unmapped > 0) this.#mapStack(start, depth)
    return this.#builder.stacks.internStack(stack, 0, depth)
  }

  /** Every location of the stack is there: map those that no stack has named before. */
  #mapStack(start: number, depth: number): void {
    const rows = this.#profile!.sampleLocation
    for (let i = 0; i < depth; i++) {
      const row = rows[start + i]!
      if (this.#rows.location[row] === PRESENT) this.#rows.location[row] = this.#mapLocation(row)
      this.#stack[i] = this.#rows.location[row]!
    }
  }

  #mapString(index: number): number {
    let id = this.#rows.string[index]!
    if (id !== UNKNOWN) return id
    const profile = this.#profile!
    const start = profile.stringStart[index]!
    id = this.#builder.strings.intern(profile.raw, start, start + profile.stringLength[index]!)
    this.#rows.string[index] = id
    return id
  }

  #mapFunction(row: number): number {
    let id = this.#rows.function[row]!
    if (id !== UNKNOWN) return id
    const profile = this.#profile!
    id = this.#builder.internFunction({
      name: this.#mapString(profile.functionName[row]!),
      systemName: this.#mapString(profile.functionSystemName[row]!),
      filename: this.#mapString(profile.functionFilename[row]!),
      startLineLo: profile.functionStartLine.lo[row]!,
      startLineHi: profile.functionStartLine.hi[row]!,
    })
    this.#rows.function[row] = id
    return id
  }

  #mapMapping(row: number): number {
    let id = this.#rows.mapping[row]!
    if (id !== UNKNOWN) return id
    const p = this.#profile!
    const zero = (p.mappingFlags[row]! & HAS_FUNCTIONS) !== 0
    id = this.#builder.internMapping({
      startLo: zero ? 0 : p.mappingStart.lo[row]!,
      startHi: zero ? 0 : p.mappingStart.hi[row]!,
      limitLo: zero ? 0 : p.mappingLimit.lo[row]!,
      limitHi: zero ? 0 : p.mappingLimit.hi[row]!,
      offsetLo: zero ? 0 : p.mappingOffset.lo[row]!,
      offsetHi: zero ? 0 : p.mappingOffset.hi[row]!,
      filename: this.#mapString(p.mappingFilename[row]!),
      buildId: this.#mapString(p.mappingBuildId[row]!),
      flags: p.mappingFlags[row]!,
    })
    this.#rows.mapping[row] = id
    return id
  }

  #isPresent(row: number): boolean {
    const { locationLineStart, locationAddress, lineFunction } = this.#profile!
    const start = locationLineStart[row]!
    const end = locationLineStart[row + 1]!
    for (let line = start; line < end; line++) if (lineFunction[line] === NO_ROW) return false
    return end > start || locationAddress.lo[row] !== 0 || locationAddress.hi[row] !== 0
  }

  #mapLocation(row: number): number {
    const profile = this.#profile!
    const start = profile.locationLineStart[row]!
    const lineCount = profile.locationLineStart[row + 1]! - start
    const out = this.#row
    if (lineCount > out.lineFunction.length) this.#growLines(lineCount)
    for (let i = 0; i < lineCount; i++) {
      out.lineFunction[i] = this.#mapFunction(profile.lineFunction[start + i]!)
      out.lineLo[i] = profile.lineNumber.lo[start + i]!
      out.lineHi[i] = profile.lineNumber.hi[start + i]!
    }
    const mapping = profile.locationMapping[row]!
    const zero = mapping !== NO_ROW && (profile.mappingFlags[mapping]! & HAS_FUNCTIONS) !== 0
    out.mapping = mapping === NO_ROW ? 0 : this.#mapMapping(mapping) + 1
    out.addressLo = zero ? 0 : profile.locationAddress.lo[row]!
    out.addressHi = zero ? 0 : profile.locationAddress.hi[row]!
    out.folded = profile.locationFolded[row]!
    out.lineCount = lineCount
    return this.#builder.internLocation(out)
  }

  #growLines(count: number): void {
    this.#row.lineFunction = new Uint32Array(count * 2)
    this.#row.lineLo = new Uint32Array(count * 2)
    this.#row.lineHi = new Uint32Array(count * 2)
  }
}

function cleared(array: Uint32Array<ArrayBuffer>, count: number): Uint32Array<ArrayBuffer> {
  if (array.length < count) return new Uint32Array(count * 2).fill(UNKNOWN)
  array.fill(UNKNOWN, 0, count)
  return array
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return false
  for (let i = 0; i < DIGEST_BYTES; i++) if (a[i] !== b[i]) return false
  return true
}
