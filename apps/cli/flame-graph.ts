/**
 * The flame graph of an answer, turned from levels back into a tree. Pure, exact in int64.
 *
 * 1. A level is nodes of four numbers: x offset as the distance to the end of the node before it, total, self, name.
 * 2. A node's parent is the node of the level above whose span [x, x + total) holds its x.
 *
 * Answers are a server's bytes: what does not fit together is an error, never an endless loop or a wrong tree.
 */
import { CinderError } from '#core/errors.ts'

export interface FlameNode {
  readonly name: string
  readonly total: bigint
  readonly self: bigint
  readonly children: FlameNode[]
}

/** As protobuf's JSON carries it: int64 as text, absent if zero. */
export interface WireFlameGraph {
  readonly names?: readonly string[] | undefined
  readonly levels?: readonly { readonly values?: readonly (string | number)[] | undefined }[] | undefined
}

interface Placed extends FlameNode {
  readonly x: bigint
}

const NODE_NUMBERS = 4

/** Undefined if there is nothing but an empty root. */
export function flameTreeOf(graph: WireFlameGraph): FlameNode | undefined {
  const names = graph.names ?? []
  let above: Placed[] = []
  let root: FlameNode | undefined
  for (const [depth, level] of (graph.levels ?? []).entries()) {
    const nodes = placeLevel(level.values ?? [], names, depth)
    if (depth === 0) {
      if (nodes.length !== 1) throw malformed(`level 0 has ${nodes.length} nodes, not 1`)
      root = nodes[0]
    } else adopt(above, nodes, depth)
    above = nodes
  }
  return root === undefined || root.total === 0n ? undefined : root
}

function placeLevel(values: readonly (string | number)[], names: readonly string[], depth: number): Placed[] {
  if (values.length % NODE_NUMBERS !== 0) throw malformed(`level ${depth} has ${values.length} numbers`)
  const nodes: Placed[] = []
  let end = 0n
  for (let i = 0; i < values.length; i += NODE_NUMBERS) {
    const [delta, total, self, name] = values.slice(i, i + NODE_NUMBERS).map((value) => int64(value, depth))
    const text = names[Number(name)]
    if (text === undefined) throw malformed(`level ${depth} names string ${name} of ${names.length}`)
    if (delta! < 0n || total! < 0n) throw malformed(`level ${depth} has a negative offset or total`)
    const x = end + delta!
    end = x + total!
    nodes.push({ name: text, total: total!, self: self!, children: [], x })
  }
  return nodes
}

/** Both levels run from left to right, so one pass over each. */
function adopt(parents: readonly Placed[], nodes: readonly Placed[], depth: number): void {
  let p = 0
  for (const node of nodes) {
    while (p + 1 < parents.length && node.x >= parents[p]!.x + parents[p]!.total) p++
    const parent = parents[p]
    if (parent === undefined || node.x < parent.x || node.x + node.total > parent.x + parent.total)
      throw malformed(`a node of level ${depth} lies under none of level ${depth - 1}`)
    parent.children.push(node)
  }
}

function int64(value: string | number, depth: number): bigint {
  try {
    return BigInt(value)
  } catch {
    throw malformed(`level ${depth} holds ${JSON.stringify(value)}`)
  }
}

function malformed(why: string): CinderError {
  return new CinderError('unknown', `the server's flame graph makes no sense: ${why}`, { reason: 'malformed_answer' })
}
