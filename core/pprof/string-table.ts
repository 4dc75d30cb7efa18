/**
 * The string table of a decoded profile: checks that make every later read safe, the cut of long strings, and the one
 * place where bytes become a JavaScript string.
 */
import type { DecodedProfile } from './profile.ts'
import { characterStart, isValidUtf8 } from './utf8.ts'

/** Bytes of a bad string that a message shows. */
const SHOWN_BYTES_MAX = 64

const decoder = new TextDecoder()

/** String `index` of the profile. Costs an allocation: for labels and sample types, not for symbols. */
export function stringAt(profile: Pick<DecodedProfile, 'raw' | 'stringStart' | 'stringLength'>, index: number): string {
  const start = profile.stringStart[index]!
  return decoder.decode(profile.raw.subarray(start, start + profile.stringLength[index]!))
}

/** Why the table or an index into it cannot be used; undefined if all can. `commentMax` is the largest comment index. */
export function checkStrings(profile: DecodedProfile, commentMax: number): string | undefined {
  if (profile.stringCount === 0) return 'the string table is empty: string 0 should be empty string'
  if (profile.stringLength[0] !== 0) return 'string 0 should be empty string'
  return checkIndices(profile, commentMax) ?? checkUtf8(profile)
}

function checkIndices(profile: DecodedProfile, commentMax: number): string | undefined {
  const count = profile.stringCount
  const labels = profile.sampleLabelStart[profile.sampleCount]!
  const columns: readonly (readonly [string, Uint32Array, number])[] = [
    ['function name', profile.functionName, profile.functionCount],
    ['function system name', profile.functionSystemName, profile.functionCount],
    ['function file name', profile.functionFilename, profile.functionCount],
    ['mapping file name', profile.mappingFilename, profile.mappingCount],
    ['mapping build id', profile.mappingBuildId, profile.mappingCount],
    ['sample label name', profile.labelKey, labels],
    ['sample label value', profile.labelString, labels],
    ['sample label unit', profile.labelUnit, labels],
  ]
  for (const [what, column, length] of columns) {
    if (largest(column, length) >= count) return `${what} string index out of range (strings: ${count})`
  }
  for (const type of [...profile.sampleTypes, profile.periodType ?? { type: 0, unit: 0 }]) {
    if (type.type >= count || type.unit >= count)
      return `sample or period type string index out of range (strings: ${count})`
  }
  const others = Math.max(profile.defaultSampleType, profile.dropFrames, profile.keepFrames, commentMax)
  return others >= count ? `string index ${others} out of range (strings: ${count})` : undefined
}

function largest(column: Uint32Array, length: number): number {
  let max = 0
  for (let i = 0; i < length; i++) if (column[i]! > max) max = column[i]!
  return max
}

function checkUtf8(profile: DecodedProfile): string | undefined {
  const { raw, stringStart, stringLength } = profile
  for (let i = 0; i < profile.stringCount; i++) {
    const start = stringStart[i]!
    const end = start + stringLength[i]!
    if (!isValidUtf8(raw, start, end)) return `invalid utf8 string ${i}, hex: ${hex(raw, start, end)}`
  }
  return undefined
}

function hex(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < Math.min(end, start + SHOWN_BYTES_MAX); i++) text += bytes[i]!.toString(16).padStart(2, '0')
  return end - start > SHOWN_BYTES_MAX ? `${text}… (${end - start} bytes)` : text
}

/** Keeps the last `bytesMax` bytes of each string, fewer where that would begin inside a character. True if any was cut. */
export function shortenStrings(profile: DecodedProfile, bytesMax: number): boolean {
  let isCut = false
  const { raw, stringStart, stringLength } = profile
  for (let i = 0; i < profile.stringCount; i++) {
    const length = stringLength[i]!
    if (length <= bytesMax) continue
    const end = stringStart[i]! + length
    const start = characterStart(raw, end - bytesMax, end)
    stringStart[i] = start
    stringLength[i] = end - start
    isCut = true
  }
  return isCut
}
