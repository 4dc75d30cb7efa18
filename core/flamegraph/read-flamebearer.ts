/**
 * A flame graph of the render endpoints, read back into a tree: what people saved as JSON and look at again.
 *
 * Levels hold four numbers a node: offset behind the node before, total, self, name. A node lies under the node of the
 * level above whose range holds its start. Values are whole numbers up to 2^53, as JSON has them; what does not add up is
 * refused. Differences (seven numbers a node) are not read.
 */
import { FunctionTree } from './tree.ts'

export interface ReadFlamebearer {
  /** Name of the sample type. */
  readonly name: string
  readonly units: string
  readonly tree: FunctionTree
}

interface Node {
  readonly start: number
  readonly end: number
  readonly tree: number
}

const NODE_NUMBERS = 4

/** undefined: the value is no flame graph of one profile. */
export function readFlamebearer(json: unknown): ReadFlamebearer | undefined {
  const { flamebearer, metadata } = asRecord(json)
  const { names, levels } = asRecord(flamebearer)
  const { format, name, units } = asRecord(metadata)
  if (format === 'double' || !Array.isArray(names) || !Array.isArray(levels)) return undefined
  const tree = new FunctionTree()
  let above: Node[] = []
  for (const [depth, level] of (levels as unknown[]).entries()) {
    const nodes = readLevel(level, { isRoot: depth === 0, above, names: names as unknown[], tree })
    if (nodes === undefined) return undefined
    above = nodes
  }
  return { name: textOf(name, 'samples'), units: textOf(units, 'count'), tree }
}

function readLevel(
  level: unknown,
  into: {
    readonly isRoot: boolean
    readonly above: readonly Node[]
    readonly names: readonly unknown[]
    readonly tree: FunctionTree
  },
): Node[] | undefined {
  if (!Array.isArray(level) || level.length % NODE_NUMBERS !== 0) return undefined
  if (!level.every((value) => Number.isSafeInteger(value) && (value as number) >= 0)) return undefined
  const numbers = level as number[]
  const { isRoot, above, names, tree } = into
  const nodes: Node[] = []
  let end = 0
  let parent = 0
  for (let i = 0; i < numbers.length; i += NODE_NUMBERS) {
    const start = end + numbers[i]!
    end = start + numbers[i + 1]!
    const self = numbers[i + 2]!
    const name = names[numbers[i + 3]!]
    if (typeof name !== 'string' || self > end - start) return undefined
    if (isRoot) {
      nodes.push({ start, end, tree: 0 })
      continue
    }
    while (parent < above.length && above[parent]!.end <= start) parent++
    const over = above[parent]
    if (over === undefined || start < over.start || end > over.end) return undefined
    const node = tree.child(over.tree, tree.internText(name))
    tree.addSelf(node, self >>> 0, Math.floor(self / 2 ** 32))
    nodes.push({ start, end, tree: node })
  }
  return nodes
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function textOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise
}
