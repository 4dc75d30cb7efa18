/**
 * Numbers of a profile's locations by what they say: rows with equal mapping, address and lines have one number. Addresses of
 * mappings that have functions say nothing, as where symbols are stored (core/segment/profile-symbols.ts).
 *
 * Numbers count from 1 in the order of rows.
 */
import { viewString } from './added-strings.ts'
import { type DecodedProfile, NO_ROW } from './profile.ts'

const HAS_FUNCTIONS = 1

const decoder = new TextDecoder()

/** By location row. */
export function locationIds(profile: DecodedProfile): Uint32Array {
  const functionIds = numberRows(profile.functionCount, functionKey(profile))
  const { locationLineStart, lineFunction, lineNumber, locationMapping, locationAddress } = profile
  return numberRows(profile.locationCount, (row) => {
    const mapping = locationMapping[row]!
    const isNamed = mapping !== NO_ROW && (profile.mappingFlags[mapping]! & HAS_FUNCTIONS) !== 0
    let key = isNamed ? `${mapping}` : `${mapping}:${locationAddress.hi[row]}:${locationAddress.lo[row]}`
    for (let line = locationLineStart[row]!; line < locationLineStart[row + 1]!; line++) {
      key += ` ${functionIds[lineFunction[line]!]}:${lineNumber.hi[line]}:${lineNumber.lo[line]}`
    }
    return key
  })
}

function functionKey(profile: DecodedProfile): (row: number) => string {
  const stringIds = numberRows(profile.stringCount, (row) => decoder.decode(viewString(profile, row)))
  const { functionName, functionSystemName, functionFilename, functionStartLine } = profile
  return (row) =>
    `${stringIds[functionName[row]!]} ${stringIds[functionSystemName[row]!]} ${stringIds[functionFilename[row]!]} ` +
    `${functionStartLine.hi[row]}:${functionStartLine.lo[row]}`
}

function numberRows(count: number, keyOf: (row: number) => string): Uint32Array {
  const ids = new Uint32Array(count)
  const idByKey = new Map<string, number>()
  for (let row = 0; row < count; row++) {
    const key = keyOf(row)
    let id = idByKey.get(key)
    if (id === undefined) {
      id = idByKey.size + 1
      idByKey.set(key, id)
    }
    ids[row] = id
  }
  return ids
}
