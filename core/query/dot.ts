/**
 * A graph of calls in the language of Graphviz, as pprof draws it: boxes sized by flat value and coloured by share of the
 * total, edges by weight, a legend. Programs read labels and edges; Graphviz draws the rest.
 *
 * Values are in seconds, bytes or plain numbers with two decimals at most; shares in percent.
 */
import type { CallEdge, CallGraph, CallNode } from './call-graph.ts'
import { sortEdges } from './call-graph.ts'
import { escapeDot, frameLabel } from './frame-name.ts'

export interface DotLegend {
  readonly sampleType: string
  readonly sampleUnit: string
  readonly timeMs: number
  /** File name of the binary, '' if none is known. */
  readonly binary: string
}

/** '' for a graph without nodes. */
export function writeDot(graph: CallGraph, legend: DotLegend): string {
  const { nodes } = graph
  if (nodes.length === 0) return ''
  const format = valueFormat(legend.sampleUnit)
  const idOf = new Map(nodes.map((node, i) => [node, i + 1]))
  const maxFlat = Math.max(...nodes.map(({ flat }) => Math.abs(Number(flat))))
  const title = legend.binary === '' ? 'unnamed' : escapeDot(legend.binary)
  const lines = [`digraph "${title}" {`, 'node [style=filled fillcolor="#f8f8f8"]', legendLine(graph, legend, format)]
  const scene: Scene = { format, total: graph.total, maxFlat }
  for (const node of nodes) lines.push(nodeLine(node, idOf.get(node)!, scene))
  for (const edge of sortEdges(nodes.flatMap(({ out }) => [...out.values()]))) {
    lines.push(edgeLine(edge, `N${idOf.get(edge.from)!} -> N${idOf.get(edge.to)!}`, scene))
  }
  return `${lines.join('\n')}\n}\n`
}

interface Scene {
  readonly format: (value: bigint) => string
  readonly total: bigint
  readonly maxFlat: number
}

function legendLine(graph: CallGraph, legend: DotLegend, format: (value: bigint) => string): string {
  const shown = graph.nodes.reduce((sum, { flat }) => sum + flat, 0n)
  const time = new Date(legend.timeMs).toISOString().replace('T', ' ').slice(0, 19)
  const rows = [
    ...(legend.binary === '' ? [] : [`File: ${legend.binary}`]),
    `Type: ${legend.sampleType}`,
    `Time: ${time} UTC`,
    `Showing nodes accounting for ${format(shown)}, ${percentOf(shown, graph.total)} of ${format(graph.total)} total`,
    ...(graph.nodes.length < graph.nodesFound
      ? [`Showing top ${graph.nodes.length} nodes out of ${graph.nodesFound}`]
      : []),
    '\nSee https://git.io/JfYMW for how to read the graph',
  ].map(escapeDot)
  const tooltip = legend.binary === '' ? '' : ` tooltip="${escapeDot(legend.binary)}"`
  return `subgraph cluster_L { "${rows[0]}" [shape=box fontsize=16 label="${rows.join('\\l')}\\l"${tooltip}] }`
}

function nodeLine(node: CallNode, id: number, { format, total, maxFlat }: Scene): string {
  const { flat, cum } = node
  let label = frameLabel(node.info)
  label += flat === 0n ? '0' : `${format(flat)} (${percentOf(flat, total)})`
  if (cum !== flat) label += `${flat === 0n ? ' ' : '\\n'}of ${format(cum)} (${percentOf(cum, total)})`
  const growth = maxFlat === 0 ? 0 : Math.ceil(16 * Math.sqrt(Math.abs(Number(flat)) / maxFlat))
  const share = shareOf(cum, total)
  const tooltip = `${escapeDot(node.name)} (${format(cum)})`
  return (
    `N${id} [label="${label}" id="node${id}" fontsize=${8 + growth} shape=box tooltip="${tooltip}" ` +
    `color="${colorOf(share, FOREGROUND)}" fillcolor="${colorOf(share, BACKGROUND)}"]`
  )
}

function edgeLine(edge: CallEdge, ends: string, { format, total }: Scene): string {
  const weight = format(edge.weight)
  const attributes = [`label=" ${weight}${edge.inline ? '\\n (inline)' : ''}"`]
  if (total !== 0n) {
    const percent = Math.min(100, Math.abs(Number((edge.weight * 100n) / total)))
    const fifths = Math.min(5, Math.abs(Number((edge.weight * 5n) / total)))
    if (percent > 0) attributes.push(`weight=${1 + percent}`)
    if (fifths > 0) attributes.push(`penwidth=${1 + fifths}`)
    attributes.push(`color="${colorOf(shareOf(edge.weight, total), FOREGROUND)}"`)
  }
  const arrow = edge.residual ? '...' : '->'
  const tooltip = `"${escapeDot(edge.from.name)} ${arrow} ${escapeDot(edge.to.name)} (${weight})"`
  attributes.push(`tooltip=${tooltip}`, `labeltooltip=${tooltip}`)
  if (edge.residual) attributes.push('style="dotted"')
  return `${ends} [${attributes.join(' ')}]`
}

function shareOf(value: bigint, total: bigint): number {
  return total === 0n ? 0 : Number(value) / Math.abs(Number(total))
}

const SECOND_NANOS = 1e9
/** Factor to the base unit (nanoseconds, bytes) by singular name. */
const TIME_UNITS: ReadonlyMap<string, number> = new Map([
  ...['ns', 'nanosecond'].map((name) => [name, 1] as const),
  ...['us', 'μs', 'microsecond'].map((name) => [name, 1e3] as const),
  ...['ms', 'millisecond'].map((name) => [name, 1e6] as const),
  ...['s', 'sec', 'second'].map((name) => [name, SECOND_NANOS] as const),
  ...['hr', 'hour'].map((name) => [name, 3600 * SECOND_NANOS] as const),
])
const BYTE_UNITS: ReadonlyMap<string, number> = new Map(
  ['', 'k', 'm', 'g', 't', 'p'].flatMap((prefix, power) => {
    const long = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'][power]!
    return [`${prefix}b`, `${prefix}byte`, long].map((name) => [name, 1024 ** power] as const)
  }),
)

function valueFormat(unit: string): (value: bigint) => string {
  const lower = unit.toLowerCase()
  const singular = lower.length > 2 ? lower.replace(/s$/, '') : lower
  const time = TIME_UNITS.get(singular)
  if (time !== undefined) return (value) => withUnit((Number(value) * time) / SECOND_NANOS, 's')
  const bytes = BYTE_UNITS.get(singular)
  if (bytes !== undefined) return (value) => withUnit(Number(value) * bytes, 'B')
  return (value) => withUnit(Number(value), '')
}

function withUnit(value: number, unit: string): string {
  const text = twoDecimals(value).replace(/\.00$/, '')
  return text === '0' || text === '-0' ? '0' : `${text}${unit}`
}

/** Halves go to the even digit, as C and Go print them; only odd eighths lie exactly between two of these decimals. */
function twoDecimals(value: number): string {
  if (!Number.isInteger(value * 8) || (value * 8) % 2 === 0) return value.toFixed(2)
  const below = Math.floor(value * 100)
  return ((below % 2 === 0 ? below : below + 1) / 100).toFixed(2)
}

/** Two decimals from 1 %, two digits below. */
function percentOf(value: bigint, total: bigint): string {
  const percent = Math.abs(shareOf(value, total)) * 100
  if (percent >= 99.95 && percent <= 100.05) return '100%'
  if (percent >= 1) return `${twoDecimals(percent)}%`
  if (percent === 0) return '0%'
  if (percent >= 1e-4) return `${Number(percent.toPrecision(2))}%`
  const [digits, exponent] = percent.toExponential(1).split('e-')
  return `${digits!.replace('.0', '')}e-${exponent!.padStart(2, '0')}%`
}

/** Saturation and brightness. */
interface Paint {
  readonly saturation: number
  readonly value: number
}

const BACKGROUND: Paint = { saturation: 0.1, value: 0.93 }
const FOREGROUND: Paint = { saturation: 1, value: 0.7 }
/** Small shares are far from grey already, so that they can be told apart. */
const SHIFT = 0.7
/** Below it a share fades to grey. */
const FADE_BELOW = 0.2

/** Red for shares up to 1, green for negative ones, grey for none. */
function colorOf(share: number, { saturation, value }: Paint): string {
  const limited = Math.max(-1, Math.min(1, share))
  const size = Math.abs(limited)
  const strength = size < FADE_BELOW ? (saturation * size) / FADE_BELOW : saturation
  const shifted = size ** (1 - SHIFT)
  const strong = value
  const weak = value * (1 - strength * shifted)
  const [red, green] = limited < 0 ? [weak, strong] : [strong, weak]
  const blue = value * (1 - strength)
  return `#${[red, green, blue]
    .map((part) =>
      Math.trunc(part * 255)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`
}
