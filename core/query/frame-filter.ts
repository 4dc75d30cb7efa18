/**
 * Frame filters: whole stacks by the names of their functions, wherever these stand.
 *
 * A stack is kept if every included name and expression is met by one of its frames, and no excluded one by any. One
 * frame may meet several. Expressions are RE2, met anywhere in a name. An empty stack has no frame: no filter keeps it.
 *
 * Decided on the function level, parents first: a node has met what its parent met and what its own name meets, a bit for
 * each term. Every distinct name is looked at once, so that the cost follows names, not stacks times terms.
 */
import { invalidArgument } from '../errors.ts'
import type { RegexCompiler } from '../ports/regex.ts'
import type { FrameFilter } from '../rpc/query-backend.ts'
import type { NamedStacks } from './call-site.ts'

/** Bits of a word, less the one for what is excluded. */
export const INCLUDED_MAX = 31
/** Each is tried on each distinct name: 100 expressions over 100,000 names are a second. */
export const EXCLUDED_MAX = 100
/** Of one name or expression, as long as a symbol may be. */
const TEXT_MAX = 65_535

const EXCLUDED = 0x80000000

export interface CompiledFrameFilter {
  /** By name: the terms that it meets. */
  bitsOf(name: string): number
  /** Of all that must be met. */
  readonly wanted: number
}

export function isEmptyFilter(filter: FrameFilter | undefined): boolean {
  return filter === undefined || Object.values(filter).every((terms) => terms.length === 0)
}

/** Fails with `invalid_argument`. */
export function compileFrameFilter(filter: FrameFilter, regex: RegexCompiler): CompiledFrameFilter {
  const { includeNames, excludeNames, includeExpressions, excludeExpressions } = filter
  const names = [...new Set(includeNames)]
  checkCount('included', names.length + includeExpressions.length, INCLUDED_MAX)
  checkCount('excluded', excludeNames.length + excludeExpressions.length, EXCLUDED_MAX)
  const included = includeExpressions.map((text) => anywhere('include', text, regex))
  const excluded = excludeExpressions.map((text) => anywhere('exclude', text, regex))
  const bitByName = new Map(names.map((name, i) => [name, 1 << i]))
  const without = new Set(excludeNames)
  return {
    wanted: (2 ** (names.length + included.length) - 1) | 0,
    bitsOf(name) {
      if (without.has(name) || excluded.some((meets) => meets(name))) return EXCLUDED
      let bits = bitByName.get(name) ?? 0
      included.forEach((meets, i) => {
        if (meets(name)) bits |= 1 << (names.length + i)
      })
      return bits
    },
  }
}

function checkCount(what: string, count: number, max: number): void {
  if (count > max) {
    throw invalidArgument(`frame_filter has ${count} ${what} functions, at most ${max} are allowed`, 'frame_filter')
  }
}

/** The port anchors; alone first, because `a)(b` would be an expression between brackets. */
function anywhere(kind: string, text: string, regex: RegexCompiler): (name: string) => boolean {
  const meets =
    text.length > TEXT_MAX || regex.compile(text) === undefined ? undefined : regex.compile(`.*(?:${text}).*`)
  if (meets !== undefined) return meets
  const shown = JSON.stringify(text.slice(0, 64))
  throw invalidArgument(`invalid ${kind} function name regex ${shown}: not a valid RE2 expression`, 'frame_filter')
}

/** 1 for every stack that is kept. */
export function stacksThrough({ level, stackNode, viewName }: NamedStacks, filter: CompiledFrameFilter): Uint8Array {
  const { wanted } = filter
  const decoder = new TextDecoder()
  const bitsOfName = new Map<number, number>()
  const met = new Int32Array(level.nodeCount)
  for (let node = 1; node < level.nodeCount; node++) {
    const name = level.name[node]!
    let bits = bitsOfName.get(name)
    if (bits === undefined) {
      bits = filter.bitsOf(decoder.decode(viewName(name)))
      bitsOfName.set(name, bits)
    }
    met[node] = met[level.parent[node]!]! | bits
  }
  const kept = new Uint8Array(stackNode.length)
  for (let stack = 0; stack < kept.length; stack++) {
    const node = level.nodeToFunctionNode[stackNode[stack]!]!
    kept[stack] = node !== 0 && met[node] === wanted ? 1 : 0
  }
  return kept
}
