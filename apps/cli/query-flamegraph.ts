/** `cinder query flamegraph`: where the time or the memory goes, as a tree in the terminal. */
import * as v from 'valibot'
import { type Arguments, type CommandSpec, usageError, wholeNumber } from './arguments.ts'
import { flameTreeOf } from './flame-graph.ts'
import { renderFlameLines } from './flame-lines.ts'
import { formatInstant, formatQuantity } from './quantity.ts'
import { ASYNC_FLAG, askAsync } from './query-async.ts'
import { withProgress } from './query-progress.ts'
import { SAMPLE_FLAGS, sampleFields } from './query-selectors.ts'
import { check, QUERY_FLAGS, type QueryTarget, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, paintFor, printable, type Shell } from './shell.ts'

export const QUERY_FLAMEGRAPH: CommandSpec = {
  name: 'query flamegraph',
  about: 'A flame graph as a tree: total, share, self and name, widest first.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    ...SAMPLE_FLAGS,
    ...ASYNC_FLAG,
    'max-nodes': { value: 'N', about: 'nodes the server may answer with (its default if absent)' },
    'min-percent': { value: 'P', about: 'sum up what is narrower than this share', default: '1' },
    lines: { value: 'N', about: 'lines at most', default: '200' },
    json: { about: "the server's answer as JSON" },
  },
  examples: [
    `cinder query flamegraph --query '{service_name="shop"}'`,
    `cinder query flamegraph --query '{service_name="shop"}' --type memory:inuse_space:bytes:space:bytes --from now-6h`,
    `cinder query flamegraph --query '{service_name="shop"}' --span 9f1b2c3d4e5f6071`,
  ],
}

/** 2^20: what servers allow at most. */
const NODES_MAX = 1_048_576
const LINES_MAX = 1_000_000
const STACKTRACES = 'querier.v1.QuerierService/SelectMergeStacktraces'

const answerSchema = v.object({
  flamegraph: v.optional(
    v.object({
      names: v.optional(v.array(v.string())),
      levels: v.optional(v.array(v.object({ values: v.optional(v.array(v.union([v.string(), v.number()]))) }))),
    }),
  ),
})

export async function runQueryFlamegraph(args: Arguments, shell: Shell): Promise<ExitCode> {
  const maxNodes = args.get('max-nodes')
  const nodes = maxNodes === undefined ? undefined : wholeNumber('max-nodes', maxNodes, { min: 1, max: NODES_MAX })
  const minPercent = percentOf(args.need('min-percent'))
  const linesMax = wholeNumber('lines', args.need('lines'), { min: 1, max: LINES_MAX })
  const samples = sampleFields(args)
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const request = {
    ...targetFields(target),
    format: 'PROFILE_FORMAT_FLAMEGRAPH',
    ...(nodes === undefined ? {} : { maxNodes: String(nodes) }),
    ...samples,
  }
  const answer = await withProgress(shell, { server, target }, () =>
    args.has('async') ? askAsync(shell, server, STACKTRACES, request) : server.ask(STACKTRACES, request),
  )
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const tree = flameTreeOf(check(answerSchema, answer).flamegraph ?? {})
  if (tree === undefined) return sayNothing(args, shell)
  const { unit } = target
  const paint = paintFor(shell.hasColour)
  shell.out(`${describeTarget(target)}  ${paint.bold(formatQuantity(tree.total, unit))}`)
  shell.out('')
  const columns = shell.isTerminal ? shell.columns : 0
  for (const line of renderFlameLines(tree, { unit, minPercent, linesMax, columns, paint })) shell.out(line)
  return EXIT.ok
}

export function describeTarget({ profileType, selector, startMs, endMs }: QueryTarget): string {
  return `${printable(profileType)} ${printable(selector)}  ${formatInstant(startMs)} to ${formatInstant(endMs)}`
}

/** No data is a success: scripts get the empty answer, people a sentence. */
export function sayNothing(args: Arguments, shell: Shell): ExitCode {
  if (args.has('json')) shell.out('{}')
  else {
    const [from, to] = [args.need('from'), args.need('to')]
    shell.err(`no profile matches ${printable(args.need('query'))} from ${from} to ${to}`)
  }
  return EXIT.ok
}

function percentOf(text: string): number {
  const percent = /^\d{1,3}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN
  if (percent >= 0 && percent <= 100) return percent
  throw usageError(`flag --min-percent is ${JSON.stringify(text)}; allowed: 0 to 100`)
}
