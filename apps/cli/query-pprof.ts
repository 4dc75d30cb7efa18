/** `cinder query pprof` and `cinder query dot`: a merged profile as a file for other tools, and as a graph of calls. */
import * as v from 'valibot'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { type Arguments, type CommandSpec, wholeNumber } from './arguments.ts'
import { formatBytes } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { withProgress } from './query-progress.ts'
import { SAMPLE_FLAGS, type SampleFields, sampleFields } from './query-selectors.ts'
import { check, QUERY_FLAGS, type QueryTarget, targetFields, targetOf, TYPE_FLAG } from './query-target.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'

const NODES_FLAG = {
  'max-nodes': { value: 'N', about: 'functions that stay, the largest; the rest is summed up' },
} as const

export const QUERY_PPROF: CommandSpec = {
  name: 'query pprof',
  about: 'All profiles of a range merged into one pprof file, lines and addresses kept.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    ...NODES_FLAG,
    profile: SAMPLE_FLAGS.profile,
    trace: SAMPLE_FLAGS.trace,
    'call-site': SAMPLE_FLAGS['call-site'],
    output: { value: 'FILE', about: 'where it goes', default: 'cinder.pprof' },
    json: { about: "the server's answer as JSON, and no file" },
  },
  examples: [`cinder query pprof --query '{service_name="shop"}' --output shop.pprof && go tool pprof -top shop.pprof`],
}

export const QUERY_DOT: CommandSpec = {
  name: 'query dot',
  about: 'A graph of calls in the language of Graphviz.',
  flags: {
    ...QUERY_FLAGS,
    ...TYPE_FLAG,
    'max-nodes': { value: 'N', about: 'boxes, the most telling (100 if absent)' },
    ...SAMPLE_FLAGS,
    output: { value: 'FILE', about: 'where it goes instead of stdout' },
    json: { about: "the server's answer as JSON" },
  },
  examples: [`cinder query dot --query '{service_name="shop"}' --max-nodes 30 | dot -Tsvg > shop.svg`],
}

/** 2^20: what servers allow at most. */
const NODES_MAX = 1_048_576
const STACKTRACES = 'querier.v1.QuerierService/SelectMergeStacktraces'
const PROFILE = 'querier.v1.QuerierService/SelectMergeProfile'

export async function runQueryPprof(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [nodes, samples] = [nodesOf(args), sampleFields(args)]
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  if (args.has('json')) {
    shell.out(JSON.stringify(await server.ask(PROFILE, { ...fieldsOf(target, nodes), ...samples })))
    return EXIT.ok
  }
  // The body of a binary answer is the file: no JSON on the way.
  const message = encodeRequest(target, nodes, samples)
  const pprof = await withProgress(shell, { server, target }, () => server.send(PROFILE, message))
  if (pprof.length === 0) return sayNothing(args, shell)
  const path = args.need('output')
  await shell.writeFile(path, pprof)
  shell.err(`${describeTarget(target)}: ${formatBytes(pprof.length)} in ${printable(path)}`)
  return EXIT.ok
}

const dotSchema = v.object({ dot: v.optional(v.string(), '') })

export async function runQueryDot(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [nodes, samples] = [nodesOf(args), sampleFields(args)]
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const request = { ...fieldsOf(target, nodes), ...samples, format: 'PROFILE_FORMAT_DOT' }
  const answer = await withProgress(shell, { server, target }, () => server.ask(STACKTRACES, request))
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { dot } = check(dotSchema, answer)
  if (dot === '') return sayNothing(args, shell)
  const path = args.get('output')
  if (path === undefined) shell.out(dot.trimEnd())
  else await shell.writeFile(path, new TextEncoder().encode(dot))
  return EXIT.ok
}

function nodesOf(args: Arguments): number | undefined {
  const text = args.get('max-nodes')
  return text === undefined ? undefined : wholeNumber('max-nodes', text, { min: 1, max: NODES_MAX })
}

function fieldsOf(target: QueryTarget, nodes: number | undefined) {
  return {
    ...targetFields(target),
    ...(nodes === undefined ? {} : { maxNodes: String(nodes) }),
  }
}

/** querier.v1.SelectMergeProfileRequest. */
function encodeRequest(
  target: QueryTarget,
  nodes: number | undefined,
  { profileIdSelector = [], traceIdSelector = [], stackTraceSelector }: Partial<SampleFields>,
): Uint8Array {
  const request = new ProtobufWriter()
  request.stringField(1, target.profileType)
  request.stringField(2, target.selector)
  request.varintField(3, BigInt(Math.floor(target.startMs)))
  request.varintField(4, BigInt(Math.floor(target.endMs)))
  if (nodes !== undefined) request.varintField(5, nodes)
  if (stackTraceSelector !== undefined) {
    const selector = new ProtobufWriter()
    for (const { name } of stackTraceSelector.callSite) {
      const location = new ProtobufWriter()
      location.stringField(1, name)
      selector.messageField(1, location)
    }
    request.messageField(6, selector)
  }
  for (const id of profileIdSelector) request.stringField(7, id)
  for (const id of traceIdSelector) request.stringField(8, id)
  return request.copyBytes()
}
