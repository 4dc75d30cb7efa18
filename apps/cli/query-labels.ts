/** `cinder query labels` and `cinder query types`: what there is to ask for. */
import { LABEL_PROFILE_TYPE } from '#core/labels/labels.ts'
import type { Arguments, CommandSpec } from './arguments.ts'
import { rangeOf } from './query-range.ts'
import { askLabelNames, askLabelValues, QUERY_FLAGS } from './query-target.ts'
import { sayNothing } from './query-flamegraph.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'

const JSON_FLAG = { json: { about: 'a JSON array instead of lines' } }

export const QUERY_LABELS: CommandSpec = {
  name: 'query labels',
  about: 'Label names; with NAME the values of that label.',
  words: { hint: '[NAME]', min: 0, max: 1 },
  flags: { ...QUERY_FLAGS, ...JSON_FLAG },
  examples: ['cinder query labels service_name'],
}

export const QUERY_TYPES: CommandSpec = {
  name: 'query types',
  about: 'Profile types.',
  flags: { ...QUERY_FLAGS, ...JSON_FLAG },
  examples: [`cinder query types --query '{service_name="shop"}'`],
}

export function runQueryLabels(args: Arguments, shell: Shell): Promise<ExitCode> {
  return list(args, shell, args.words[0])
}

export function runQueryTypes(args: Arguments, shell: Shell): Promise<ExitCode> {
  return list(args, shell, LABEL_PROFILE_TYPE)
}

async function list(args: Arguments, shell: Shell, name: string | undefined): Promise<ExitCode> {
  const of = { selector: args.need('query'), ...rangeOf(args, shell.nowMs()) }
  const server = serverOf(args, shell)
  const texts = name === undefined ? await askLabelNames(server, of) : await askLabelValues(server, name, of)
  if (args.has('json')) shell.out(JSON.stringify(texts))
  else if (texts.length === 0) return sayNothing(args, shell)
  else for (const text of texts) shell.out(printable(text))
  return EXIT.ok
}
