/**
 * A flame graph as lines of text: total, percent, self, bar, and the name indented by depth, widest first. Pure.
 *
 * What is narrower than the threshold, and what passes the maximum of lines, is summed up in one line under its parent,
 * so that nothing is left out silently.
 */
import type { FlameNode } from './flame-graph.ts'
import { formatCount, formatPercent, formatQuantity } from './quantity.ts'
import { type Paint, printable } from './shell.ts'
import { renderBar } from './table.ts'

export interface FlameLineOptions {
  readonly unit: string
  /** Nodes below this share of the whole are summed up. */
  readonly minPercent: number
  readonly linesMax: number
  /** Names are cut to this width of the line; 0 = never. */
  readonly columns: number
  readonly paint: Paint
}

const BAR_WIDTH = 16
/** One column a level: real stacks are 20 to 60 deep. */
const INDENT = ' '
/** A name keeps this many characters however deep it lies. */
const NAME_MIN = 24

interface Row {
  readonly depth: number
  readonly node: FlameNode
  /** Nodes that this line stands for; 0 = itself. */
  readonly summed: number
}

export function renderFlameLines(root: FlameNode, options: FlameLineOptions): string[] {
  const rows = planRows(root, options)
  const whole = Number(root.total)
  const cells = rows.map(({ node }) => ({
    total: formatQuantity(node.total, options.unit),
    percent: formatPercent(Number(node.total), whole),
    self: formatQuantity(node.self, options.unit),
  }))
  const width = (title: string, pick: (cell: (typeof cells)[number]) => string): number =>
    cells.reduce((max, cell) => Math.max(max, pick(cell).length), title.length)
  const totalWidth = width('total', (cell) => cell.total)
  const selfWidth = width('self', (cell) => cell.self)
  const before = totalWidth + 2 + 6 + 2 + selfWidth + 2 + BAR_WIDTH + 2
  const { paint } = options
  const title = `${'total'.padStart(totalWidth)}  ${'%'.padStart(6)}  ${'self'.padStart(selfWidth)}`
  const lines = rows.map(({ depth, node, summed }, i) => {
    const { total, percent, self } = cells[i]!
    const share = whole === 0 ? 0 : Number(node.total) / whole
    const bar = tint(renderBar(Number(node.total), whole, BAR_WIDTH), share, paint)
    const numbers = `${total.padStart(totalWidth)}  ${percent.padStart(6)}  ${self.padStart(selfWidth)}`
    const indent = INDENT.repeat(depth)
    const name = summed > 0 ? paint.dim(`… ${formatCount(summed)} more`) : fitName(node.name, before + depth, options)
    return `${numbers}  ${bar}  ${indent}${name}`.trimEnd()
  })
  return [`${title}  ${' '.repeat(BAR_WIDTH)}  name`, ...lines]
}

/** Depth first, children widest first; a summing line comes last under its parent. */
function planRows(root: FlameNode, options: FlameLineOptions): Row[] {
  const rows: Row[] = []
  const threshold = (Number(root.total) * options.minPercent) / 100
  const stack: Row[] = [{ depth: 0, node: root, summed: 0 }]
  for (let row = stack.pop(); row !== undefined; row = stack.pop()) {
    rows.push(row)
    if (row.summed > 0) continue
    const children = [...row.node.children].sort(widestFirst)
    // Lines still waiting count too, so that the maximum holds.
    const room = Math.max(0, options.linesMax - rows.length - stack.length)
    const shown = children.filter((child, i) => Number(child.total) >= threshold && i < room)
    const hidden = children.slice(shown.length)
    const depth = row.depth + 1
    if (hidden.length > 0) stack.push({ depth, node: sumOf(hidden), summed: countNodes(hidden) })
    for (let i = shown.length - 1; i >= 0; i--) stack.push({ depth, node: shown[i]!, summed: 0 })
  }
  return rows
}

function widestFirst(a: FlameNode, b: FlameNode): number {
  if (a.total !== b.total) return a.total > b.total ? -1 : 1
  return a.name < b.name ? -1 : 1
}

/** Self of the summing line: of the nodes themselves, as the column says elsewhere. */
function sumOf(nodes: readonly FlameNode[]): FlameNode {
  return {
    name: '',
    total: nodes.reduce((sum, { total }) => sum + total, 0n),
    self: nodes.reduce((sum, { self }) => sum + self, 0n),
    children: [],
  }
}

function countNodes(nodes: readonly FlameNode[]): number {
  let count = 0
  const stack = [...nodes]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    count++
    for (const child of node.children) stack.push(child)
  }
  return count
}

/** The end of a name says more than its beginning: `…/pkg.(*Worker).run`. */
function fitName(name: string, before: number, { columns }: FlameLineOptions): string {
  const text = printable(name)
  const width = Math.max(NAME_MIN, columns - before)
  return columns === 0 || text.length <= width ? text : `…${text.slice(text.length - width + 1)}`
}

/** As flame graphs do: the wider, the hotter. */
function tint(bar: string, share: number, paint: Paint): string {
  if (share >= 0.25) return paint.red(bar)
  return share >= 0.05 ? paint.yellow(bar) : paint.green(bar)
}
