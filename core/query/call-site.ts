/**
 * Call sites: a list of function names from the root. A stack is under the call site if its names begin with the list.
 *
 * Decided on the function level, where a path of names is one node: a node knows how many names of the list its path
 * has met, or that it left the list. Stacks ask their node. Works for flame graphs and for profiles with lines alike, so
 * that both keep the same stacks.
 */
import type { FunctionLevel } from '../symbols/function-level.ts'

export interface NamedStacks {
  readonly level: FunctionLevel
  /** Line-level node by stack. */
  readonly stackNode: Uint32Array
  /** Bytes of a row of the level's name table. */
  readonly viewName: (name: number) => Uint8Array
  /** The table itself, where names lie one after the other: a view of each costs a quarter of what inserting it does. */
  readonly nameTable?: NameColumns | undefined
}

/** Name i is bytes[offset[i], offset[i + 1]). */
export interface NameColumns {
  readonly bytes: Uint8Array
  readonly offset: Uint32Array
}

const LEFT = -1

/** 1 for every stack under the call site. */
export function stacksUnder({ level, stackNode, viewName }: NamedStacks, callSite: readonly string[]): Uint8Array {
  const nameAt = wantedNames(level, viewName, callSite)
  const met = new Int32Array(level.nodeCount)
  for (let node = 1; node < level.nodeCount; node++) {
    const before = met[level.parent[node]!]!
    if (before === LEFT || before === callSite.length) met[node] = before
    else met[node] = nameAt.get(level.name[node]!)?.includes(before) === true ? before + 1 : LEFT
  }
  const under = new Uint8Array(stackNode.length)
  for (let stack = 0; stack < under.length; stack++) {
    const node = level.nodeToFunctionNode[stackNode[stack]!]!
    under[stack] = met[node] === callSite.length ? 1 : 0
  }
  return under
}

/** At which places of the list a name stands, by row of the level's name table. */
function wantedNames(
  level: FunctionLevel,
  viewName: (name: number) => Uint8Array,
  callSite: readonly string[],
): ReadonlyMap<number, readonly number[]> {
  const placesOf = new Map<string, number[]>()
  callSite.forEach((name, place) => {
    const places = placesOf.get(name)
    if (places === undefined) placesOf.set(name, [place])
    else places.push(place)
  })
  const decoder = new TextDecoder()
  const seen = new Set<number>()
  const wanted = new Map<number, readonly number[]>()
  for (let node = 1; node < level.nodeCount; node++) {
    const name = level.name[node]!
    if (seen.has(name)) continue
    seen.add(name)
    const places = placesOf.get(decoder.decode(viewName(name)))
    if (places !== undefined) wanted.set(name, places)
  }
  return wanted
}
