/** `cinder query heatmap`: how many profiles or spans have which value over time, a row for each range of values. */
import * as v from 'valibot'
import { MS_PER_SECOND } from '#core/units.ts'
import { type Arguments, type CommandSpec, wholeNumber } from './arguments.ts'
import { formatInstant, formatQuantity } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { withProgress } from './query-progress.ts'
import { stepOf } from './query-series.ts'
import { check, groupByOf, QUERY_FLAGS, type QueryTarget, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'

export const QUERY_HEATMAP: CommandSpec = {
  name: 'query heatmap',
  about: 'How many profiles, or spans, have which value over time.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    spans: { about: 'count spans instead of profiles' },
    'group-by': { value: 'LABEL', about: 'one heat map for each value of the label', repeats: true },
    step: { value: 'SECONDS', about: 'width of a column (a sixtieth of the range if absent, 15 at least)' },
    limit: { value: 'N', about: 'heat maps at most, those with most points', default: '5' },
    json: { about: "the server's answer as JSON" },
  },
  examples: [`cinder query heatmap --spans --query '{service_name="shop"}' --from now-15m`],
}

const LIMIT_MAX = 1_000
/** A terminal of 100 columns holds them beside the values. */
const COLUMNS = 60
const SHADES = ' ░▒▓█'

const numberSchema = v.union([v.string(), v.number()])
const slotSchema = v.object({
  timestamp: v.optional(numberSchema, 0),
  yMin: v.optional(v.array(v.number()), []),
  counts: v.optional(v.array(v.number()), []),
})
const answerSchema = v.object({
  series: v.optional(
    v.array(
      v.object({
        labels: v.optional(v.array(v.object({ name: v.string(), value: v.optional(v.string(), '') })), []),
        slots: v.optional(v.array(slotSchema), []),
      }),
    ),
    [],
  ),
})
type Slot = v.InferOutput<typeof slotSchema>

export async function runQueryHeatmap(args: Arguments, shell: Shell): Promise<ExitCode> {
  const limit = wholeNumber('limit', args.need('limit'), { min: 1, max: LIMIT_MAX })
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const stepSeconds = stepOf(args.get('step'), target)
  const request = {
    ...targetFields(target),
    step: stepSeconds,
    groupBy: groupByOf(args),
    queryType: args.has('spans') ? 'HEATMAP_QUERY_TYPE_SPAN' : 'HEATMAP_QUERY_TYPE_INDIVIDUAL',
    limit: String(limit),
  }
  const answer = await withProgress(shell, { server, target }, () =>
    server.ask('querier.v1.QuerierService/SelectHeatmap', request),
  )
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { series } = check(answerSchema, answer)
  if (series.every(({ slots }) => slots.length === 0)) return sayNothing(args, shell)
  shell.out(`${describeTarget(target)}  a column is ${stepSeconds} s or more`)
  for (const { labels, slots } of series) {
    const points = slots.reduce((sum, slot) => sum + total(slot), 0)
    const name = labels.map((label) => `${printable(label.name)}=${printable(label.value)}`).join(' ') || '(all)'
    shell.out(`\n${name}  ${points} ${args.has('spans') ? 'spans' : 'profiles'}`)
    for (const line of renderHeatmap(slots, target, stepSeconds)) shell.out(line)
  }
  return EXIT.ok
}

/** Largest values on top; the darkest shade is the fullest cell. */
export function renderHeatmap(slots: readonly Slot[], target: QueryTarget, stepSeconds: number): string[] {
  const yMin = slots.find((slot) => slot.yMin.length > 0)?.yMin ?? []
  const stepMs = stepSeconds * MS_PER_SECOND
  const steps = Math.floor((target.endMs - target.startMs) / stepMs) + 1
  const columns = Math.min(COLUMNS, steps)
  const cells = yMin.map(() => new Array<number>(columns).fill(0))
  for (const { timestamp, counts } of slots) {
    const step = Math.round((Number(timestamp) - target.startMs) / stepMs)
    const column = Math.min(columns - 1, Math.max(0, Math.floor((step * columns) / steps)))
    counts.forEach((count, row) => void (cells[row]![column]! += count))
  }
  const top = cells.flat().reduce((most, count) => Math.max(most, count), 0)
  const shown = yMin.map((value) => formatQuantity(value, target.unit))
  const width = shown.reduce((most, text) => Math.max(most, text.length), 0)
  const rows = cells.map(
    (row, i) => `${shown[i]!.padStart(width)} │${row.map((count) => shadeOf(count, top)).join('')}`,
  )
  const axis = `${' '.repeat(width)} └${'─'.repeat(columns)}`
  return [...rows.toReversed(), axis, `${' '.repeat(width + 2)}${formatInstant(target.startMs)}`]
}

function shadeOf(count: number, top: number): string {
  return count === 0 ? ' ' : SHADES[Math.max(1, Math.round((count / top) * (SHADES.length - 1)))]!
}

function total({ counts }: Slot): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
