/**
 * What a profile of OTLP says, as words: its tables with the lanes of its strings, its samples, its own fields. Rows are
 * numbered by first use, so that profiles which say the same have the same words, however the dictionary of their
 * request is arranged: a sender that splits or joins requests before it tries again sends the same profiles.
 *
 * Counts come before what they count, so that no two profiles run into the same words.
 */
import { assert } from '../../assert.ts'
import type { DecodedProfile } from '../../pprof/profile.ts'
import type { Int64Column } from '../../wire/int64.ts'
import type { StringColumns } from './profile-rows.ts'
import { type RequestStrings, STRING_LANES } from './request-strings.ts'

/** Fields of the head, counts of tables and samples. */
const FIXED_WORDS = 64

/** `numbers`: of the profile's strings, in its request. */
export function writeContent(
  profile: DecodedProfile,
  { numbers, strings }: { readonly numbers: StringColumns; readonly strings: RequestStrings },
  words: Words,
): void {
  words.begin(sizeOf(profile, numbers.count))
  writeHead(profile, words)
  words.add(numbers.count)
  words.addLanes(numbers.number, numbers.count, strings.lanes.array)
  writeTables(profile, words)
  writeSamples(profile, words)
}

const wideValue = new BigInt64Array(1)
const wideLanes = new Uint32Array(wideValue.buffer)

/** Written without a look at the room that is left: who begins says how many words there will be at most. */
export class Words {
  #words = new Uint32Array(1_024)
  #count = 0

  begin(most: number): void {
    this.#count = 0
    if (most > this.#words.length) this.#words = new Uint32Array(Math.max(most, this.#words.length * 2))
  }

  add(word: number): void {
    this.#words[this.#count++] = word
  }

  addColumn(column: Uint32Array, count: number): void {
    const words = this.#words
    const at = this.#count
    for (let i = 0; i < count; i++) words[at + i] = column[i]!
    this.#count = at + count
  }

  addWide({ lo, hi }: Int64Column, count: number): void {
    this.addColumn(lo, count)
    this.addColumn(hi, count)
  }

  /** Of strings but the first, which is empty. */
  addLanes(numbers: Uint32Array, count: number, lanes: Uint32Array): void {
    const words = this.#words
    let at = this.#count
    for (let row = 1; row < count; row++, at += STRING_LANES) {
      const from = numbers[row]! * STRING_LANES
      for (let lane = 0; lane < STRING_LANES; lane++) words[at + lane] = lanes[from + lane]!
    }
    this.#count = at
  }

  addBig(value: bigint): void {
    wideValue[0] = value
    this.add(wideLanes[0]!)
    this.add(wideLanes[1]!)
  }

  /** Valid until it is begun again. */
  bytes(): Uint8Array {
    assert(this.#count <= this.#words.length, 'content has no more words than it was begun with')
    return new Uint8Array(this.#words.buffer, 0, this.#count * 4)
  }
}

/** At most; columns of numbers of 64 bits are two. */
function sizeOf(profile: DecodedProfile, stringCount: number): number {
  const { functionCount, mappingCount, locationCount, sampleCount } = profile
  const lineCount = profile.locationLineStart[locationCount]!
  const placeCount = profile.sampleLocationStart[sampleCount]!
  const labelCount = profile.sampleLabelStart[sampleCount]!
  const tables = stringCount * STRING_LANES + functionCount * 5 + mappingCount * 9 + locationCount * 4 + lineCount * 3
  return FIXED_WORDS + tables + sampleCount * 4 + placeCount + labelCount * 2
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
