/**
 * Commands that start a run of the recovery service and follow it: `rebuild-index`, `fsck`, `backup`. The server works; what
 * is typed here may be interrupted, and the same command with `--run` goes on watching.
 */
import { type Arguments, type FlagSpec } from './arguments.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatCount } from './quantity.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, paintFor, printable, type Shell } from './shell.ts'

export const RUN_FLAGS = {
  url: { ...SERVER_FLAGS.url, about: 'address of the server, or of a metastore' },
  run: { value: 'ID', about: 'watch a run that was started before' },
  json: { about: 'one JSON document when it has ended, instead of lines' },
} as const satisfies Record<string, FlagSpec>

export interface RunStart {
  readonly kind: 'rebuild' | 'fsck' | 'backup' | 'restore'
  readonly repair?: boolean
  readonly deep?: boolean
  readonly key?: string
}

const SERVICE = 'cinder.v1.RecoveryService'
/** How often the line of progress is drawn. */
const WAIT_MS = 1_000
/** Findings that are news and no fault; what no commit named is collected by itself. */
const NEWS = new Set(['note', 'not-restored', 'unknown-object'])

/** Exit 1 if the run failed, or found faults that are not mended. */
export async function followRun(args: Arguments, shell: Shell, start: RunStart): Promise<ExitCode> {
  const server = serverOf(args, shell)
  const given = args.get('run')
  const first = given === undefined ? objectOf(await server.ask(`${SERVICE}/StartRecovery`, start)) : undefined
  const runId = given ?? textOf(first!, 'runId')
  let run = first
  while (run === undefined || numberOf(run, 'finishedMs') === 0) {
    if (run !== undefined) shell.progress(progressLine(run))
    run = objectOf(await server.ask(`${SERVICE}/GetRecovery`, { runId, waitMs: WAIT_MS }))
  }
  shell.progress('')
  const findings = listOf(run, 'findings')
  if (args.has('json')) shell.out(JSON.stringify(run, null, 2))
  else showRun(run, findings, shell)
  const faults = findings.filter((each) => !NEWS.has(textOf(each, 'kind')) && each['isMended'] !== true)
  return textOf(run, 'state') === 'done' && faults.length === 0 ? EXIT.ok : EXIT.failed
}

function progressLine(run: Json): string {
  const [done, total] = [numberOf(run, 'done'), numberOf(run, 'total')]
  const counted = total > 0 ? `${formatCount(done)} of ${formatCount(total)}` : formatCount(done)
  return `${textOf(run, 'phase') || textOf(run, 'state')} ${counted}`
}

function showRun(run: Json, findings: readonly Json[], shell: Shell): void {
  const paint = paintFor(shell.hasColour)
  for (const finding of findings) {
    const [kind, subject, detail, mend] = ['kind', 'subject', 'detail', 'mend'].map((name) =>
      printable(textOf(finding, name)),
    )
    const isMended = finding['isMended'] === true
    const colour = isMended ? paint.green : NEWS.has(kind!) ? paint.dim : paint.red
    const then = mend === '' ? '' : isMended ? `; ${mend}` : `; a repair: ${mend}`
    shell.out(`${colour(kind!)} ${subject}: ${detail}${then}`)
  }
  const [kind, error] = [textOf(run, 'kind'), textOf(run, 'error')]
  if (error !== '') {
    shell.err(`cinder: ${kind} failed: ${printable(error)}`)
    return
  }
  const key = textOf(run, 'key')
  const counted = `${formatCount(numberOf(run, 'done'))} objects or rows looked at`
  const found = findings.filter((each) => !NEWS.has(textOf(each, 'kind')))
  const mended = found.filter((each) => each['isMended'] === true).length
  const faults = found.length === 0 ? 'nothing is wrong' : `${found.length} found, ${mended} mended`
  shell.out(kind === 'backup' ? `backup ${key} is written` : `${kind} is done: ${counted}, ${faults}`)
}
