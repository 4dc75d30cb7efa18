/** `cinder retention`: the rules, what a change would delete, changing one, and cancelling what is announced. */
import { formatDuration } from '#core/retention/duration.ts'
import { type Arguments, type CommandSpec, type FlagSpec, usageError } from './arguments.ts'
import { durationFlag } from './duration-flag.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

const FLAGS = {
  url: SERVER_FLAGS.url,
  json: { about: 'one JSON document instead of text' },
} as const satisfies Record<string, FlagSpec>

const SCOPE_FLAGS = {
  ...FLAGS,
  service: { value: 'NAME', about: 'only this service of the tenant' },
} as const satisfies Record<string, FlagSpec>

const DEFAULT_HINT = 'TENANT'

export const RETENTION_LIST: CommandSpec = {
  name: 'retention list',
  about: 'How long profiles are kept, by rule; the most specific one counts.',
  flags: FLAGS,
}

export const RETENTION_SET: CommandSpec = {
  name: 'retention set',
  about:
    'Keep the profiles of a tenant for a time. Longer counts at once; shorter is announced and counts after a delay.',
  words: { hint: 'TENANT DURATION', min: 2, max: 2 },
  flags: {
    ...SCOPE_FLAGS,
    delay: { value: 'DURATION', about: 'before a shorter time counts (default: the server decides)' },
  },
  examples: [
    'cinder retention set acme 90d',
    'cinder retention set acme 7d --service checkout',
    'cinder retention set acme 0        (for ever)',
    'cinder retention set acme inherit  (as all others)',
  ],
}

export const RETENTION_CANCEL: CommandSpec = {
  name: 'retention cancel',
  about: 'Cancel an announced change; without a tenant that of the default.',
  words: { hint: `[${DEFAULT_HINT}]`, min: 0, max: 1 },
  flags: SCOPE_FLAGS,
}

export const RETENTION_PREVIEW: CommandSpec = {
  name: 'retention preview',
  about: 'What would be deleted: under a time, else under what is announced or counts. Changes nothing.',
  words: { hint: `[${DEFAULT_HINT} [DURATION]]`, min: 0, max: 2 },
  flags: SCOPE_FLAGS,
  examples: ['cinder retention preview acme 7d'],
}

const SERVICE = 'cinder.v1.TenantService'

export async function runRetentionList(args: Arguments, shell: Shell): Promise<ExitCode> {
  const rules = listOf(objectOf(await serverOf(args, shell).ask(`${SERVICE}/ListRetention`, {})), 'rules')
  if (args.has('json')) {
    shell.out(JSON.stringify(rules, null, 2))
    return EXIT.ok
  }
  const rows = rules.map((rule) => [
    printable(textOf(rule, 'tenant')) || '(all)',
    printable(textOf(rule, 'service')) || '(all)',
    keptFor(numberOf(rule, 'retentionMs')) + (rule['inherits'] === true ? ' (inherited)' : ''),
    instant(numberOf(rule, 'boundMs')),
    announced(rule),
  ])
  const columns = ['tenant', 'service', 'kept', 'expired before', 'announced'].map((title) => ({ title }))
  for (const line of renderTable(columns, rows)) shell.out(line)
  return EXIT.ok
}

export async function runRetentionSet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant, text] = args.words
  const delay = args.get('delay')
  const request = {
    ...scopeOf(args, tenant!),
    ...(text === 'inherit' ? {} : { retentionMs: durationFlag('DURATION', text!) }),
    ...(delay === undefined ? {} : { delayMs: durationFlag('delay', delay) }),
  }
  return tell(args, shell, objectOf(await serverOf(args, shell).ask(`${SERVICE}/SetRetention`, request)))
}

export async function runRetentionCancel(args: Arguments, shell: Shell): Promise<ExitCode> {
  const request = scopeOf(args, args.words[0] ?? '')
  return tell(args, shell, objectOf(await serverOf(args, shell).ask(`${SERVICE}/CancelRetention`, request)))
}

export async function runRetentionPreview(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant = '', text] = args.words
  const asked = text === undefined ? {} : { retentionMs: durationFlag('DURATION', text) }
  const request = { ...scopeOf(args, tenant), ...asked }
  const preview = objectOf(await serverOf(args, shell).ask(`${SERVICE}/PreviewRetention`, request))
  if (args.has('json')) {
    shell.out(JSON.stringify(preview, null, 2))
    return EXIT.ok
  }
  const count = (name: string) => formatCount(numberOf(preview, name))
  if (numberOf(preview, 'datasets') === 0) shell.out('nothing would be deleted')
  else {
    const bytes = formatBytes(numberOf(preview, 'bytes'))
    shell.out(`${count('datasets')} datasets of ${bytes} in ${count('objects')} objects would be deleted:`)
    shell.out(`  all data from ${instant(numberOf(preview, 'oldestMs'))} to ${instant(numberOf(preview, 'newestMs'))}`)
  }
  return EXIT.ok
}

function scopeOf(args: Arguments, tenant: string): { tenant: string; service: string } {
  const service = args.get('service') ?? ''
  if (service !== '' && tenant === '') throw usageError('flag --service needs a tenant')
  return { tenant, service }
}

function tell(args: Arguments, shell: Shell, rule: Json): ExitCode {
  if (args.has('json')) {
    shell.out(JSON.stringify(rule, null, 2))
    return EXIT.ok
  }
  const [tenant, service] = [printable(textOf(rule, 'tenant')), printable(textOf(rule, 'service'))]
  const whose = tenant === '' ? 'all tenants' : service === '' ? `tenant ${tenant}` : `service ${service} of ${tenant}`
  shell.out(`profiles of ${whose} are kept: ${keptFor(numberOf(rule, 'retentionMs'))}`)
  if (numberOf(rule, 'pendingFromMs') > 0) {
    shell.out(`announced: ${announced(rule)}; until then cinder retention cancel stops it`)
  }
  return EXIT.ok
}

function announced(rule: Json): string {
  const fromMs = numberOf(rule, 'pendingFromMs')
  if (fromMs === 0) return '-'
  const kept = rule['pendingInherits'] === true ? 'as all others' : keptFor(numberOf(rule, 'pendingRetentionMs'))
  return `${kept} from ${formatInstant(fromMs)} on`
}

function instant(timeMs: number): string {
  return timeMs === 0 ? '-' : formatInstant(timeMs)
}

function keptFor(retentionMs: number): string {
  return retentionMs === 0 ? 'for ever' : formatDuration(retentionMs)
}
