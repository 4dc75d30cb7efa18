/**
 * `cinder query diff`: which functions take another share of the whole than they did, largest change first.
 *
 * A function's own value is summed over all places of the flame graph; shares are of each side's total, so that a busier
 * hour does not look like a slower program.
 */
import * as v from 'valibot'
import { type Arguments, type CommandSpec, wholeNumber } from './arguments.ts'
import { formatQuantity } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { withProgress } from './query-progress.ts'
import { parseTime } from './query-range.ts'
import { check, QUERY_FLAGS, type QueryTarget, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, paintFor, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

export const QUERY_DIFF: CommandSpec = {
  name: 'query diff',
  about: 'Functions whose share of the whole differs from a baseline, largest change first.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    'base-query': { value: 'SELECTOR', about: 'which series are the baseline (those of --query if absent)' },
    'base-from': { value: 'TIME', about: 'start of the baseline (that of --from if absent)' },
    'base-to': { value: 'TIME', about: 'its end (that of --to if absent)' },
    lines: { value: 'N', about: 'functions at most', default: '30' },
    json: { about: "the server's answer as JSON" },
  },
  examples: [
    `cinder query diff --query '{service_name="shop"}' --base-from now-1d --base-to now-23h`,
    `cinder query diff --query '{version="v2"}' --base-query '{version="v1"}'`,
  ],
}

const LINES_MAX = 100_000
const NODE_NUMBERS = 7

const int64Schema = v.union([v.string(), v.number()])
const answerSchema = v.object({
  flamegraph: v.optional(
    v.object({
      names: v.optional(v.array(v.string()), []),
      levels: v.optional(v.array(v.object({ values: v.optional(v.array(int64Schema), []) })), []),
      leftTicks: v.optional(int64Schema, '0'),
      rightTicks: v.optional(int64Schema, '0'),
    }),
  ),
})

export async function runQueryDiff(args: Arguments, shell: Shell): Promise<ExitCode> {
  const linesMax = wholeNumber('lines', args.need('lines'), { min: 1, max: LINES_MAX })
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const base = baseOf(args, target, shell)
  const sides = { left: targetFields(base), right: targetFields(target) }
  const answer = await withProgress(shell, { server, target }, () =>
    server.ask('querier.v1.QuerierService/Diff', sides),
  )
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { flamegraph } = check(answerSchema, answer)
  const changes = flamegraph === undefined ? [] : changesOf(flamegraph)
  if (changes.length === 0) return sayNothing(args, shell)
  const { bold } = paintFor(shell.hasColour)
  shell.out(`baseline  ${describeTarget(base)}  ${bold(formatQuantity(BigInt(flamegraph!.leftTicks), target.unit))}`)
  shell.out(`compared  ${describeTarget(target)}  ${bold(formatQuantity(BigInt(flamegraph!.rightTicks), target.unit))}`)
  shell.out('')
  for (const line of renderChanges(changes.slice(0, linesMax))) shell.out(line)
  if (changes.length > linesMax) shell.err(`${changes.length - linesMax} more functions; see --lines`)
  return EXIT.ok
}

function baseOf(args: Arguments, target: QueryTarget, shell: Shell): QueryTarget {
  const timeOf = (flag: string, otherwiseMs: number): number => {
    const text = args.get(flag)
    return text === undefined ? otherwiseMs : parseTime(flag, text, shell.nowMs())
  }
  return {
    ...target,
    selector: args.get('base-query') ?? target.selector,
    startMs: timeOf('base-from', target.startMs),
    endMs: timeOf('base-to', target.endMs),
  }
}

interface Change {
  readonly name: string
  /** Percent of the side's total. */
  readonly before: number
  readonly after: number
}

type Graph = NonNullable<v.InferOutput<typeof answerSchema>['flamegraph']>

/** Largest change first, then by name. */
function changesOf({ names, levels, leftTicks, rightTicks }: Graph): Change[] {
  const selfByName = new Map<string, [left: bigint, right: bigint]>()
  for (const { values } of levels) {
    for (let i = 0; i + NODE_NUMBERS <= values.length; i += NODE_NUMBERS) {
      const name = names[Number(values[i + 6])] ?? '?'
      const sums = selfByName.get(name) ?? [0n, 0n]
      sums[0] += BigInt(values[i + 2]!)
      sums[1] += BigInt(values[i + 5]!)
      selfByName.set(name, sums)
    }
  }
  const shareOf = (value: bigint, total: string | number): number =>
    Number(total) === 0 ? 0 : (Number(value) / Number(total)) * 100
  return [...selfByName]
    .filter(([, [left, right]]) => left !== 0n || right !== 0n)
    .map(([name, [left, right]]) => ({ name, before: shareOf(left, leftTicks), after: shareOf(right, rightTicks) }))
    .sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before) || (a.name < b.name ? -1 : 1))
}

function renderChanges(changes: readonly Change[]): string[] {
  const percent = (value: number): string => `${value.toFixed(2)}%`
  return renderTable(
    [
      { title: 'change', align: 'right' },
      { title: 'before', align: 'right' },
      { title: 'after', align: 'right' },
      { title: 'function' },
    ],
    changes.map(({ name, before, after }) => {
      const change = after - before
      return [`${change > 0 ? '+' : ''}${percent(change)}`, percent(before), percent(after), printable(name)]
    }),
  )
}
