/**
 * Flame graphs of profile files that people only look at: read, the chosen sample type laid out, as text. From bytes to
 * bytes, because a file of 10 MiB takes seconds: the work is done where answers end (answer-task.ts).
 *
 * What comes out is a line of JSON that says what was shown, and behind it the JSON of the graph.
 */
import { invalidArgument } from '../errors.ts'
import { cutTree } from '../flamegraph/cut.ts'
import { cutPair, flameGraphDiffOf } from '../flamegraph/diff.ts'
import { flameGraphOf } from '../flamegraph/flamegraph.ts'
import { flamebearerDiffText, flamebearerText } from '../flamegraph/graph-text.ts'
import { type ProfileTree, readProfileTrees } from '../flamegraph/profile-trees.ts'
import type { DecodeLimits } from '../pprof/decode.ts'

interface FileWish {
  readonly limits: DecodeLimits
  /** Name of the sample type; undefined: the first. */
  readonly type: string | undefined
  readonly maxNodes: number
}

/** One part a side: an uncompressed file. */
export type FileTask =
  | (FileWish & { readonly kind: 'file'; readonly parts: readonly Uint8Array[] })
  | (FileWish & {
      readonly kind: 'file-diff'
      readonly parts: readonly Uint8Array[]
      readonly right: readonly Uint8Array[]
    })

export interface FileGraph {
  readonly type: string
  readonly unit: string
  /** All that could be shown. */
  readonly types: readonly string[]
  /** JSON of the flame graph, or of the difference with its ticks. */
  readonly graph: string
}

const LINE_FEED = 0x0a

/** Fails with `invalid_argument`. */
export function runFileTask(task: FileTask): Uint8Array {
  const { limits, type, maxNodes } = task
  const left = readProfileTrees(task.parts[0]!, limits)
  if (task.kind === 'file') {
    const chosen = chooseType(left, type)
    const graph = flamebearerText(flameGraphOf(cutTree(chosen.tree, maxNodes)))
    return encode(chosen, { types: left.map((each) => each.type), graph })
  }
  const right = readProfileTrees(task.right[0]!, limits)
  // Those that both have, in the order of the left one.
  const types = left.map((each) => each.type).filter((each) => right.some((other) => other.type === each))
  if (types.length === 0) throw invalidArgument('the profiles have no sample type in common', 'profile_type')
  const chosen = chooseType(left, type ?? types[0])
  const pair = cutPair(chosen.tree, chooseType(right, chosen.type).tree, maxNodes)
  return encode(chosen, { types, graph: flamebearerDiffText(flameGraphDiffOf(pair)) })
}

export function readFileGraph(answer: Uint8Array): FileGraph {
  const end = answer.indexOf(LINE_FEED)
  const text = new TextDecoder()
  const shown = JSON.parse(text.decode(answer.subarray(0, end))) as Omit<FileGraph, 'graph'>
  return { ...shown, graph: text.decode(answer.subarray(end + 1)) }
}

function encode({ type, unit }: ProfileTree, { types, graph }: Pick<FileGraph, 'types' | 'graph'>): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ type, unit, types })}\n${graph}`)
}

function chooseType(trees: readonly ProfileTree[], type: string | undefined): ProfileTree {
  const chosen = type === undefined || type === '' ? trees[0] : trees.find((each) => each.type === type)
  if (chosen !== undefined) return chosen
  const known = trees.map((each) => each.type).join(', ')
  throw invalidArgument(`the profile has no sample type ${JSON.stringify(type)}: it has ${known}`, 'profile_type')
}
