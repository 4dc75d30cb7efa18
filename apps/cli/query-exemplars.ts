/** `cinder query exemplars`: single profiles, or spans, that have the highest values, with the ids to look at them. */
import * as v from 'valibot'
import { type Arguments, type CommandSpec, wholeNumber } from './arguments.ts'
import { formatInstant, formatQuantity } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { withProgress } from './query-progress.ts'
import { stepOf } from './query-series.ts'
import { check, groupByOf, QUERY_FLAGS, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

export const QUERY_EXEMPLARS: CommandSpec = {
  name: 'query exemplars',
  about: 'The profiles, or spans, with the highest values of every step, highest first.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    spans: { about: 'spans instead of profiles' },
    'group-by': { value: 'LABEL', about: 'those of each value of the label', repeats: true },
    step: { value: 'SECONDS', about: 'length of a step (a sixtieth of the range if absent, 15 at least)' },
    lines: { value: 'N', about: 'how many are shown', default: '20' },
    json: { about: "the server's answer as JSON" },
  },
  examples: [
    `cinder query exemplars --query '{service_name="shop"}'`,
    `cinder query exemplars --spans --group-by service_name --from now-15m`,
  ],
}

const LINES_MAX = 100_000

const labelsSchema = v.optional(v.array(v.object({ name: v.string(), value: v.optional(v.string(), '') })), [])
const exemplarSchema = v.object({
  timestamp: v.optional(v.union([v.string(), v.number()]), 0),
  profileId: v.optional(v.string(), ''),
  spanId: v.optional(v.string(), ''),
  traceId: v.optional(v.string(), ''),
  value: v.optional(v.union([v.string(), v.number()]), 0),
  labels: labelsSchema,
})
const answerSchema = v.object({
  series: v.optional(
    v.array(
      v.object({
        labels: labelsSchema,
        points: v.optional(v.array(v.object({ exemplars: v.optional(v.array(exemplarSchema), []) })), []),
      }),
    ),
    [],
  ),
})

export async function runQueryExemplars(args: Arguments, shell: Shell): Promise<ExitCode> {
  const lines = wholeNumber('lines', args.need('lines'), { min: 1, max: LINES_MAX })
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const request = {
    ...targetFields(target),
    step: stepOf(args.get('step'), target),
    groupBy: groupByOf(args),
    exemplarType: args.has('spans') ? 'EXEMPLAR_TYPE_SPAN' : 'EXEMPLAR_TYPE_INDIVIDUAL',
  }
  const answer = await withProgress(shell, { server, target }, () =>
    server.ask('querier.v1.QuerierService/SelectSeries', request),
  )
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const found = check(answerSchema, answer).series.flatMap(({ labels, points }) =>
    points.flatMap(({ exemplars }) => exemplars.map((each) => ({ ...each, labels: [...labels, ...each.labels] }))),
  )
  if (found.length === 0) return sayNothing(args, shell)
  const ranked = found.map((each) => ({ ...each, exact: BigInt(each.value) }))
  ranked.sort((a, b) => (a.exact > b.exact ? -1 : a.exact < b.exact ? 1 : Number(a.timestamp) - Number(b.timestamp)))
  shell.out(describeTarget(target))
  shell.out('')
  const rows = ranked.slice(0, lines).map(({ exact, timestamp, profileId, spanId, traceId, labels }) => [
    formatQuantity(exact, target.unit),
    formatInstant(Number(timestamp)),
    printable(profileId || spanId),
    printable(traceId),
    labels
      .filter(({ name }) => !name.startsWith('__'))
      .map(({ name, value }) => `${printable(name)}=${printable(value)}`)
      .join(' '),
  ])
  const columns = [
    { title: 'value', align: 'right' },
    { title: 'time' },
    { title: args.has('spans') ? 'span' : 'profile' },
    { title: rows.some(([, , , trace]) => trace !== '') ? 'trace' : '' },
    { title: 'labels' },
  ] as const
  for (const line of renderTable(columns, rows)) shell.out(line)
  if (ranked.length > lines) shell.err(`${ranked.length - lines} more; see --lines`)
  return EXIT.ok
}
