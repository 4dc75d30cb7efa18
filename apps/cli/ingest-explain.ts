/** `cinder ingest explain`: what became of the profiles of the last hour, of all services or of one minute by minute. */
import { CinderError } from '#core/errors.ts'
import type { Arguments, CommandSpec } from './arguments.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatCount } from './quantity.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { type Column, renderTable } from './table.ts'

export const INGEST_EXPLAIN: CommandSpec = {
  name: 'ingest explain',
  about: 'What became of the profiles of the last hour: stored, refused, repaired or dropped, and why.',
  words: { hint: '[SERVICE]', min: 0, max: 1 },
  flags: { ...SERVER_FLAGS, json: { about: 'one JSON document instead of a table' } },
  examples: ['cinder ingest explain', 'cinder ingest explain shop --tenant acme'],
}

const NO_EXPLANATION =
  'the answer has no explanation of pushes: is --url the address of a query-frontend or of all-in-one?'

const OUTCOMES = ['arrived', 'stored', 'duplicate', 'empty', 'dropped', 'refused', 'unknown', 'repaired'] as const
const REASONED = ['refused', 'dropped', 'repaired'] as const

export async function runIngestExplain(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [service] = args.words
  const query = service === undefined ? '' : `?service=${encodeURIComponent(service)}`
  const answer = objectOf(await serverOf(args, shell).get(`api/v1/ingest/explain${query}`))
  if (args.has('json')) {
    shell.out(JSON.stringify(answer, null, 2))
    return EXIT.ok
  }
  const listed = service === undefined ? 'services' : 'minutes'
  if (!Array.isArray(answer[listed])) throw new CinderError('unknown', NO_EXPLANATION)
  const rows = listOf(answer, listed)
  if (rows.length === 0) {
    const whose = service === undefined ? '' : ` of ${printable(service)}`
    shell.err(`no profile${whose} arrived in the last hour`)
    return EXIT.ok
  }
  const titleOf = (row: Json) =>
    service === undefined ? printable(textOf(row, 'service') || '(not known)') : textOf(row, 'minute').slice(11, 16)
  for (const line of tableLines(service === undefined ? 'service' : 'minute', rows, titleOf)) shell.out(line)
  const reasons = reasonLines(objectOf(answer.total ?? {}))
  if (reasons.length > 0) shell.out(['', ...reasons].join('\n'))
  const limits = limitsIn(reasons)
  if (limits.length > 0) {
    const values = limits.map((name) => `${name}=…`).join(' ')
    shell.out(`\nto change limits: cinder limits set ${printable(textOf(answer, 'tenant'))} ${values}`)
  }
  if (answer.truncated === true) shell.err('there is more than is shown: name a service')
  return EXIT.ok
}

/** Limits that refusals name, in the form in which all do: `(maxSamples, actual: …`. */
function limitsIn(reasons: readonly string[]): string[] {
  const named = reasons
    .filter((line) => line.startsWith('refused'))
    .flatMap((line) => /\(((?:max|reject|ingestion)[A-Z]\w*)\b/.exec(line)?.[1] ?? [])
  return [...new Set(named)]
}

/** Columns that are zero everywhere say nothing, but for the first two. */
function tableLines(title: string, rows: readonly Json[], titleOf: (row: Json) => string): string[] {
  const shown = OUTCOMES.filter((name, i) => i < 2 || rows.some((row) => countOf(row, name) > 0))
  const columns: Column[] = [{ title }, ...shown.map((name) => ({ title: name, align: 'right' as const }))]
  return renderTable(
    columns,
    rows.map((row) => [titleOf(row), ...shown.map((name) => formatCount(countOf(row, name)))]),
  )
}

function reasonLines(total: Json): string[] {
  return REASONED.flatMap((outcome) =>
    listOf(total, outcome).map((reason) => {
      const message = textOf(reason, 'message').split('\n').map(printable).join(' ')
      const what = `${outcome} ${formatCount(numberOf(reason, 'profiles'))}: ${printable(textOf(reason, 'reason'))}`
      return message === '' ? what : `${what}: ${message}`
    }),
  )
}

function countOf(row: Json, name: string): number {
  if (!Array.isArray(row[name])) return numberOf(row, name)
  return listOf(row, name).reduce((sum, reason) => sum + numberOf(reason, 'profiles'), 0)
}
