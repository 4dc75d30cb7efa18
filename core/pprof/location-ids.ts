/**
 * Numbers of a profile's locations by what they say: rows with equal mapping, address and lines have one number. Addresses of
 * mappings that have functions say nothing, as where symbols are stored (core/segment/profile-symbols.ts).
 *
 * Numbers count from 1 in the order of rows. Strings are compared by their index, which is one per text in what Go writes:
 * two equal strings at two indices make two locations of one.
 */
import { type DecodedProfile, NO_ROW } from './profile.ts'

const HAS_FUNCTIONS = 1

/** By location row. */
export function locationIds(profile: DecodedProfile): Uint32Array {
  const functionIds = functionIdsOf(profile)
  const { locationLineStart, lineFunction, lineNumber, locationMapping, locationAddress } = profile
  const paths = new Paths()
  const ids = new Uint32Array(profile.locationCount)
  const idByPath = new Map<number, number>()
  for (let row = 0; row < profile.locationCount; row++) {
    const mapping = locationMapping[row]!
    const isNamed = mapping !== NO_ROW && (profile.mappingFlags[mapping]! & HAS_FUNCTIONS) !== 0
    let path = paths.step(0, mapping)
    if (!isNamed) path = paths.step(paths.step(path, locationAddress.hi[row]!), locationAddress.lo[row]!)
    for (let line = locationLineStart[row]!; line < locationLineStart[row + 1]!; line++) {
      path = paths.step(path, functionIds[lineFunction[line]!] ?? NO_ROW)
      path = paths.step(paths.step(path, lineNumber.hi[line]!), lineNumber.lo[line]!)
    }
    let id = idByPath.get(path)
    if (id === undefined) {
      id = idByPath.size + 1
      idByPath.set(path, id)
    }
    ids[row] = id
  }
  return ids
}

/** Of equal functions one number. */
function functionIdsOf(profile: DecodedProfile): Uint32Array {
  const { functionName, functionSystemName, functionFilename, functionStartLine } = profile
  const paths = new Paths()
  const ids = new Uint32Array(profile.functionCount)
  for (let row = 0; row < profile.functionCount; row++) {
    let path = paths.step(0, functionName[row]!)
    path = paths.step(paths.step(path, functionSystemName[row]!), functionFilename[row]!)
    ids[row] = paths.step(paths.step(path, functionStartLine.hi[row]!), functionStartLine.lo[row]!)
  }
  return ids
}

/** 2^21 nodes of one step each fit beside 32 bits into an exact double; beyond them a key is a text. */
const STEP = 2 ** 32
const EXACT_NODES_MAX = 2 ** 21

/** Sequences of numbers below 2^32 as nodes of a tree: equal ones end in one node. */
class Paths {
  readonly #nodes = new Map<number | string, number>()

  step(node: number, symbol: number): number {
    const key = node < EXACT_NODES_MAX ? node * STEP + symbol : `${node} ${symbol}`
    let next = this.#nodes.get(key)
    if (next === undefined) {
      next = this.#nodes.size + 1
      this.#nodes.set(key, next)
    }
    return next
  }
}
