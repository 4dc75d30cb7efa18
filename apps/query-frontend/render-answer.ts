/**
 * The JSON of the render endpoints: a flame graph with names, units and timelines, as clients of old have it. Integers are
 * written in full, as the peers do: who reads them as doubles loses what is past 2^53, we do not.
 */
import { parseProfileType } from '#core/labels/profile-type.ts'

const OBJECT_TYPES = new Set(['inuse_objects', 'alloc_objects', 'goroutine', 'samples'])
const NANOSECONDS_RATE = 1_000_000_000
const DEFAULT_RATE = 100

function metadataText(profileType: string, format: 'single' | 'double'): string {
  const { sampleType: name, sampleUnit } = parseProfileType(profileType)
  const isCpu = name === 'cpu'
  const units = isCpu ? 'samples' : OBJECT_TYPES.has(name) ? 'objects' : sampleUnit
  return JSON.stringify({ format, spyName: '', sampleRate: isCpu ? NANOSECONDS_RATE : DEFAULT_RATE, units, name })
}

/** JSON text, from those of the flame graph and of the timelines (core/query/timelines.ts). */
export function renderAnswer(profileType: string, flamebearer: string, timelines: string): string {
  return `{"version":1,"flamebearer":${flamebearer},"metadata":${metadataText(profileType, 'single')},${timelines},"heatmap":null}`
}

/** JSON text, from that of the difference with its ticks (core/query/answer-task.ts). */
export function renderDiffAnswer(profileType: string, graph: string): string {
  return (
    `{"version":1,${graph.slice(1, -1)},"metadata":${metadataText(profileType, 'double')},` +
    `"timeline":null,"groups":null,"heatmap":null}`
  )
}
