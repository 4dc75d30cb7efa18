/**
 * What a profile of OTLP says, as words: its tables with the lanes of its strings, its samples, its own fields. Rows are
 * numbered by first use, so that profiles which say the same have the same words, however the dictionary of their
 * request is arranged: a sender that splits or joins requests before it tries again sends the same profiles.
 *
 * Counts come before what they count, so that no two profiles run into the same words.
 */
import type { DecodedProfile } from '../../pprof/profile.ts'
import type { Int64Column } from '../../wire/int64.ts'
import type { StringColumns } from './profile-rows.ts'
import { type RequestStrings, STRING_LANES } from './request-strings.ts'

/** `numbers`: of the profile's strings, in its request. */
export function writeContent(
  profile: DecodedProfile,
  { numbers, strings }: { readonly numbers: StringColumns; readonly strings: RequestStrings },
  words: Words,
): void {
  words.clear()
  writeHead(profile, words)
  words.add(numbers.count)
  const { lanes } = strings
  for (let row = 1; row < numbers.count; row++) {
    const at = numbers.number[row]! * STRING_LANES
    for (let lane = at; lane < at + STRING_LANES; lane++) words.add(lanes.array[lane]!)
  }
  writeTables(profile, words)
  writeSamples(profile, words)
}

const wideValue = new BigInt64Array(1)
const wideLanes = new Uint32Array(wideValue.buffer)

export class Words {
  #words = new Uint32Array(1_024)
  #count = 0

  add(word: number): void {
    if (this.#count === this.#words.length) this.#reserve(1)
    this.#words[this.#count++] = word
  }

  clear(): void {
    this.#count = 0
  }

  addColumn(column: Uint32Array, count: number): void {
    this.#reserve(count)
    const words = this.#words
    let at = this.#count
    for (let i = 0; i < count; i++) words[at++] = column[i]!
    this.#count = at
  }

  addWide({ lo, hi }: Int64Column, count: number): void {
    this.addColumn(lo, count)
    this.addColumn(hi, count)
  }

  addBig(value: bigint): void {
    wideValue[0] = value
    this.add(wideLanes[0]!)
    this.add(wideLanes[1]!)
  }

  /** Valid until more is added. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer, 0, this.#count * 4)
  }

  #reserve(extra: number): void {
    const needed = this.#count + extra
    if (needed <= this.#words.length) return
    const grown = new Uint32Array(Math.max(needed, this.#words.length * 2))
    grown.set(this.#words.subarray(0, this.#count))
    this.#words = grown
  }
}

function writeHead(profile: DecodedProfile, words: Words): void {
  const { periodType } = profile
  for (const { type, unit } of profile.sampleTypes) {
    words.add(type)
    words.add(unit)
  }
  words.add(periodType?.type ?? 0)
  words.add(periodType?.unit ?? 0)
  words.addBig(profile.period)
  words.addBig(profile.timeNanos)
  words.addBig(profile.durationNanos)
}

function writeTables(profile: DecodedProfile, words: Words): void {
  const { functionCount, mappingCount, locationCount, locationLineStart } = profile
  const lineCount = locationLineStart[locationCount]!
  words.add(functionCount)
  words.add(mappingCount)
  words.add(locationCount)
  words.add(lineCount)
  words.addColumn(profile.functionName, functionCount)
  words.addColumn(profile.functionSystemName, functionCount)
  words.addColumn(profile.functionFilename, functionCount)
  words.addWide(profile.functionStartLine, functionCount)
  words.addWide(profile.mappingStart, mappingCount)
  words.addWide(profile.mappingLimit, mappingCount)
  words.addWide(profile.mappingOffset, mappingCount)
  words.addColumn(profile.mappingFilename, mappingCount)
  words.addColumn(profile.mappingBuildId, mappingCount)
  for (let row = 0; row < mappingCount; row++) words.add(profile.mappingFlags[row]!)
  words.addColumn(profile.locationMapping, locationCount)
  words.addWide(profile.locationAddress, locationCount)
  words.addColumn(locationLineStart, locationCount)
  words.addColumn(profile.lineFunction, lineCount)
  words.addWide(profile.lineNumber, lineCount)
}

function writeSamples(profile: DecodedProfile, words: Words): void {
  const { sampleCount, sampleLocationStart, sampleLabelStart } = profile
  const labelCount = sampleLabelStart[sampleCount]!
  const placeCount = sampleLocationStart[sampleCount]!
  words.add(sampleCount)
  words.add(placeCount)
  words.add(labelCount)
  words.addColumn(sampleLocationStart, sampleCount)
  words.addColumn(profile.sampleLocation, placeCount)
  words.addWide(profile.sampleValue, sampleCount)
  words.addColumn(sampleLabelStart, sampleCount)
  words.addColumn(profile.labelKey, labelCount)
  words.addColumn(profile.labelString, labelCount)
}
