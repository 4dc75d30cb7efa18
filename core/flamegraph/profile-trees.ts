/**
 * Function trees of one profile file, one for each of its sample types: what is shown of a file that is only looked at.
 *
 * Read are pprof, the JSON of the render endpoints, and lines of collapsed stacks (`root;leaf 12`). Inlined lines are frames of their own; a location without
 * lines is named by its address.
 */
import { invalidArgument } from '../errors.ts'
import { readFlamebearer } from './read-flamebearer.ts'
import { FunctionTree } from './tree.ts'
import { getBigInt } from '../wire/int64.ts'
import { type DecodeLimits, ProfileDecoder } from '../pprof/decode.ts'
import { type DecodedProfile, NO_ROW } from '../pprof/profile.ts'
import { stringAt } from '../pprof/string-table.ts'

export interface ProfileTree {
  readonly type: string
  readonly unit: string
  readonly tree: FunctionTree
}

/** Of the uncompressed file. Fails with `invalid_argument`. */
export function readProfileTrees(raw: Uint8Array, limits: DecodeLimits): ProfileTree[] {
  const decoded = new ProfileDecoder().decode(raw, limits)
  if (decoded.ok && decoded.profile.sampleTypes.length > 0 && decoded.profile.valueCountMismatches === 0) {
    return treesOf(decoded.profile)
  }
  const text = textOf(raw)
  const saved = text === undefined ? undefined : readFlamebearer(parseJson(text))
  if (saved !== undefined) return [{ type: saved.name, unit: saved.units, tree: saved.tree }]
  const collapsed = text === undefined ? undefined : readCollapsed(text)
  if (collapsed !== undefined) return [{ type: 'samples', unit: 'count', tree: collapsed }]
  const why = decoded.ok ? 'its samples do not match its sample types' : decoded.fault.message
  const message = `the file is neither pprof (${why}) nor a flame graph as JSON nor lines of collapsed stacks`
  throw invalidArgument(message, 'malformed_profile')
}

function treesOf(profile: DecodedProfile): ProfileTree[] {
  const { sampleTypes, sampleCount, sampleLocationStart, sampleLocation, sampleValue } = profile
  const trees = sampleTypes.map(({ type, unit }) => ({
    type: stringAt(profile, type),
    unit: stringAt(profile, unit),
    tree: new FunctionTree(),
  }))
  const namesOf = Array.from({ length: profile.locationCount }, (_, location) => frameNames(profile, location))
  for (let sample = 0; sample < sampleCount; sample++) {
    const end = sampleLocationStart[sample + 1]!
    trees.forEach(({ tree }, type) => {
      const at = sample * trees.length + type
      if (getBigInt(sampleValue, at) === 0n) return
      let node = 0
      for (let i = end - 1; i >= sampleLocationStart[sample]!; i--) {
        const location = sampleLocation[i]!
        for (const name of location === NO_ROW ? [] : namesOf[location]!) node = tree.child(node, tree.internText(name))
      }
      if (node !== 0) tree.addSelf(node, sampleValue.lo[at]!, sampleValue.hi[at]!)
    })
  }
  return trees
}

/** Outermost first. */
function frameNames(profile: DecodedProfile, location: number): string[] {
  const names: string[] = []
  const { locationLineStart, lineFunction, functionName, locationAddress } = profile
  for (let line = locationLineStart[location + 1]! - 1; line >= locationLineStart[location]!; line--) {
    const row = lineFunction[line]!
    if (row !== NO_ROW) names.push(stringAt(profile, functionName[row]!))
  }
  if (names.length > 0) return names
  return [`0x${BigInt.asUintN(64, getBigInt(locationAddress, location)).toString(16)}`]
}

function textOf(raw: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw)
  } catch {
    return undefined
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** undefined: a line is not one of collapsed stacks, or there is none. */
function readCollapsed(text: string): FunctionTree | undefined {
  const tree = new FunctionTree()
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue
    const [, stack, count] = /^(.+) (\d{1,15})$/.exec(line) ?? []
    if (stack === undefined || count === undefined) return undefined
    let node = 0
    for (const name of stack.split(';')) node = tree.child(node, tree.internText(name))
    const value = Number(count)
    tree.addSelf(node, value >>> 0, Math.floor(value / 2 ** 32))
  }
  return tree.nodeCount > 1 ? tree : undefined
}
