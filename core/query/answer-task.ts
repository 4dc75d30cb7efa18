/**
 * What is left to do when all partial answers of a query are there: merge them, cut once, lay out, encode. One pure
 * function from bytes to bytes, so that it may run where it holds up nobody: in the loop of a process that has nothing
 * else to do, or in a thread of one that takes pushes.
 *
 * A fold merges partial answers into one of the same kind, so that few are held while more come. Merges are independent
 * of order and grouping.
 *
 * A query whose plan is one call has one partial answer: who makes it also ends it (core/rpc/answer-ends.ts), so that nothing
 * is encoded to be decoded again. What comes out is the same.
 */
import { cutTree } from '../flamegraph/cut.ts'
import { encodeFlameGraphDiff } from '../flamegraph/diff-wire.ts'
import { cutPair, flameGraphDiffOf, type FlameGraphDiff } from '../flamegraph/diff.ts'
import { encodeFlameGraph } from '../flamegraph/flamegraph-wire.ts'
import { flameGraphOf } from '../flamegraph/flamegraph.ts'
import { connectGraphText, flamebearerDiffText, flamebearerText } from '../flamegraph/graph-text.ts'
import { encodeTreeFormat } from '../flamegraph/tree-format.ts'
import { encodeTree, FunctionTree } from '../flamegraph/tree.ts'
import { encodeMergedPprof } from '../pprof/encode-merged.ts'
import { profileText } from '../pprof/profile-text.ts'
import type { FlameGraphEnd, GraphEncoding, PprofEnd, SeriesEnd } from '../rpc/answer-ends.ts'
import type { PointSeries, TimeSeries } from '../rpc/query-backend.ts'
import { refuseSeries } from './budget.ts'
import { type FileTask, runFileTask } from './file-graph.ts'
import { encodeHeatmaps, heatmapsText } from './heatmap-wire.ts'
import { finishHeatmap } from './heatmap.ts'
import { cutProfile, keepLeaves, type LeafRule } from './profile-cut.ts'
import { StackProfile, type SummedStacks } from './stack-profile.ts'
import { type LabelListTask, runLabelList } from './label-list.ts'
import { PointRows } from './point-rows.ts'
import { decodePointsPart, encodePointsPart } from './points-part.ts'
import { withExemplars } from './series-exemplars.ts'
import { decodeSeriesPart, encodeSeriesPart } from './series-part.ts'
import { seriesAnswersText } from './series-text.ts'
import { encodeSeriesAnswers } from './series-wire.ts'
import { dotOf } from './stacks-dot.ts'
import { finishTimeSeries, TimeSeriesBuilder } from './time-series.ts'
import { type TimelinesEnd, timelinesText } from './timelines.ts'

/** As `encodeTree`, StackProfile's `encode`, `encodeSeriesPart` or `encodePointsPart` made them. */
export type Parts = readonly Uint8Array[]

export type AnswerTask =
  | FileTask
  | LabelListTask
  | { readonly kind: 'fold-trees' | 'fold-stacks'; readonly parts: Parts; readonly nodesMax: number }
  | (FlameGraphEnd & { readonly parts: Parts })
  | {
      readonly kind: 'diff'
      readonly parts: Parts
      readonly right: Parts
      readonly nodesMax: number
      readonly maxNodes: number
      readonly as: GraphEncoding
    }
  | (PprofEnd & { readonly parts: Parts })
  | {
      readonly kind: 'dot'
      readonly parts: Parts
      readonly nodesMax: number
      readonly maxNodes: number
      readonly profileType: string
      readonly endMs: number
    }
  | { readonly kind: 'fold-series'; readonly parts: Parts; readonly seriesMax: number }
  | {
      readonly kind: 'fold-points'
      readonly parts: Parts
      readonly seriesMax: number
      /** As in PointRows. */
      readonly best: boolean
      readonly exemplars: boolean
    }
  | SeriesTask
  | (TimelinesEnd & { readonly kind: 'timelines'; readonly parts: Parts; readonly seriesMax: number })
  | {
      readonly kind: 'heatmap'
      readonly parts: Parts
      readonly seriesMax: number
      readonly exemplars: boolean
      readonly originMs: number
      readonly stepMs: number
      readonly limit: number
      readonly as: 'proto' | 'json'
    }

type SeriesTask = SeriesEnd & {
  readonly parts: Parts
  /** Of the merge; 0 = not limited. */
  readonly seriesMax: number
  /** The highest profile or span of every point; absent: none were asked for. */
  readonly points?: Parts | undefined
}

export interface AnswerWorker {
  /** Takes the parts: their buffers may be gone afterwards. No bytes: nothing was selected. */
  run(task: AnswerTask, signal?: AbortSignal): Promise<Uint8Array>
}

/** In the loop of who asks. */
export const WORK_HERE: AnswerWorker = { run: async (task) => runAnswerTask(task) }

export function runAnswerTask(task: AnswerTask): Uint8Array {
  if ('seriesMax' in task) return runRowsTask(task)
  if (isFile(task)) return runFileTask(task)
  if (task.kind === 'label-list') return runLabelList(task)
  const { parts, nodesMax } = task
  switch (task.kind) {
    case 'fold-trees':
      return encodeTree(mergeTrees(parts, nodesMax))
    case 'fold-stacks':
      return mergeStacks(parts, nodesMax).encode()
    case 'flame-graph':
      return endTree(mergeTrees(parts, nodesMax), task)
    case 'diff': {
      const pair = cutPair(mergeTrees(parts, nodesMax), mergeTrees(task.right, nodesMax), task.maxNodes)
      return encodeDiff(flameGraphDiffOf(pair), task.as)
    }
    case 'pprof':
      return endStacks(mergeStacks(parts, nodesMax), task)
    case 'dot':
      return utf8(dotOf(mergeStacks(parts, nodesMax).take(), task))
  }
}

function runRowsTask(task: Extract<AnswerTask, { readonly seriesMax: number }>): Uint8Array {
  switch (task.kind) {
    case 'fold-series':
      return encodeSeriesPart(mergeSeries(task.parts, task.seriesMax))
    case 'fold-points':
      return encodePointsPart(mergePoints(task, task))
    case 'series': {
      const best = task.points === undefined ? undefined : mergePoints({ ...task, parts: task.points }, BEST)
      return endSeries(mergeSeries(task.parts, task.seriesMax), task, best)
    }
    case 'timelines':
      return utf8(timelinesText(mergeSeries(task.parts, task.seriesMax), task))
    case 'heatmap': {
      const answers = finishHeatmap(mergePoints(task, { best: false, exemplars: task.exemplars }), task)
      return task.as === 'proto' ? encodeHeatmaps(answers) : utf8(heatmapsText(answers))
    }
  }
}

const BEST = { best: true, exemplars: true }

export function endTree(tree: FunctionTree, { maxNodes, as }: Pick<FlameGraphEnd, 'maxNodes' | 'as'>): Uint8Array {
  const cut = cutTree(tree, maxNodes)
  if (as === 'tree') return encodeTreeFormat(cut)
  if (as === 'proto') return encodeFlameGraph(cut)
  const graph = flameGraphOf(cut)
  return utf8(as === 'json' ? connectGraphText(graph) : flamebearerText(graph))
}

/** Ends the use of the profile. */
export function endStacks(profile: StackProfile, end: Omit<PprofEnd, 'kind' | 'nodesMax'>): Uint8Array {
  const taken = cutStacks(profile.take(), end)
  if (taken === undefined) return new Uint8Array(0)
  const pprof = encodeMergedPprof(taken.symbols, taken.sums, end.header)
  if (end.as === undefined) return pprof
  const text = profileText(pprof)
  return end.as === 'json' ? text : withinText('{"pprof":{"profile":', text, '}}')
}

export function endSeries(
  series: readonly TimeSeries[],
  end: Omit<SeriesEnd, 'kind'>,
  best?: readonly PointSeries[],
): Uint8Array {
  const totals = finishTimeSeries(series, end)
  const answers = best === undefined ? totals : withExemplars(totals, best, end.range)
  return end.as === 'proto' ? encodeSeriesAnswers(answers) : utf8(seriesAnswersText(answers))
}

function isFile(task: AnswerTask): task is FileTask {
  return task.kind === 'file' || task.kind === 'file-diff'
}

/** Of all parts that a task takes along. */
export function partsOf(task: AnswerTask): Parts {
  if ('right' in task) return [...task.parts, ...task.right]
  return task.kind === 'series' && task.points !== undefined ? [...task.parts, ...task.points] : task.parts
}

/** What a task takes along. */
export function taskBytes(task: AnswerTask): number {
  return partsOf(task).reduce((sum, { length }) => sum + length, 0)
}

/** What may be given away with a task: whole buffers alone. */
export function taskBuffers(task: AnswerTask): ArrayBuffer[] {
  return partsOf(task).flatMap(({ buffer, byteLength }) =>
    byteLength === buffer.byteLength ? [buffer as ArrayBuffer] : [],
  )
}

function mergeTrees(parts: Parts, nodesMax: number): FunctionTree {
  const tree = new FunctionTree(undefined, nodesMax)
  for (const part of parts) tree.mergeEncoded(part)
  return tree
}

function mergeStacks(parts: Parts, nodesMax: number): StackProfile {
  const profile = new StackProfile(undefined, nodesMax)
  for (const part of parts) profile.mergeEncoded(part)
  return profile
}

function mergeSeries(parts: Parts, seriesMax: number): TimeSeries[] {
  const builder = new TimeSeriesBuilder([])
  for (const part of parts) {
    builder.merge(decodeSeriesPart(part))
    checkSeries(builder, seriesMax)
  }
  return builder.build()
}

function mergePoints(
  { parts, seriesMax }: { readonly parts: Parts; readonly seriesMax: number },
  { best, exemplars }: { readonly best: boolean; readonly exemplars: boolean },
): PointSeries[] {
  const rows = new PointRows({ best, exemplars })
  for (const part of parts) {
    rows.merge(decodePointsPart(part))
    checkSeries(rows, seriesMax)
  }
  return rows.build()
}

function checkSeries({ seriesCount }: { readonly seriesCount: number }, seriesMax: number): void {
  const refused = refuseSeries(seriesCount, { series: seriesMax })
  if (refused !== undefined) throw refused
}

function cutStacks(
  taken: SummedStacks | undefined,
  { leaves, maxNodes }: { readonly leaves: LeafRule | undefined; readonly maxNodes: number | undefined },
): SummedStacks | undefined {
  const kept = taken !== undefined && leaves !== undefined ? keepLeaves(taken, leaves) : taken
  return kept !== undefined && maxNodes !== undefined ? cutProfile(kept, maxNodes) : kept
}

function encodeDiff(graph: FlameGraphDiff, as: GraphEncoding): Uint8Array {
  if (as === 'proto') return encodeFlameGraphDiff(graph)
  if (as === 'json') return utf8(connectGraphText(graph))
  return utf8(flamebearerDiffText(graph))
}

/** Texts of ASCII around one that is too large to be decoded for it. */
function withinText(before: string, text: Uint8Array, after: string): Uint8Array {
  const whole = new Uint8Array(before.length + text.length + after.length)
  whole.set(utf8(before))
  whole.set(text, before.length)
  whole.set(utf8(after), before.length + text.length)
  return whole
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
