/**
 * A graph of calls from merged stacks: a node is a frame (address, function, file, line), an edge a call.
 *
 * 1. Each stack adds its sum to every node and edge on it once, however often recursion passes them, and to the leaf's
 *    flat value.
 * 2. If there are more nodes than asked for, the most telling stay: a node scores by its value times the entropy of what
 *    comes in and goes out, so that links of a plain chain go first.
 * 3. The graph is built again from the stacks without the others. An edge over nodes that went is residual; it goes too
 *    where another path leads the same way.
 *
 * Order follows from values and names alone. Sums are exact; scores are doubles.
 */
import { getBigInt } from '../wire/int64.ts'
import type { Symbols } from '../symbols/symbols.ts'
import { cleanPath, type FrameInfo, frameName } from './frame-name.ts'
import type { SummedStacks } from './stack-profile.ts'

export interface CallNode {
  readonly info: FrameInfo
  readonly name: string
  flat: bigint
  cum: bigint
  readonly in: Map<CallNode, CallEdge>
  readonly out: Map<CallNode, CallEdge>
}

export interface CallEdge {
  readonly from: CallNode
  readonly to: CallNode
  weight: bigint
  /** Leads over nodes that were left out. */
  residual: boolean
  /** All of its calls were inlined. */
  inline: boolean
}

export interface CallGraph {
  /** Most telling first. */
  readonly nodes: readonly CallNode[]
  /** Before some were left out. */
  readonly nodesFound: number
  /** Of all stacks, whatever their sign. */
  readonly total: bigint
}

export function buildCallGraph(stacks: SummedStacks, nodesMax: number): CallGraph {
  const frames = framesOf(stacks.symbols)
  let total = 0n
  for (let stack = 0; stack < stacks.symbols.stackCount; stack++) total += absolute(getBigInt(stacks.sums, stack))
  const whole = sortByScore(connect(stacks, frames, undefined))
  if (whole.length <= nodesMax) return { nodes: whole, nodesFound: whole.length, total }
  const kept = new Set(whole.slice(0, nodesMax).map(({ info }) => frameKey(info)))
  const nodes = sortByScore(connect(stacks, frames, kept))
  removeRedundantEdges(nodes)
  return { nodes, nodesFound: whole.length, total }
}

interface FrameTable {
  readonly infos: readonly FrameInfo[]
  /** Indices into `infos` by location, innermost first. */
  readonly ofLocation: readonly (readonly number[])[]
}

function frameKey({ address, name, file, line, binary }: FrameInfo): string {
  return `${address} ${line} ${JSON.stringify([name, file, binary])}`
}

function framesOf(symbols: Symbols): FrameTable {
  const infos: FrameInfo[] = []
  const byKey = new Map<string, number>()
  const intern = (info: FrameInfo): number => {
    const key = frameKey(info)
    let index = byKey.get(key)
    if (index === undefined) {
      index = infos.push(info) - 1
      byKey.set(key, index)
    }
    return index
  }
  const text = textReader(symbols)
  const ofLocation = Array.from({ length: symbols.locationCount }, (_, location) => {
    const address = BigInt.asUintN(64, getBigInt(symbols.locationAddress, location))
    const mapping = symbols.locationMapping[location]!
    const binary = mapping === 0 ? '' : text(symbols.mappingFilename[mapping - 1]!)
    const first = symbols.locationLineStart[location]!
    const end = symbols.locationLineStart[location + 1]!
    if (first === end) return [intern({ address, name: '', file: '', line: 0n, binary })]
    return Array.from({ length: end - first }, (_line, i) => {
      const row = symbols.lineFunction[first + i]!
      const name = text(symbols.functionName[row]!)
      const file = cleanPath(text(symbols.functionFilename[row]!))
      const line = getBigInt(symbols.lineNumber, first + i)
      return intern({ address, name, file, line, binary: name === '' ? binary : '' })
    })
  })
  return { infos, ofLocation }
}

function textReader({ stringBytes, stringOffset }: Symbols): (string: number) => string {
  const decoder = new TextDecoder()
  return (string) => decoder.decode(stringBytes.subarray(stringOffset[string]!, stringOffset[string + 1]!))
}

/** `kept`: keys of frames; undefined: all. Nodes without a value are left out. */
function connect(
  { symbols, sums }: SummedStacks,
  { infos, ofLocation }: FrameTable,
  kept: ReadonlySet<string> | undefined,
): CallNode[] {
  const nodes = infos.map((info): CallNode | undefined =>
    kept !== undefined && !kept.has(frameKey(info))
      ? undefined
      : { info, name: frameName(info), flat: 0n, cum: 0n, in: new Map(), out: new Map() },
  )
  const path: number[] = []
  for (let stack = 0; stack < symbols.stackCount; stack++) {
    const value = getBigInt(sums, stack)
    if (value === 0n) continue
    path.length = 0
    for (let node = symbols.stackNode[stack]!; node !== 0; node = symbols.nodeParent[node]!)
      path.push(symbols.nodeLocation[node]!)
    addStack(
      nodes,
      path.toReversed().map((location) => ofLocation[location]!),
      value,
    )
  }
  return nodes.filter((node) => node !== undefined && (node.cum !== 0n || node.flat !== 0n)) as CallNode[]
}

/** `frames`: by location, the root first; of a location innermost first. */
function addStack(
  nodes: readonly (CallNode | undefined)[],
  frames: readonly (readonly number[])[],
  value: bigint,
): void {
  const seenNodes = new Set<CallNode>()
  const seenEdges = new Map<CallNode, Set<CallNode>>()
  let parent: CallNode | undefined
  let residual = false
  for (const lines of frames) {
    for (let line = lines.length - 1; line >= 0; line--) {
      const node = nodes[lines[line]!]
      if (node === undefined) {
        residual = true
        continue
      }
      if (!seenNodes.has(node)) {
        seenNodes.add(node)
        node.cum += value
      }
      if (parent !== undefined && parent !== node) {
        const seen = seenEdges.get(parent) ?? new Set()
        seenEdges.set(parent, seen)
        if (!seen.has(node)) {
          seen.add(node)
          addToEdge(parent, node, { value, residual, inline: line !== lines.length - 1 })
        }
      }
      parent = node
      residual = false
    }
  }
  if (parent !== undefined && !residual) parent.flat += value
}

function addToEdge(
  from: CallNode,
  to: CallNode,
  { value, residual, inline }: { readonly value: bigint; readonly residual: boolean; readonly inline: boolean },
): void {
  const known = from.out.get(to)
  if (known === undefined) {
    const edge = { from, to, weight: value, residual, inline }
    from.out.set(to, edge)
    to.in.set(from, edge)
    return
  }
  known.weight += value
  known.residual ||= residual
  known.inline &&= inline
}

function sortByScore(nodes: readonly CallNode[]): CallNode[] {
  const scored = nodes.map((node) => ({ node, score: absolute(scoreOf(node)) }))
  scored.sort((a, b) => {
    if (a.score !== b.score) return a.score > b.score ? -1 : 1
    return compareTexts(a.node.name, b.node.name) || compareTexts(frameKey(a.node.info), frameKey(b.node.info))
  })
  return scored.map(({ node }) => node)
}

function scoreOf(node: CallNode): bigint {
  const incoming = node.in.size === 0 ? 1 : entropyOf(node.in.values(), 0n)
  const outgoing = node.out.size === 0 ? 1 : entropyOf(node.out.values(), node.flat)
  return BigInt(Math.trunc((incoming + outgoing) * Number(node.cum))) + node.flat
}

/** Of the weights of edges and of what stays in the node itself. */
function entropyOf(edges: Iterable<CallEdge>, self: bigint): number {
  const weights = [...edges].map(({ weight }) => weight)
  const total = Number(weights.reduce((sum, weight) => (weight > 0n ? sum + weight : sum), self))
  if (total === 0) return 0
  // In order of size, so that doubles add up to the same whatever the order of the stacks was.
  const shares = weights.map((weight) => Number(absolute(weight)) / total).sort((a, b) => a - b)
  if (self > 0n) shares.push(Number(self) / total)
  return shares.reduce((sum, share) => (share > 0 ? sum - share * Math.log2(share) : sum), 0)
}

/** Heaviest first, then by names. */
export function sortEdges(edges: Iterable<CallEdge>): CallEdge[] {
  return [...edges].sort((a, b) => {
    const [one, other] = [absolute(a.weight), absolute(b.weight)]
    if (one !== other) return one > other ? -1 : 1
    return compareTexts(a.from.name, b.from.name) || compareTexts(a.to.name, b.to.name)
  })
}

/** From the least telling node and its lightest edge; never one that is heavier than a real call. */
function removeRedundantEdges(nodes: readonly CallNode[]): void {
  for (const node of nodes.toReversed()) {
    for (const edge of sortEdges(node.in.values()).toReversed()) {
      if (!edge.residual) break
      if (!isReachedOtherwise(edge)) continue
      edge.from.out.delete(edge.to)
      edge.to.in.delete(edge.from)
    }
  }
}

function isReachedOtherwise(edge: CallEdge): boolean {
  const seen = new Set([edge.to])
  const queue = [edge.to]
  for (const node of queue) {
    for (const incoming of node.in.values()) {
      if (incoming === edge || seen.has(incoming.from)) continue
      if (incoming.from === edge.from) return true
      seen.add(incoming.from)
      queue.push(incoming.from)
    }
  }
  return false
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
