/**
 * `cinder status`: what operators see, in the terminal. The tables are those of the page; the exit code says whether
 * something is critical, so that a script need not read them.
 */
import { type Painter, renderStatusText } from '#core/status/text.ts'
import type { StatusView } from '#core/status/tables.ts'
import { readStatusJson } from '#platform/connect/status-service.ts'
import type { Arguments, CommandSpec } from './arguments.ts'
import { serverOf, SERVER_FLAGS } from './server.ts'
import { EXIT, type ExitCode, paintFor, type Shell } from './shell.ts'

export const STATUS: CommandSpec = {
  name: 'status',
  about: 'Backlog, leases, duties, jobs, workers and deletions; exits with 1 if something is critical.',
  flags: {
    url: { ...SERVER_FLAGS.url, about: 'address of a metastore, or of a server with all services' },
    view: {
      value: 'VIEW',
      about: 'all of it, or a part',
      default: 'status',
      choices: ['status', 'jobs', 'ring', 'writers'],
    },
    json: { about: 'the whole report as JSON' },
  },
  examples: ['cinder status', 'cinder status --view jobs --url http://metastore:4046', 'cinder status --json'],
}

export async function runStatus(args: Arguments, shell: Shell): Promise<ExitCode> {
  const report = readStatusJson(await serverOf(args, shell).ask('cinder.v1.StatusService/GetStatus', {}))
  if (args.has('json')) {
    // The marks of protobuf are no part of the report.
    shell.out(JSON.stringify(report, (name, value: unknown) => (name === '$typeName' ? undefined : value), 2))
  } else {
    shell.out(renderStatusText(report, args.need('view') as StatusView, painterOf(shell)))
  }
  return report.concerns.some(({ severity }) => severity === 'critical') ? EXIT.failed : EXIT.ok
}

function painterOf(shell: Shell): Painter {
  const paint = paintFor(shell.hasColour)
  const byTone = {
    plain: (text: string) => text,
    quiet: paint.dim,
    good: paint.green,
    warn: paint.yellow,
    bad: paint.red,
  }
  return (text, tone) => byTone[tone](text)
}
