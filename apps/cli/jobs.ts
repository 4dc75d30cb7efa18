/** `cinder jobs`: the queue of compaction. What waits and why, what one job holds, and taking it up again or out of the way. */
import type { Arguments, CommandSpec, FlagSpec } from './arguments.ts'
import { usageError } from './arguments.ts'
import { type Json, listOf, numberOf, objectOf, textOf, textsOf } from './operator-json.ts'
import { formatBytes, formatInstant } from './quantity.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { type Column, renderTable } from './table.ts'

export const JOB_SERVICE = 'cinder.v1.JobService'

export const OPERATOR_FLAGS = {
  url: { ...SERVER_FLAGS.url, about: 'address of a metastore, or of a server with all services' },
  json: { about: 'one JSON document instead of text' },
} as const satisfies Record<string, FlagSpec>

const STATES = ['queued', 'running', 'parked', 'done', 'stale'] as const

const LIST: CommandSpec = {
  name: 'jobs list',
  about: 'Compaction jobs, newest first: those that wait, run or are parked.',
  flags: {
    ...OPERATOR_FLAGS,
    state: { value: 'STATE', about: 'only these; may repeat', choices: STATES, repeats: true },
    tenant: { value: 'T', about: 'only jobs that hold data of this tenant' },
    level: { value: 'N', about: 'only jobs whose output has this level' },
    limit: { value: 'N', about: 'so many at most', default: '100' },
  },
  examples: ['cinder jobs list --state parked', 'cinder jobs list --tenant acme --json'],
}

const SHOW: CommandSpec = {
  name: 'jobs show',
  about: 'One job: its sources, and every failure with its time, worker and reason.',
  words: { hint: 'JOB', min: 1, max: 1 },
  flags: OPERATOR_FLAGS,
}

const RETRY: CommandSpec = {
  name: 'jobs retry',
  about: 'Queue parked jobs again, with their failures forgiven.',
  words: { hint: 'JOB…', min: 1, max: 1_000 },
  flags: OPERATOR_FLAGS,
}

const PARK: CommandSpec = {
  name: 'jobs park',
  about: 'Take queued or running jobs out of the way. Their data stays, and stays readable.',
  words: { hint: 'JOB…', min: 1, max: 1_000 },
  flags: { ...OPERATOR_FLAGS, reason: { value: 'TEXT', about: 'for whoever finds them' } },
  examples: ['cinder jobs park 1234 --reason "kills workers"'],
}

const WORKERS: CommandSpec = {
  name: 'jobs workers',
  about: 'Workers that polled within a day.',
  flags: OPERATOR_FLAGS,
}

export const JOB_COMMANDS = [
  { spec: LIST, run: runList },
  { spec: SHOW, run: runShow },
  { spec: RETRY, run: runRetry },
  { spec: PARK, run: runPark },
  { spec: WORKERS, run: runWorkers },
]

/** The most that a page of the server holds. */
const PAGE_MAX = 1_000
const NAMES_SHOWN_MAX = 3

async function runList(args: Arguments, shell: Shell): Promise<ExitCode> {
  const limit = numberFlag(args, 'limit', 1_000_000)
  const server = serverOf(args, shell)
  const filter = { states: args.all('state'), tenant: args.get('tenant') ?? '', level: numberFlag(args, 'level', 99) }
  const jobs: Json[] = []
  for (let pageToken = ''; jobs.length < limit; ) {
    const request = { ...filter, pageSize: Math.min(PAGE_MAX, limit - jobs.length), pageToken }
    const page = objectOf(await server.ask(`${JOB_SERVICE}/ListJobs`, request))
    jobs.push(...listOf(page, 'jobs'))
    pageToken = textOf(page, 'nextPageToken')
    if (pageToken === '') break
  }
  if (args.has('json')) shell.out(JSON.stringify(jobs, undefined, 2))
  else if (jobs.length === 0) shell.err('no jobs')
  else printTable(shell, JOB_COLUMNS, jobs.map(jobCells))
  return EXIT.ok
}

const JOB_COLUMNS: readonly Column[] = [
  { title: 'job', align: 'right' },
  { title: 'state' },
  { title: 'level', align: 'right' },
  { title: 'size', align: 'right' },
  { title: 'datasets', align: 'right' },
  { title: 'failures', align: 'right' },
  { title: 'tenants' },
  { title: 'created' },
  { title: 'what' },
]

function jobCells(job: Json): string[] {
  const state = textOf(job, 'state')
  const progress = `${Math.round(numberOf(job, 'progress') * 100)}% on ${printable(textOf(job, 'holder'))}`
  return [
    textOf(job, 'jobId'),
    state,
    String(numberOf(job, 'level')),
    formatBytes(numberOf(job, 'sizeBytes')),
    String(numberOf(job, 'datasetCount')),
    String(numberOf(job, 'failures')),
    namesOf(textsOf(job, 'tenants')),
    formatInstant(numberOf(job, 'createdMs')),
    state === 'running' ? progress : printable(textOf(job, 'reason')),
  ]
}

function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).map(printable).join(', ')
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown
}

async function runShow(args: Arguments, shell: Shell): Promise<ExitCode> {
  const answer = await serverOf(args, shell).ask(`${JOB_SERVICE}/GetJob`, { jobId: args.words[0] })
  const detail = objectOf(answer)
  if (args.has('json')) {
    shell.out(JSON.stringify(detail, undefined, 2))
    return EXIT.ok
  }
  const job = objectOf(detail['job'])
  const facts: [string, string][] = [
    ['job', textOf(job, 'jobId')],
    ['state', textOf(job, 'state')],
    ['level', String(numberOf(job, 'level'))],
    ['size', formatBytes(numberOf(job, 'sizeBytes'))],
    ['tenants', namesOf(textsOf(job, 'tenants'))],
    ['created', instantOf(job, 'createdMs')],
    ['split from', textOf(job, 'parentId')],
    ['not before', instantOf(job, 'notBeforeMs')],
    ['started', instantOf(job, 'startedMs')],
    ['worker', printable(textOf(job, 'holder'))],
    ['lease until', instantOf(job, 'expiresMs')],
    ['finished', instantOf(job, 'finishedMs')],
    ['failures', String(numberOf(job, 'failures'))],
    ['reason', printable(textOf(job, 'reason'))],
  ]
  printTable(
    shell,
    [{ title: '' }, { title: '' }],
    facts.filter(([, text]) => text !== ''),
  )
  const sources = listOf(detail, 'sources')
  if (sources.length > 0) shell.out('')
  const titles = ['object', 'level', 'dataset', 'size', 'tenant', 'service', 'window']
  if (sources.length > 0) printTable(shell, titles.map(toColumn), sources.map(sourceCells))
  const failures = listOf(detail, 'failures')
  if (failures.length > 0) shell.out('')
  if (failures.length > 0)
    printTable(shell, ['failed', 'worker', 'kind', 'reason'].map(toColumn), failures.map(failureCells))
  return EXIT.ok
}

const toColumn = (title: string): Column =>
  ['level', 'dataset', 'size'].includes(title) ? { title, align: 'right' } : { title }

function sourceCells(source: Json): string[] {
  return [
    printable(textOf(source, 'objectId')),
    String(numberOf(source, 'level')),
    String(numberOf(source, 'index')),
    formatBytes(numberOf(source, 'sizeBytes')),
    printable(textOf(source, 'tenant')),
    printable(textOf(source, 'service')),
    formatInstant(numberOf(source, 'windowStartMs')),
  ]
}

function failureCells(failure: Json): string[] {
  const kind = textOf(failure, 'kind')
  return [
    formatInstant(numberOf(failure, 'failedMs')),
    printable(textOf(failure, 'holder')),
    failure['isInherited'] === true ? `${kind} (before the split)` : kind,
    printable(textOf(failure, 'reason')),
  ]
}

function instantOf(json: Json, name: string): string {
  const timeMs = numberOf(json, name)
  return timeMs === 0 ? '' : formatInstant(timeMs)
}

async function runRetry(args: Arguments, shell: Shell): Promise<ExitCode> {
  return await change(args, shell, { method: 'RetryJob', request: {}, done: 'is queued' })
}

async function runPark(args: Arguments, shell: Shell): Promise<ExitCode> {
  const reason = args.get('reason')
  if (reason === undefined) throw usageError('flag --reason is missing: whoever finds the job in a year asks why')
  return await change(args, shell, { method: 'ParkJob', request: { reason }, done: 'is parked' })
}

/** Job by job; the first that fails ends it, and what was said before is done. */
async function change(
  args: Arguments,
  shell: Shell,
  call: { readonly method: string; readonly request: object; readonly done: string },
): Promise<ExitCode> {
  const server = serverOf(args, shell)
  const changed: Json[] = []
  for (const jobId of args.words) {
    changed.push(objectOf(await server.ask(`${JOB_SERVICE}/${call.method}`, { ...call.request, jobId })))
    if (!args.has('json')) shell.out(`job ${jobId} ${call.done}`)
  }
  if (args.has('json')) shell.out(JSON.stringify(changed, undefined, 2))
  return EXIT.ok
}

async function runWorkers(args: Arguments, shell: Shell): Promise<ExitCode> {
  const workers = listOf(objectOf(await serverOf(args, shell).ask(`${JOB_SERVICE}/ListWorkers`, {})), 'workers')
  const titles = ['worker', 'address', 'version', 'jobs', 'memory', 'seen']
  const cells = (worker: Json) => [
    printable(textOf(worker, 'workerId')),
    printable(textOf(worker, 'address')),
    printable(textOf(worker, 'version')),
    `${numberOf(worker, 'running')} of ${numberOf(worker, 'capacity')}`,
    `${formatBytes(numberOf(worker, 'usedBytes'))} of ${formatBytes(numberOf(worker, 'budgetBytes'))}`,
    `${formatInstant(numberOf(worker, 'seenMs'))}${worker['isLive'] === true ? '' : ' (gone)'}`,
  ]
  if (args.has('json')) shell.out(JSON.stringify(workers, undefined, 2))
  else if (workers.length === 0) shell.err('no workers')
  else
    printTable(
      shell,
      titles.map((title) => ({ title })),
      workers.map(cells),
    )
  return EXIT.ok
}

export function printTable(shell: Shell, columns: readonly Column[], rows: readonly (readonly string[])[]): void {
  for (const line of renderTable(columns, rows)) shell.out(line)
}

function numberFlag(args: Arguments, name: string, max: number): number {
  const text = args.get(name) ?? '0'
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > max)
    throw usageError(`flag --${name} is ${JSON.stringify(text)}; allowed: a whole number up to ${max}`)
  return value
}
