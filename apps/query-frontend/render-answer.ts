/**
 * The JSON of the render endpoints: a flame graph with names, units and timelines, as clients of old have it. Integers are
 * written in full, as the peers do: who reads them as doubles loses what is past 2^53, we do not.
 */
import { getLabel } from '#core/labels/labels.ts'
import { parseProfileType } from '#core/labels/profile-type.ts'
import { buildTimeline, type Timeline } from '#core/query/timeline.ts'
import type { SeriesAnswer, StepRange } from '#core/query/time-series.ts'

const OBJECT_TYPES = new Set(['inuse_objects', 'alloc_objects', 'goroutine', 'samples'])
const NANOSECONDS_RATE = 1_000_000_000
const DEFAULT_RATE = 100

function metadataText(profileType: string, format: 'single' | 'double'): string {
  const { sampleType: name, sampleUnit } = parseProfileType(profileType)
  const isCpu = name === 'cpu'
  const units = isCpu ? 'samples' : OBJECT_TYPES.has(name) ? 'objects' : sampleUnit
  return JSON.stringify({ format, spyName: '', sampleRate: isCpu ? NANOSECONDS_RATE : DEFAULT_RATE, units, name })
}

export interface RenderTimelines {
  readonly timeline: Timeline
  readonly groups: ReadonlyMap<string, Timeline> | null
}

/**
 * Series of several values have no timeline of their own: zeros. A group is named by the value of the first label, `*`
 * without it; of series with one name the last in order stays.
 */
export function timelinesOf(
  series: readonly SeriesAnswer[],
  range: StepRange,
  groupBy: readonly string[],
): RenderTimelines {
  const timeline = buildTimeline(range, series.length === 1 ? series[0]!.points : [])
  if (groupBy.length === 0) return { timeline, groups: null }
  const byName = new Map<string, Timeline>()
  for (const { labels, points } of series) {
    byName.set(getLabel(labels, groupBy[0]!) || '*', buildTimeline(range, points))
  }
  return { timeline, groups: byName }
}

/** JSON text, from that of the flame graph. */
export function renderAnswer(profileType: string, flamebearer: string, { timeline, groups }: RenderTimelines): string {
  const byName = groups === null ? undefined : [...groups]
  const groupsText = byName?.map(([name, each]) => `${JSON.stringify(name)}:${timelineText(each)}`).join(',')
  return (
    `{"version":1,"flamebearer":${flamebearer},"metadata":${metadataText(profileType, 'single')},` +
    `"timeline":${timelineText(timeline)},"groups":${groupsText === undefined ? 'null' : `{${groupsText}}`},"heatmap":null}`
  )
}

/** JSON text, from that of the difference with its ticks (core/query/answer-task.ts). */
export function renderDiffAnswer(profileType: string, graph: string): string {
  return (
    `{"version":1,${graph.slice(1, -1)},"metadata":${metadataText(profileType, 'double')},` +
    `"timeline":null,"groups":null,"heatmap":null}`
  )
}

function timelineText({ samples, ...timeline }: Timeline): string {
  const written = samples.map((sample) => (Number.isSafeInteger(sample) ? String(sample) : String(BigInt(sample))))
  const { startTime, durationDelta } = timeline
  return `{"startTime":${startTime},"samples":[${written.join(',')}],"durationDelta":${durationDelta},"watermarks":null}`
}
