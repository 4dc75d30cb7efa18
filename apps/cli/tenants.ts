/** `cinder tenants`: who is there, deleting one, undoing that, and the receipts. */
import { formatDuration } from '#core/retention/duration.ts'
import { type Arguments, type CommandSpec, type FlagSpec, usageError } from './arguments.ts'
import { durationFlag } from './duration-flag.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { SERVER_FLAGS, type Server, serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

const FLAGS = {
  url: SERVER_FLAGS.url,
  json: { about: 'one JSON document instead of a table' },
} as const satisfies Record<string, FlagSpec>

export const TENANTS_LIST: CommandSpec = {
  name: 'tenants list',
  about: 'Tenants with what is visible of them, and how long it is kept.',
  flags: FLAGS,
}

export const TENANTS_DELETE: CommandSpec = {
  name: 'tenants delete',
  about: 'Hide all data of a tenant at once, and delete it after a delay; until then tenants undelete brings it back.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: {
    ...FLAGS,
    yes: { about: 'do it; without it, only say what would be deleted' },
    delay: { value: 'DURATION', about: 'until it is for good, such as 24h or 0 (default: the server decides)' },
  },
  examples: ['cinder tenants delete acme', 'cinder tenants delete acme --yes --delay 7d'],
}

export const TENANTS_UNDELETE: CommandSpec = {
  name: 'tenants undelete',
  about: 'Undo a deletion whose delay is not over.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: FLAGS,
}

export const TENANTS_SHOW: CommandSpec = {
  name: 'tenants show',
  about: 'Deletions and their receipts, newest first: of a tenant, or of all.',
  words: { hint: '[TENANT]', min: 0, max: 1 },
  flags: FLAGS,
}

const SERVICE = 'cinder.v1.TenantService'
/** What we ask for; a server may give less, so that only an empty page is the last. */
const PAGE = 1_000
const DELETIONS_SHOWN_MAX = 100

export async function runTenantsList(args: Arguments, shell: Shell): Promise<ExitCode> {
  const tenants = await askTenants(serverOf(args, shell))
  if (args.has('json')) {
    shell.out(JSON.stringify(tenants, null, 2))
    return EXIT.ok
  }
  const rows = tenants.map((tenant) => [
    printable(textOf(tenant, 'tenant')),
    textOf(tenant, 'state'),
    formatCount(numberOf(tenant, 'services')),
    formatCount(numberOf(tenant, 'profiles')),
    formatBytes(numberOf(tenant, 'bytes')),
    instant(numberOf(tenant, 'oldestMs')),
    instant(numberOf(tenant, 'newestMs')),
    keptFor(numberOf(tenant, 'retentionMs')),
  ])
  const titles = ['tenant', 'state', 'services', 'profiles', 'bytes', 'oldest', 'newest', 'kept']
  const right = new Set(['services', 'profiles', 'bytes'])
  const columns = titles.map((title) => (right.has(title) ? { title, align: 'right' as const } : { title }))
  for (const line of renderTable(columns, rows)) shell.out(line)
  return EXIT.ok
}

export async function runTenantsDelete(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant] = args.words
  const server = serverOf(args, shell)
  const delay = args.get('delay')
  const request = { tenant, ...(delay === undefined ? {} : { delayMs: durationFlag('delay', delay) }) }
  if (!args.has('yes')) {
    if (args.has('json')) throw usageError('flag --json needs --yes')
    const found = (await askTenants(server)).find((each) => textOf(each, 'tenant') === tenant)
    const what =
      found === undefined
        ? 'has no data that is visible'
        : `has ${formatCount(numberOf(found, 'profiles'))} profiles in ${formatBytes(numberOf(found, 'bytes'))}`
    shell.out(`tenant ${printable(tenant!)} ${what}; add --yes to delete it`)
    return EXIT.ok
  }
  return tell(args, shell, objectOf(await server.ask(`${SERVICE}/DeleteTenant`, request)))
}

export async function runTenantsUndelete(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant] = args.words
  return tell(args, shell, objectOf(await serverOf(args, shell).ask(`${SERVICE}/UndeleteTenant`, { tenant })))
}

export async function runTenantsShow(args: Arguments, shell: Shell): Promise<ExitCode> {
  const request = { tenant: args.words[0] ?? '', limit: DELETIONS_SHOWN_MAX }
  const answer = objectOf(await serverOf(args, shell).ask(`${SERVICE}/TenantDeletions`, request))
  const deletions = listOf(answer, 'deletions')
  if (args.has('json')) shell.out(JSON.stringify(deletions, null, 2))
  else if (deletions.length === 0) shell.err('no deletions')
  else for (const deletion of deletions) shell.out(receiptLines(deletion).join('\n'))
  return EXIT.ok
}

async function askTenants(server: Server): Promise<Json[]> {
  const tenants: Json[] = []
  for (;;) {
    const after = tenants.length === 0 ? '' : textOf(tenants.at(-1)!, 'tenant')
    const answer = objectOf(await server.ask(`${SERVICE}/ListTenants`, { after, limit: PAGE }))
    const page = listOf(answer, 'tenants')
    if (page.length === 0) return tenants
    tenants.push(...page)
  }
}

function tell(args: Arguments, shell: Shell, deletion: Json): ExitCode {
  if (args.has('json')) shell.out(JSON.stringify(deletion, null, 2))
  else for (const line of receiptLines(deletion)) shell.out(line)
  return EXIT.ok
}

const STATES: Readonly<Record<string, string>> = {
  hiding: 'hidden, being taken out of the index; can be undone',
  hidden: 'hidden; can be undone',
  removing: 'being deleted for good',
  done: 'deleted',
  restoring: 'being restored',
  restored: 'restored',
}

function receiptLines(deletion: Json): string[] {
  const state = textOf(deletion, 'state')
  const count = (name: string) => formatCount(numberOf(deletion, name))
  const lines = [
    `tenant ${printable(textOf(deletion, 'tenant'))}, deletion ${count('id')}: ${STATES[state] ?? printable(state)}`,
    `  asked for   ${instant(numberOf(deletion, 'requestedAtMs'))}`,
    `  for good    ${instant(numberOf(deletion, 'removeAtMs'))}`,
  ]
  if (numberOf(deletion, 'finishedAtMs') > 0) lines.push(`  finished    ${instant(numberOf(deletion, 'finishedAtMs'))}`)
  lines.push(
    `  data        ${count('profiles')} profiles in ${count('datasets')} datasets, ${formatBytes(numberOf(deletion, 'bytes'))}`,
    `  of          ${instant(numberOf(deletion, 'oldestMs'))} to ${instant(numberOf(deletion, 'newestMs'))}`,
    `  objects     ${count('deletedObjects')} of ${count('objects')} deleted, ${count('sharedObjects')} shared with others`,
    `  label sets  ${count('labelSets')} deleted`,
  )
  return lines
}

function instant(timeMs: number): string {
  return timeMs === 0 ? '-' : formatInstant(timeMs)
}

function keptFor(retentionMs: number): string {
  return retentionMs === 0 ? 'for ever' : formatDuration(retentionMs)
}
