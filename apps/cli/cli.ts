/**
 * The command `cinder`: finds the command, reads its arguments, runs it, and turns what went wrong into one sentence
 * and an exit code: 0 done, 1 failed, 2 asked wrongly.
 */
import { CinderError } from '#core/errors.ts'
import { type Arguments, type CommandSpec, parseArguments, USAGE_REASON } from './arguments.ts'
import { BACKUP, runBackup } from './backup.ts'
import { FSCK, runFsck } from './fsck.ts'
import { renderHelp, renderOverview } from './help.ts'
import { IMPORT, runImport } from './import.ts'
import { INGEST_EXPLAIN, runIngestExplain } from './ingest-explain.ts'
import { INSPECT, runInspect } from './inspect.ts'
import { JOB_COMMANDS } from './jobs.ts'
import { LIMIT_COMMANDS } from './limits.ts'
import { PLACEMENT_COMMANDS } from './placement.ts'
import { POLICY_COMMANDS } from './policies.ts'
import { MARK_COMMANDS } from './marks.ts'
import { PUSH, runPush } from './push.ts'
import { QUERY_DIFF, runQueryDiff } from './query-diff.ts'
import { QUERY_EXEMPLARS, runQueryExemplars } from './query-exemplars.ts'
import { QUERY_ANALYZE, QUERY_STATS, runQueryAnalyze, runQueryStats } from './query-extent.ts'
import { QUERY_FLAMEGRAPH, runQueryFlamegraph } from './query-flamegraph.ts'
import { QUERY_HEATMAP, runQueryHeatmap } from './query-heatmap.ts'
import { QUERY_LABEL_SETS, runQueryLabelSets } from './query-label-sets.ts'
import { QUERY_LABELS, QUERY_TYPES, runQueryLabels, runQueryTypes } from './query-labels.ts'
import { QUERY_DOT, QUERY_PPROF, runQueryDot, runQueryPprof } from './query-pprof.ts'
import { QUERY_SERIES, runQuerySeries } from './query-series.ts'
import {
  RETENTION_CANCEL,
  RETENTION_LIST,
  RETENTION_PREVIEW,
  RETENTION_SET,
  runRetentionCancel,
  runRetentionList,
  runRetentionPreview,
  runRetentionSet,
} from './retention.ts'
import { REBUILD_INDEX, runRebuildIndex } from './rebuild-index.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import {
  runTenantsDelete,
  runTenantsList,
  runTenantsShow,
  runTenantsUndelete,
  TENANTS_DELETE,
  TENANTS_LIST,
  TENANTS_SHOW,
  TENANTS_UNDELETE,
} from './tenants.ts'
import { runStatus, STATUS } from './status.ts'
import { runUsage, USAGE } from './usage.ts'

interface Command {
  readonly spec: CommandSpec
  run(args: Arguments, shell: Shell): Promise<ExitCode>
}

const COMMANDS: readonly Command[] = [
  { spec: PUSH, run: runPush },
  { spec: IMPORT, run: runImport },
  { spec: INGEST_EXPLAIN, run: runIngestExplain },
  { spec: QUERY_FLAMEGRAPH, run: runQueryFlamegraph },
  { spec: QUERY_DIFF, run: runQueryDiff },
  { spec: QUERY_PPROF, run: runQueryPprof },
  { spec: QUERY_DOT, run: runQueryDot },
  { spec: QUERY_SERIES, run: runQuerySeries },
  { spec: QUERY_HEATMAP, run: runQueryHeatmap },
  { spec: QUERY_EXEMPLARS, run: runQueryExemplars },
  { spec: QUERY_LABELS, run: runQueryLabels },
  { spec: QUERY_LABEL_SETS, run: runQueryLabelSets },
  { spec: QUERY_TYPES, run: runQueryTypes },
  { spec: QUERY_ANALYZE, run: runQueryAnalyze },
  { spec: QUERY_STATS, run: runQueryStats },
  { spec: INSPECT, run: runInspect },
  { spec: FSCK, run: runFsck },
  { spec: REBUILD_INDEX, run: runRebuildIndex },
  { spec: BACKUP, run: runBackup },
  { spec: TENANTS_LIST, run: runTenantsList },
  { spec: TENANTS_DELETE, run: runTenantsDelete },
  { spec: TENANTS_UNDELETE, run: runTenantsUndelete },
  { spec: TENANTS_SHOW, run: runTenantsShow },
  { spec: RETENTION_LIST, run: runRetentionList },
  { spec: RETENTION_SET, run: runRetentionSet },
  { spec: RETENTION_CANCEL, run: runRetentionCancel },
  { spec: RETENTION_PREVIEW, run: runRetentionPreview },
  { spec: STATUS, run: runStatus },
  { spec: USAGE, run: runUsage },
  ...JOB_COMMANDS,
  ...MARK_COMMANDS,
  ...LIMIT_COMMANDS,
  ...POLICY_COMMANDS,
  ...PLACEMENT_COMMANDS,
]

export async function runCli(argv: readonly string[], shell: Shell, version: string): Promise<ExitCode> {
  const specs = COMMANDS.map(({ spec }) => spec)
  const [first] = argv
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    shell.out(renderOverview(specs, version))
    return first === undefined ? EXIT.usage : EXIT.ok
  }
  if (first === '--version') {
    shell.out(version)
    return EXIT.ok
  }
  const found = findCommand(argv)
  if (found === undefined) {
    const family = specs.filter(({ name }) => name.startsWith(`${first} `))
    if (family.length > 0 && (argv[1] === undefined || argv[1] === '--help' || argv[1] === '-h')) {
      shell.out(renderOverview(family, version))
      return argv[1] === undefined ? EXIT.usage : EXIT.ok
    }
    return fail(shell, unknownCommand(argv, specs), EXIT.usage)
  }
  return run(found.command, argv.slice(found.wordCount), shell)
}

async function run(command: Command, argv: readonly string[], shell: Shell): Promise<ExitCode> {
  try {
    const args = parseArguments(command.spec, argv)
    if (args.has('help')) {
      shell.out(renderHelp(command.spec))
      return EXIT.ok
    }
    return await command.run(args, shell)
  } catch (error) {
    shell.progress('')
    if (!(error instanceof CinderError)) throw error
    return fail(shell, error.message, error.reason === USAGE_REASON ? EXIT.usage : EXIT.failed)
  }
}

function findCommand(argv: readonly string[]): { command: Command; wordCount: number } | undefined {
  for (const command of COMMANDS) {
    const words = command.spec.name.split(' ')
    if (words.every((word, i) => argv[i] === word)) return { command, wordCount: words.length }
  }
  return undefined
}

function unknownCommand(argv: readonly string[], specs: readonly CommandSpec[]): string {
  const [first] = argv
  if (first!.startsWith('-')) return `unknown flag ${first!.split('=')[0]}; a command comes first, see cinder --help`
  const family = specs.some(({ name }) => name.startsWith(`${first} `))
  const typed = family ? `${first} ${argv[1]}` : first!
  return `unknown command ${JSON.stringify(typed)}; known: ${specs.map(({ name }) => name).join(', ')}`
}

/** A message may quote what a server sent; line feeds of our own lists stay. */
function fail(shell: Shell, message: string, code: ExitCode): ExitCode {
  shell.err(`cinder: ${message.split('\n').map(printable).join('\n')}`)
  return code
}
