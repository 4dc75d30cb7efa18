/**
 * Function trees of one profile file, one for each of its sample types: what is shown of a file that is only looked at.
 *
 * Read are pprof, the JSON of the render endpoints, lines of collapsed stacks (`root;leaf 12`) and what `perf script` prints.
 * Inlined lines are frames of their own; a location without lines is named by its address. Of several sample types one is
 * shown at a time: a tree is made when it is asked for.
 */
import { invalidArgument } from '../errors.ts'
import { readPerfScript } from './perf-script.ts'
import { readFlamebearer } from './read-flamebearer.ts'
import { FunctionTree } from './tree.ts'
import { getBigInt } from '../wire/int64.ts'
import { type DecodeLimits, ProfileDecoder } from '../pprof/decode.ts'
import { type DecodedProfile, NO_ROW } from '../pprof/profile.ts'
import { stringAt } from '../pprof/string-table.ts'

export interface ProfileTree {
  readonly type: string
  readonly unit: string
  /** Made anew each time. */
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
  const stacks = text === undefined ? undefined : (readCollapsed(text) ?? readPerfScript(text))
  if (stacks !== undefined) return [{ type: 'samples', unit: 'count', tree: stacks }]
  const why = decoded.ok ? 'its samples do not match its sample types' : decoded.fault.message
  const message = `the file is neither pprof (${why}) nor a flame graph as JSON nor lines of collapsed stacks nor of perf script`
  throw invalidArgument(message, 'malformed_profile')
}

function treesOf(profile: DecodedProfile): ProfileTree[] {
  return profile.sampleTypes.map(({ type, unit }, column) => ({
    type: stringAt(profile, type),
    unit: stringAt(profile, unit),
    get tree() {
      return treeOf(profile, column)
    },
  }))
}

function treeOf(profile: DecodedProfile, column: number): FunctionTree {
  const { sampleTypes, sampleCount, sampleLocationStart, sampleLocation, sampleValue } = profile
  const tree = new FunctionTree()
  // A name is looked up once a location: samples have a thousand times as many frames.
  const namesOf = Array.from({ length: profile.locationCount }, (_, location) =>
    frameNames(profile, location).map((name) => tree.internText(name)),
  )
  for (let sample = 0; sample < sampleCount; sample++) {
    const at = sample * sampleTypes.length + column
    if (getBigInt(sampleValue, at) === 0n) continue
    const start = sampleLocationStart[sample]!
    let node = 0
    for (let i = sampleLocationStart[sample + 1]! - 1; i >= start; i--) {
      const location = sampleLocation[i]!
      if (location === NO_ROW) continue
      for (const name of namesOf[location]!) node = tree.child(node, name)
    }
    if (node !== 0) tree.addSelf(node, sampleValue.lo[at]!, sampleValue.hi[at]!)
  }
  return tree
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
