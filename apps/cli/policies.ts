/**
 * `cinder policies`: ingest policies of tenants in the metastore (relabel rules, sampling, usage groups, sample types), each
 * in place of what the servers' files say of the tenant; ten seconds later it holds. Every change is a version.
 */
import { type Arguments, type CommandSpec, type FlagSpec, usageError } from './arguments.ts'
import { OPERATOR_FLAGS } from './jobs.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatInstant } from './quantity.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

const GET: CommandSpec = {
  name: 'policies get',
  about: 'The ingest policy of a tenant as JSON, or which tenants have one.',
  words: { hint: '[TENANT]', min: 0, max: 1 },
  flags: { ...OPERATOR_FLAGS, version: { value: 'N', about: 'as it was then' } },
}

const IF_VERSION: FlagSpec = {
  value: 'N',
  about: 'only if this is its version now, also of one that was taken back; 0: only if it never had one',
}

const SET: CommandSpec = {
  name: 'policies set',
  about: 'Give a tenant the ingest policy in a JSON file (see core/docs/LIMITS.md).',
  words: { hint: 'TENANT FILE', min: 2, max: 2 },
  flags: { ...OPERATOR_FLAGS, 'if-version': IF_VERSION },
  examples: ['cinder policies set acme acme.json', 'cinder policies get acme --version 3 > old.json'],
}

const UNSET: CommandSpec = {
  name: 'policies unset',
  about: 'Take the policy of a tenant back: that of the servers and their files holds again.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: { ...OPERATOR_FLAGS, 'if-version': IF_VERSION },
}

const HISTORY: CommandSpec = {
  name: 'policies history',
  about: 'The last versions of the policy of a tenant, newest first.',
  words: { hint: 'TENANT', min: 1, max: 1 },
  flags: OPERATOR_FLAGS,
}

export const POLICY_COMMANDS = [
  { spec: GET, run: runGet },
  { spec: SET, run: runSet },
  { spec: UNSET, run: runUnset },
  { spec: HISTORY, run: runHistory },
]

const SERVICE = 'cinder.v1.TenantPolicyService'

async function runGet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant] = args.words
  if (tenant !== undefined) return await showOne(args, shell, tenant)
  if (args.has('version')) throw usageError('--version needs a tenant')
  const answer = objectOf(await serverOf(args, shell).ask(`${SERVICE}/ListPolicies`, {}))
  show(
    listOf(answer, 'tenants').filter((each) => textOf(each, 'policy') !== ''),
    args,
    shell,
  )
  return EXIT.ok
}

async function showOne(args: Arguments, shell: Shell, tenant: string): Promise<ExitCode> {
  const versions = await historyOf(args, shell, tenant)
  const wanted = args.has('version') ? versionOf(args, 'version') : undefined
  const found = wanted === undefined ? versions[0] : versions.find((each) => numberOf(each, 'version') === wanted)
  const policy = found === undefined ? '' : textOf(found, 'policy')
  if (policy === '') {
    shell.err(
      wanted === undefined ? 'no policy of its own' : `no policy of its own in version ${wanted}, or it is not kept`,
    )
    return EXIT.failed
  }
  shell.out(JSON.stringify(JSON.parse(policy), null, 2))
  return EXIT.ok
}

async function runSet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant, path] = args.words
  let policy: string
  try {
    policy = new TextDecoder().decode(await shell.readFile(path!))
  } catch (error) {
    throw usageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  // The empty text takes a policy back.
  if (policy.trim() === '') throw usageError(`${path} is empty; allowed: a policy, {} for the default one`)
  return await change(args, shell, { tenant: tenant!, policy })
}

async function runUnset(args: Arguments, shell: Shell): Promise<ExitCode> {
  return await change(args, shell, { tenant: args.words[0]!, policy: '' })
}

async function runHistory(args: Arguments, shell: Shell): Promise<ExitCode> {
  show(await historyOf(args, shell, args.words[0]!), args, shell)
  return EXIT.ok
}

async function historyOf(args: Arguments, shell: Shell, tenant: string): Promise<Json[]> {
  return listOf(objectOf(await serverOf(args, shell).ask(`${SERVICE}/PolicyHistory`, { tenant })), 'versions')
}

async function change(
  args: Arguments,
  shell: Shell,
  { tenant, policy }: { readonly tenant: string; readonly policy: string },
): Promise<ExitCode> {
  const expected = args.has('if-version') ? { expectedVersion: versionOf(args, 'if-version') } : {}
  const request = { tenant, policy, ...expected }
  const version = numberOf(objectOf(await serverOf(args, shell).ask(`${SERVICE}/SetPolicy`, request)), 'version')
  if (args.has('json')) shell.out(JSON.stringify({ tenant, version }))
  else
    shell.out(`tenant ${printable(tenant)}: ${policy === '' ? 'no policy of its own' : 'policy'}, version ${version}`)
  return EXIT.ok
}

function show(rows: readonly Json[], args: Arguments, shell: Shell): void {
  if (args.has('json')) {
    const shown = rows.map((each) => ({
      tenant: textOf(each, 'tenant'),
      version: numberOf(each, 'version'),
      changedAtMs: numberOf(each, 'changedAtMs'),
      policy: textOf(each, 'policy') === '' ? null : (JSON.parse(textOf(each, 'policy')) as unknown),
    }))
    shell.out(JSON.stringify(shown, null, 2))
    return
  }
  if (rows.length === 0) {
    shell.err('no policy of its own')
    return
  }
  const columns = ['tenant', 'version', 'changed', 'says something of'].map((title) => ({ title }))
  const lines = rows.map((each) => [
    printable(textOf(each, 'tenant')),
    String(numberOf(each, 'version')),
    formatInstant(numberOf(each, 'changedAtMs')),
    keysOf(textOf(each, 'policy')),
  ])
  for (const line of renderTable(columns, lines)) shell.out(line)
}

function keysOf(policy: string): string {
  if (policy === '') return '(taken back)'
  const keys = Object.keys(JSON.parse(policy) as object)
  return keys.length === 0 ? '(nothing: the default)' : printable(keys.join(', '))
}

function versionOf(args: Arguments, flag: string): number {
  const text = args.need(flag)
  if (!/^\d{1,15}$/.test(text)) throw usageError(`--${flag} is ${JSON.stringify(text)}; allowed: a number`)
  return Number(text)
}
