/** `cinder query analyze` and `cinder query stats`: what a query would read, and what there is at all. */
import * as v from 'valibot'
import type { Arguments, CommandSpec } from './arguments.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { describeTarget, sayNothing } from './query-flamegraph.ts'
import { check, QUERY_FLAGS, targetOf, TYPE_FLAG } from './query-target.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

const JSON_FLAG = { json: { about: "the server's answer as JSON" } }

export const QUERY_ANALYZE: CommandSpec = {
  name: 'query analyze',
  about: 'What a query would read: blocks, series, profiles, samples and bytes. Nothing is read.',
  flags: { ...QUERY_FLAGS, ...TYPE_FLAG, ...JSON_FLAG },
  examples: [`cinder query analyze --query '{service_name="shop"}' --from now-7d`],
}

export const QUERY_STATS: CommandSpec = {
  name: 'query stats',
  about: 'Whether the tenant has data, and from when to when.',
  flags: { ...SERVER_FLAGS, ...JSON_FLAG },
  examples: ['cinder query stats --tenant acme'],
}

const countSchema = v.optional(v.union([v.string(), v.number()]), 0)
const scopeSchema = v.object({
  componentType: v.optional(v.string(), ''),
  blockCount: countSchema,
  seriesCount: countSchema,
  profileCount: countSchema,
  sampleCount: countSchema,
  indexBytes: countSchema,
  profileBytes: countSchema,
  symbolBytes: countSchema,
})
const analysisSchema = v.object({ queryScopes: v.optional(v.array(scopeSchema), []) })
const statsSchema = v.object({
  dataIngested: v.optional(v.boolean(), false),
  oldestProfileTime: countSchema,
  newestProfileTime: countSchema,
})

export async function runQueryAnalyze(args: Arguments, shell: Shell): Promise<ExitCode> {
  const server = serverOf(args, shell)
  const target = await targetOf(args, server, shell)
  if (target === undefined) return sayNothing(args, shell)
  const { startMs, endMs, profileType, selector } = target
  const request = { start: String(startMs), end: String(endMs), query: `${profileType}${selector}` }
  const answer = await server.ask('querier.v1.QuerierService/AnalyzeQuery', request)
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { queryScopes } = check(analysisSchema, answer)
  if (queryScopes.length === 0) return sayNothing(args, shell)
  shell.out(describeTarget(target))
  shell.out('')
  const columns = [
    { title: 'where' },
    ...['blocks', 'series', 'profiles', 'samples', 'index', 'samples and symbols'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ]
  const rows = queryScopes.map((scope) => [
    printable(scope.componentType),
    ...[scope.blockCount, scope.seriesCount, scope.profileCount, scope.sampleCount].map((n) => formatCount(Number(n))),
    formatBytes(Number(scope.indexBytes)),
    formatBytes(Number(scope.profileBytes) + Number(scope.symbolBytes)),
  ])
  for (const line of renderTable(columns, rows)) shell.out(line)
  return EXIT.ok
}

export async function runQueryStats(args: Arguments, shell: Shell): Promise<ExitCode> {
  const answer = await serverOf(args, shell).ask('querier.v1.QuerierService/GetProfileStats', {})
  if (args.has('json')) {
    shell.out(JSON.stringify(answer))
    return EXIT.ok
  }
  const { dataIngested, oldestProfileTime, newestProfileTime } = check(statsSchema, answer)
  if (dataIngested)
    shell.out(
      `profiles from ${formatInstant(Number(oldestProfileTime))} to ${formatInstant(Number(newestProfileTime))}`,
    )
  else shell.err('no profile has been stored')
  return EXIT.ok
}
