/** `cinder query label-sets`: the series that there are, as the labels that are asked for. */
import * as v from 'valibot'
import type { Arguments, CommandSpec } from './arguments.ts'
import { sayNothing } from './query-flamegraph.ts'
import { rangeOf } from './query-range.ts'
import { check, QUERY_FLAGS } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'

export const QUERY_LABEL_SETS: CommandSpec = {
  name: 'query label-sets',
  about: 'Series as sets of labels: of the named labels, or of all.',
  words: { hint: '[NAME…]', min: 0, max: 100 },
  flags: { ...QUERY_FLAGS, json: { about: "the server's answer as JSON" } },
  examples: ['cinder query label-sets service_name __profile_type__'],
}

const answerSchema = v.object({
  labelsSet: v.optional(
    v.array(
      v.object({
        labels: v.optional(v.array(v.object({ name: v.string(), value: v.optional(v.string(), '') })), []),
      }),
    ),
    [],
  ),
})

export async function runQueryLabelSets(args: Arguments, shell: Shell): Promise<ExitCode> {
  const { startMs, endMs } = rangeOf(args, shell.nowMs())
  const answer = await serverOf(args, shell).ask('querier.v1.QuerierService/Series', {
    matchers: [args.need('query')],
    labelNames: args.words,
    start: String(startMs),
    end: String(endMs),
  })
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { labelsSet } = check(answerSchema, answer)
  if (labelsSet.length === 0) return sayNothing(args, shell)
  for (const { labels } of labelsSet) {
    shell.out(
      `{${labels.map(({ name, value }) => `${printable(name)}=${printable(JSON.stringify(value))}`).join(', ')}}`,
    )
  }
  return EXIT.ok
}
