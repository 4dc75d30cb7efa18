/**
 * What a server tells beside an answer: warnings of data that is missing, which are never left out, and with `--explain`
 * what the query planned, read, and took. Both come as headers and go to stderr, so that stdout stays the answer.
 */
import * as v from 'valibot'
import type { Arguments, FlagSpec } from './arguments.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { paintFor, printable, type Shell } from './shell.ts'

export const EXPLAIN_FLAG = {
  explain: { about: 'what the query planned, read and took, on stderr' },
} as const satisfies Record<string, FlagSpec>

const WARNINGS_HEADER = 'X-Cinderblock-Warnings'
const EXPLAIN_HEADER = 'X-Cinderblock-Explain'
/** Also known to Pyroscope, which answers with an id alone. */
const ASK_HEADER = 'X-Pyroscope-Collect-Diagnostics'

const count = v.optional(v.number(), 0)
const timesSchema = v.object({ planMs: count, waitMs: count, readMs: count, mergeMs: count, finishMs: count })
const runSchema = v.object({
  kind: v.optional(v.string(), 'query'),
  startMs: count,
  endMs: count,
  plans: count,
  objects: count,
  datasets: count,
  planBytes: count,
  levels: v.optional(v.record(v.string(), v.number()), {}),
  calls: count,
  backends: count,
  read: v.optional(v.record(v.string(), v.number()), {}),
  times: v.optional(timesSchema, {}),
})
const reportSchema = v.object({ totalMs: count, runs: v.optional(v.array(runSchema), []) })
type Run = v.InferOutput<typeof runSchema>

/** Makes the server say what it did. */
export const LOOKED_HEADERS: Readonly<Record<string, string>> = { [ASK_HEADER]: 'true' }

export function explainHeaders(args: Arguments): Readonly<Record<string, string>> {
  return args.has('explain') ? LOOKED_HEADERS : {}
}

/** Says what came beside an answer. A server of another kind sends neither header. */
export function tellBeside(headers: Headers, shell: Shell): void {
  const { yellow, dim } = paintFor(shell.hasColour)
  for (const warning of warningsOf(headers.get(WARNINGS_HEADER))) shell.err(yellow(`warning: ${printable(warning)}`))
  for (const line of explainLines(headers.get(EXPLAIN_HEADER))) shell.err(dim(line))
}

/** Whether the server looked at all of its data for an answer that was asked for with `LOOKED_HEADERS`. */
export function isWholeAnswer(headers: Headers): boolean {
  const parsed = v.safeParse(reportSchema, jsonOf(headers.get(EXPLAIN_HEADER) ?? ''))
  return parsed.success && parsed.output.runs.length > 0 && warningsOf(headers.get(WARNINGS_HEADER)).length === 0
}

function warningsOf(header: string | null): readonly string[] {
  if (header === null) return []
  const parsed = v.safeParse(v.array(v.string()), jsonOf(header))
  // What cannot be read is still a warning.
  return parsed.success ? parsed.output : [header]
}

function explainLines(header: string | null): string[] {
  if (header === null) return []
  const parsed = v.safeParse(reportSchema, jsonOf(header))
  if (!parsed.success) return []
  const { totalMs, runs } = parsed.output
  // A question that the metastore answers alone.
  if (runs.length === 0) return []
  return [...runs.flatMap(runLines), `${millis(totalMs)} in all on the server`]
}

function runLines(run: Run): string[] {
  const { planMs = 0, waitMs = 0, readMs = 0, mergeMs = 0, finishMs = 0 } = run.times
  const levels = Object.entries(run.levels).map(
    ([level, objects]) => `${formatCount(objects)} of level ${printable(level)}`,
  )
  const { bytes = 0, ranges = 0, objects = 0, datasets = 0, ...more } = run.read
  const others = Object.entries(more).map(([name, value]) => `${printable(name)} ${formatCount(value)}`)
  const again = run.plans > 1 ? `, planned ${formatCount(run.plans)} times` : ''
  return [
    `${printable(run.kind)}  ${formatInstant(run.startMs)} to ${formatInstant(run.endMs)}`,
    `  plan   ${millis(planMs)}  ${formatCount(run.objects)} objects (${levels.join(', ') || 'none'}), ` +
      `${formatCount(run.datasets)} datasets, ${formatBytes(run.planBytes)} at most${again}`,
    `  wait   ${millis(waitMs)}  for other queries`,
    `  read   ${millis(readMs)}  ${formatBytes(bytes)} in ${formatCount(ranges)} ranges of ${formatCount(objects)} objects, ` +
      `${formatCount(datasets)} datasets; ` +
      `${countOf(run.calls, 'call')} to ${countOf(run.backends, 'query-backend')}`,
    ...(others.length === 0 ? [] : [`                  ${others.join(', ')}`]),
    `  merge  ${millis(mergeMs)}  of these`,
    `  finish ${millis(finishMs)}  cut and written`,
  ]
}

function countOf(count: number, name: string): string {
  return `${formatCount(count)} ${name}${count === 1 ? '' : 's'}`
}

/** Right-aligned, for a column. */
function millis(durationMs: number): string {
  return `${durationMs < 10 ? durationMs.toFixed(1) : durationMs.toFixed(0)} ms`.padStart(9)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
