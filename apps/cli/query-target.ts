/** What a query is about: selector, range and profile type, which is chosen where the choice is clear. */
import * as v from 'valibot'
import { CinderError } from '#core/errors.ts'
import { LABEL_PROFILE_TYPE } from '#core/labels/labels.ts'
import { parseProfileType } from '#core/labels/profile-type.ts'
import { type Arguments, type FlagSpec, usageError } from './arguments.ts'
import { EXPLAIN_FLAG } from './explain-lines.ts'
import { type QueryRange, RANGE_FLAGS, rangeOf } from './query-range.ts'
import { SERVER_FLAGS, type Server } from './server.ts'
import { printable, type Shell } from './shell.ts'

export const QUERY_FLAGS = {
  ...SERVER_FLAGS,
  query: { value: 'SELECTOR', about: 'which series', default: '{}' },
  ...RANGE_FLAGS,
  ...EXPLAIN_FLAG,
} as const satisfies Record<string, FlagSpec>

export const TYPE_FLAG = {
  type: { value: 'ID', about: 'profile type; chosen if there is one, or one of CPU time' },
} as const satisfies Record<string, FlagSpec>

export interface QueryTarget extends QueryRange {
  readonly selector: string
  /** Five-part id. */
  readonly profileType: string
  /** Of its values. */
  readonly unit: string
}

/** Undefined if no profile matches. Fails with a usage error that lists the types if the choice is not clear. */
export async function targetOf(args: Arguments, server: Server, shell: Shell): Promise<QueryTarget | undefined> {
  const range = rangeOf(args, shell.nowMs())
  const selector = args.need('query')
  const given = args.get('type')
  if (given !== undefined) return { ...range, selector, profileType: given, unit: parseProfileType(given).sampleUnit }
  const types = await askLabelValues(server, LABEL_PROFILE_TYPE, { selector, ...range })
  if (types.length === 0) return undefined
  const chosen = chooseType(types)
  if (chosen === undefined)
    throw usageError(['--type is needed, there are:', ...types.map((type) => `  ${printable(type)}`)].join('\n'))
  return { ...range, selector, profileType: chosen, unit: parseProfileType(chosen).sampleUnit }
}

/** What every query of profiles asks about, as fields of its request. */
export function targetFields({ profileType, selector, startMs, endMs }: QueryTarget) {
  return { profileTypeID: profileType, labelSelector: selector, start: String(startMs), end: String(endMs) }
}

/** Labels of all `--group-by`, each of which may name several. */
export function groupByOf(args: Arguments): string[] {
  return args.all('group-by').flatMap((names) => names.split(','))
}

/** The only one, else the only one of CPU time, else the one that agents call `process_cpu`. */
export function chooseType(types: readonly string[]): string | undefined {
  if (types.length === 1) return types[0]
  const ofCpu = types.filter((type) => {
    const [, sampleType, unit] = type.split(':')
    return sampleType === 'cpu' && unit === 'nanoseconds'
  })
  return ofCpu.length === 1 ? ofCpu[0] : ofCpu.find((type) => type.startsWith('process_cpu:'))
}

const namesSchema = v.object({ names: v.optional(v.array(v.string()), []) })

export async function askLabelValues(
  server: Server,
  name: string,
  of: QueryRange & { selector: string },
): Promise<string[]> {
  const request = { name, matchers: [of.selector], start: String(of.startMs), end: String(of.endMs) }
  return check(namesSchema, await server.ask('querier.v1.QuerierService/LabelValues', request)).names
}

export async function askLabelNames(server: Server, of: QueryRange & { selector: string }): Promise<string[]> {
  const request = { matchers: [of.selector], start: String(of.startMs), end: String(of.endMs) }
  return check(namesSchema, await server.ask('querier.v1.QuerierService/LabelNames', request)).names
}

/** An answer of the expected shape, or an error that names the first fault. */
export function check<Schema extends v.GenericSchema>(schema: Schema, answer: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, answer, { abortEarly: true })
  if (result.success) return result.output
  const where = v.getDotPath(result.issues[0]) ?? 'the answer'
  throw new CinderError('unknown', `the server's answer makes no sense: ${where}: ${result.issues[0].message}`, {
    reason: 'malformed_answer',
  })
}
