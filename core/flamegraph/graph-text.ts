/**
 * Flame graphs, and differences of two, as JSON text: as Connect writes their messages (int64 as text, zeros left out), and
 * as the render endpoints do (int64 in full). Written by hand, because a graph of 65,536 nodes is 262,000 numbers, for
 * which going through messages takes three times as long.
 */
import type { FlameGraphDiff } from './diff.ts'
import type { FlameGraph } from './flamegraph.ts'

/** JSON of an answer whose one field is the graph. */
export function connectGraphText(graph: FlameGraph | FlameGraphDiff): string {
  const levels = graph.levels.map((values) => `{"values":["${values.join('","')}"]}`)
  const ticks = 'leftTicks' in graph ? { leftTicks: graph.leftTicks, rightTicks: graph.rightTicks } : {}
  const numbers = Object.entries({ total: graph.total, maxSelf: graph.maxSelf, ...ticks }).flatMap(([name, value]) =>
    value === 0n ? [] : [`,"${name}":"${value}"`],
  )
  return `{"flamegraph":{"names":${JSON.stringify(graph.names)},"levels":[${levels.join(',')}]${numbers.join('')}}}`
}

/** With what a difference has beside it: `{"flamebearer":…,"leftTicks":…,"rightTicks":…}`. */
export function flamebearerDiffText(graph: FlameGraphDiff): string {
  return `{"flamebearer":${flamebearerText(graph)},"leftTicks":${graph.leftTicks},"rightTicks":${graph.rightTicks}}`
}

export function flamebearerText({ names, levels, total, maxSelf }: FlameGraph): string {
  const levelTexts = levels.map((values) => `[${values.join(',')}]`)
  return `{"names":${JSON.stringify(names)},"levels":[${levelTexts.join(',')}],"numTicks":${total},"maxSelf":${maxSelf}}`
}
