/** `cinder query series`: totals over time, a line with a sparkline for each series. */
import * as v from 'valibot'
import { MS_PER_SECOND } from '#core/units.ts'
import { type Arguments, type CommandSpec, usageError, wholeNumber } from './arguments.ts'
import { formatQuantity } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { withProgress } from './query-progress.ts'
import { callSiteField, SAMPLE_FLAGS } from './query-selectors.ts'
import { check, groupByOf, QUERY_FLAGS, type QueryTarget, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderSparkline, renderTable, shrinkSeries } from './table.ts'

export const QUERY_SERIES: CommandSpec = {
  name: 'query series',
  about: 'Totals over time: a sparkline, the sum, the largest and the last step of each series.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    'group-by': { value: 'LABEL', about: 'one series for each value of the label', repeats: true },
    step: { value: 'SECONDS', about: 'length of a step (a sixtieth of the range if absent, 15 at least)' },
    limit: { value: 'N', about: 'the N largest series', default: '20' },
    average: { about: 'a step shows the average of its profiles instead of their sum' },
    'call-site': SAMPLE_FLAGS['call-site'],
    json: { about: "the server's answer as JSON" },
  },
  examples: ['cinder query series --group-by service_name --from now-6h --step 300'],
}

const STEPS_WANTED = 60
const STEP_MIN_SECONDS = 15
const SPARKLINE_WIDTH = 60
/** 11,000 points a series, as Prometheus allows: more is a typing error. */
const STEPS_MAX = 11_000
const SERIES_MAX = 100_000

const answerSchema = v.object({
  series: v.optional(
    v.array(
      v.object({
        labels: v.optional(v.array(v.object({ name: v.string(), value: v.optional(v.string(), '') })), []),
        points: v.optional(
          v.array(
            v.object({ value: v.optional(v.number(), 0), timestamp: v.optional(v.union([v.string(), v.number()]), 0) }),
          ),
          [],
        ),
      }),
    ),
    [],
  ),
})
type Series = v.InferOutput<typeof answerSchema>['series'][number]

export async function runQuerySeries(args: Arguments, shell: Shell): Promise<ExitCode> {
  const limit = wholeNumber('limit', args.need('limit'), { min: 1, max: SERIES_MAX })
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const stepSeconds = stepOf(args.get('step'), target)
  const request = {
    ...targetFields(target),
    groupBy: groupByOf(args),
    step: stepSeconds,
    limit: String(limit),
    ...(args.has('average') ? { aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' } : {}),
    ...callSiteField(args),
  }
  const answer = await withProgress(shell, { server, target }, () =>
    server.ask('querier.v1.QuerierService/SelectSeries', request),
  )
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { series } = check(answerSchema, answer)
  if (series.every(({ points }) => points.length === 0)) return sayNothing(args, shell)
  shell.out(`${describeTarget(target)}  a step is ${stepSeconds} s`)
  shell.out('')
  for (const line of renderSeries(series, target, stepSeconds)) shell.out(line)
  return EXIT.ok
}

export function stepOf(text: string | undefined, range: { startMs: number; endMs: number }): number {
  const lengthSeconds = (range.endMs - range.startMs) / MS_PER_SECOND
  if (text === undefined) return Math.max(STEP_MIN_SECONDS, Math.ceil(lengthSeconds / STEPS_WANTED))
  const step = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
  if (!(step >= 0.001)) throw usageError(`flag --step is ${JSON.stringify(text)}; allowed: seconds, 0.001 at least`)
  if (lengthSeconds / step <= STEPS_MAX) return step
  throw usageError(
    `flag --step is ${text}, which makes ${Math.ceil(lengthSeconds / step)} steps; allowed: ${STEPS_MAX} at most`,
  )
}

export function renderSeries(series: readonly Series[], target: QueryTarget, stepSeconds: number): string[] {
  const stepMs = stepSeconds * MS_PER_SECOND
  const slots = Math.floor((target.endMs - target.startMs) / stepMs) + 1
  const rows = series.map(({ labels, points }) => {
    const values = new Array<number | undefined>(slots).fill(undefined)
    for (const { timestamp, value } of points) {
      const slot = Math.round((Number(timestamp) - target.startMs) / stepMs)
      if (slot >= 0 && slot < slots) values[slot] = (values[slot] ?? 0) + value
    }
    const all = points.map(({ value }) => value)
    const total = all.reduce((sum, value) => sum + value, 0)
    const largest = all.reduce((max, value) => Math.max(max, value), 0)
    const show = (value: number): string => formatQuantity(value, target.unit)
    return [
      labels.map(({ name, value }) => `${printable(name)}=${printable(value)}`).join(' ') || '(all)',
      renderSparkline(shrinkSeries(values, SPARKLINE_WIDTH)),
      show(total),
      show(largest),
      show(all.at(-1) ?? 0),
    ]
  })
  const columns = [
    { title: 'series' },
    { title: 'over time' },
    { title: 'sum', align: 'right' },
    { title: 'largest', align: 'right' },
    { title: 'last', align: 'right' },
  ] as const
  return renderTable(columns, rows)
}
