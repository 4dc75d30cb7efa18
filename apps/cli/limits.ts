/** `cinder limits`: limits of tenants in the metastore, over those of the servers and their files; ten seconds later they hold. */
import { type Arguments, type CommandSpec, usageError } from './arguments.ts'
import { OPERATOR_FLAGS } from './jobs.ts'
import { type Json, listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatInstant } from './quantity.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

/** More than there are limits. */
const NAMES_MAX = 100

const GET: CommandSpec = {
  name: 'limits get',
  about: 'Limits that were changed for a tenant, or for all of them.',
  words: { hint: '[TENANT]', min: 0, max: 1 },
  flags: OPERATOR_FLAGS,
}

const SET: CommandSpec = {
  name: 'limits set',
  about: 'Change limits of a tenant while everything runs; 0 switches most of them off.',
  words: { hint: 'TENANT NAME=VALUE…', min: 2, max: NAMES_MAX },
  flags: OPERATOR_FLAGS,
  examples: ['cinder limits set acme ingestionRateBytes=16777216 rejectOlderThan=6h'],
}

const UNSET: CommandSpec = {
  name: 'limits unset',
  about: 'Take changes back: the limits of the servers and their files hold again.',
  words: { hint: 'TENANT NAME…', min: 2, max: NAMES_MAX },
  flags: OPERATOR_FLAGS,
}

export const LIMIT_COMMANDS = [
  { spec: GET, run: runGet },
  { spec: SET, run: runSet },
  { spec: UNSET, run: runUnset },
]

const SERVICE = 'cinder.v1.LimitOverrideService'

async function runGet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant] = args.words
  const answer = objectOf(await serverOf(args, shell).ask(`${SERVICE}/ListOverrides`, {}))
  const found = listOf(answer, 'tenants')
    .map((each) => ({ ...each, limits: limitsOf(each) }))
    .filter(
      (each) => (tenant === undefined || textOf(each, 'tenant') === tenant) && Object.keys(each.limits).length > 0,
    )
  if (args.has('json')) {
    const shown = found.map((each) => ({ tenant: textOf(each, 'tenant'), limits: each.limits }))
    shell.out(JSON.stringify(shown, null, 2))
  } else if (found.length === 0) {
    shell.err('no limits of its own')
  } else {
    const rows = found.flatMap((each) =>
      Object.entries(each.limits).map(([name, value]) => [
        printable(textOf(each, 'tenant')),
        printable(name),
        printable(String(value)),
        formatInstant(numberOf(each, 'changedAtMs')),
      ]),
    )
    const columns = ['tenant', 'limit', 'value', 'changed'].map((title) => ({ title }))
    for (const line of renderTable(columns, rows)) shell.out(line)
  }
  return EXIT.ok
}

async function runSet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant, ...pairs] = args.words
  const changes = Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^([A-Za-z]+)=(.+)$/.exec(pair) ?? []
      if (name === undefined) throw usageError(`${JSON.stringify(pair)} is no limit; allowed: NAME=VALUE`)
      // Whole numbers are numbers; durations such as 6h are texts.
      return [name, /^\d+$/.test(value!) ? Number(value) : value!]
    }),
  )
  return change(args, shell, tenant!, changes)
}

async function runUnset(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant, ...names] = args.words
  return change(args, shell, tenant!, Object.fromEntries(names.map((name) => [name, null])))
}

async function change(args: Arguments, shell: Shell, tenant: string, changes: Json): Promise<ExitCode> {
  const request = { tenant, changes: JSON.stringify(changes) }
  const limits = limitsOf(objectOf(await serverOf(args, shell).ask(`${SERVICE}/ChangeLimits`, request)))
  if (args.has('json')) shell.out(JSON.stringify([{ tenant, limits }], null, 2))
  else {
    const shown = Object.entries(limits).map(([name, value]) => `${printable(name)}=${printable(String(value))}`)
    shell.out(`tenant ${printable(tenant)}: ${shown.length === 0 ? 'no limits of its own' : shown.join(' ')}`)
  }
  return EXIT.ok
}

function limitsOf(answer: Json): Json {
  return objectOf(JSON.parse(textOf(answer, 'overrides') || '{}'))
}
