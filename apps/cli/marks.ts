/** `cinder marks` and `cinder compaction`: what is left alone. Datasets by a mark, tenants by a switch, each with its reason. */
import { type Arguments, type CommandSpec, usageError } from './arguments.ts'
import { JOB_SERVICE, OPERATOR_FLAGS, printTable } from './jobs.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatInstant } from './quantity.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'

const ALL = 'all'
const DATASET_FLAG = { value: 'N', about: 'position of the dataset in the object', default: ALL }
const REASON_FLAG = { value: 'TEXT', about: 'for whoever finds it' }
const WORDS = { hint: 'TENANT OBJECT', min: 2, max: 2 }

const MARKS_LIST: CommandSpec = {
  name: 'marks list',
  about: 'Datasets that compaction leaves alone.',
  flags: { ...OPERATOR_FLAGS, of: { value: 'TENANT', about: 'only those of this tenant' } },
}

const MARKS_SET: CommandSpec = {
  name: 'marks set',
  about: 'Leave datasets of a tenant in an object alone from now on. A job that holds them already goes on.',
  words: WORDS,
  flags: { ...OPERATOR_FLAGS, dataset: DATASET_FLAG, reason: REASON_FLAG },
  examples: ['cinder marks set acme 01JD8ZQ4T6M3B5X9W2R1C0V87K --dataset 3 --reason "odd stacks"'],
}

const MARKS_CLEAR: CommandSpec = {
  name: 'marks clear',
  about: 'Take a mark away: what it covered is planned again.',
  words: WORDS,
  flags: { ...OPERATOR_FLAGS, dataset: DATASET_FLAG },
}

const COMPACTION_LIST: CommandSpec = {
  name: 'compaction list',
  about: 'Tenants whose compaction somebody switched on or off.',
  flags: OPERATOR_FLAGS,
}

const COMPACTION_OFF: CommandSpec = {
  name: 'compaction off',
  about: 'Compact nothing of a tenant. Its data stays, and stays readable.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: { ...OPERATOR_FLAGS, reason: REASON_FLAG },
}

const COMPACTION_ON: CommandSpec = {
  name: 'compaction on',
  about: 'Compact a tenant, whatever the policy says.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: OPERATOR_FLAGS,
}

export const MARK_COMMANDS = [
  { spec: MARKS_LIST, run: runMarksList },
  { spec: MARKS_SET, run: runMarksSet },
  { spec: MARKS_CLEAR, run: runMarksClear },
  { spec: COMPACTION_LIST, run: runCompactionList },
  { spec: COMPACTION_OFF, run: runCompactionOff },
  { spec: COMPACTION_ON, run: runCompactionOn },
]

const PAGE_MAX = 1_000

async function runMarksList(args: Arguments, shell: Shell): Promise<ExitCode> {
  const server = serverOf(args, shell)
  const marks: Json[] = []
  let pageToken = ''
  do {
    const request = { tenant: args.get('of') ?? '', pageSize: PAGE_MAX, pageToken }
    const page = objectOf(await server.ask(`${JOB_SERVICE}/ListMarks`, request))
    marks.push(...listOf(page, 'marks'))
    pageToken = textOf(page, 'nextPageToken')
  } while (pageToken !== '')
  const cells = (mark: Json) => [
    printable(textOf(mark, 'tenant')),
    printable(textOf(mark, 'objectId')),
    numberOf(mark, 'index') === -1 ? ALL : String(numberOf(mark, 'index')),
    formatInstant(numberOf(mark, 'markedMs')),
    printable(textOf(mark, 'reason')),
  ]
  if (args.has('json')) shell.out(JSON.stringify(marks, undefined, 2))
  else if (marks.length === 0) shell.err('no marks')
  else printTable(shell, columnsOf('tenant', 'object', 'dataset', 'since', 'reason'), marks.map(cells))
  return EXIT.ok
}

async function runMarksSet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const mark = { ...markOf(args), reason: reasonOf(args) }
  const answer = objectOf(await serverOf(args, shell).ask(`${JOB_SERVICE}/SetMark`, mark))
  shell.out(args.has('json') ? JSON.stringify(answer, undefined, 2) : `${describe(mark)} is left alone`)
  return EXIT.ok
}

async function runMarksClear(args: Arguments, shell: Shell): Promise<ExitCode> {
  const mark = markOf(args)
  const answer = objectOf(await serverOf(args, shell).ask(`${JOB_SERVICE}/ClearMark`, mark))
  const told = answer['isCleared'] === true ? 'is planned again' : 'had no such mark'
  shell.out(args.has('json') ? JSON.stringify(answer, undefined, 2) : `${describe(mark)} ${told}`)
  return EXIT.ok
}

async function runCompactionList(args: Arguments, shell: Shell): Promise<ExitCode> {
  const answer = objectOf(await serverOf(args, shell).ask(`${JOB_SERVICE}/ListTenantCompaction`, {}))
  const tenants = listOf(answer, 'tenants')
  const cells = (tenant: Json) => [
    printable(textOf(tenant, 'tenant')),
    tenant['isEnabled'] === true ? 'on' : 'off',
    formatInstant(numberOf(tenant, 'changedMs')),
    printable(textOf(tenant, 'reason')),
  ]
  if (args.has('json')) shell.out(JSON.stringify(tenants, undefined, 2))
  else if (tenants.length === 0) shell.err('no tenant is switched: the policy decides')
  else printTable(shell, columnsOf('tenant', 'compaction', 'since', 'reason'), tenants.map(cells))
  return EXIT.ok
}

function runCompactionOff(args: Arguments, shell: Shell): Promise<ExitCode> {
  return switchTenant(args, shell, { isEnabled: false, reason: reasonOf(args) })
}

function runCompactionOn(args: Arguments, shell: Shell): Promise<ExitCode> {
  return switchTenant(args, shell, { isEnabled: true, reason: '' })
}

async function switchTenant(
  args: Arguments,
  shell: Shell,
  to: { readonly isEnabled: boolean; readonly reason: string },
): Promise<ExitCode> {
  const tenant = args.words[0]!
  const answer = await serverOf(args, shell).ask(`${JOB_SERVICE}/SetTenantCompaction`, { tenant, ...to })
  const told = `compaction of ${printable(tenant)} is ${to.isEnabled ? 'on' : 'off'}`
  shell.out(args.has('json') ? JSON.stringify(objectOf(answer), undefined, 2) : told)
  return EXIT.ok
}

interface MarkKey {
  readonly tenant: string
  readonly objectId: string
  readonly index: number
}

function markOf(args: Arguments): MarkKey {
  const [tenant, objectId] = args.words as [string, string]
  const dataset = args.need('dataset')
  if (dataset !== ALL && !/^\d{1,9}$/.test(dataset))
    throw usageError(`flag --dataset is ${JSON.stringify(dataset)}; allowed: a position, or ${ALL}`)
  return { tenant, objectId, index: dataset === ALL ? -1 : Number(dataset) }
}

function reasonOf(args: Arguments): string {
  const reason = args.get('reason')
  if (reason === undefined) throw usageError('flag --reason is missing: whoever finds it in a year asks why')
  return reason
}

function describe({ tenant, objectId, index }: MarkKey): string {
  const what = index === -1 ? 'everything' : `dataset ${index}`
  return `${what} of ${printable(tenant)} in ${printable(objectId)}`
}

function columnsOf(...titles: readonly string[]) {
  return titles.map((title) => ({ title }))
}
