/** `cinder placement`: over how many routing slots a tenant's services spread; who has which is `cinder status --view writers`. */
import { type Arguments, type CommandSpec, usageError } from './arguments.ts'
import { OPERATOR_FLAGS } from './jobs.ts'
import { listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { serverOf } from './server.ts'
import { EXIT, type ExitCode, printable, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

const GET: CommandSpec = {
  name: 'placement get',
  about: 'Tenants that have fewer routing slots than all.',
  flags: OPERATOR_FLAGS,
}

const SET: CommandSpec = {
  name: 'placement set',
  about: 'Give a tenant SLOTS routing slots, so that its pushes reach as many writers at most; 0 = all.',
  words: { hint: 'TENANT SLOTS', min: 2, max: 2 },
  flags: OPERATOR_FLAGS,
  examples: ['cinder placement set acme 16'],
}

export const PLACEMENT_COMMANDS = [
  { spec: GET, run: runGet },
  { spec: SET, run: runSet },
]

const SERVICE = 'cinder.v1.PlacementService'

async function runGet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const answer = objectOf(await serverOf(args, shell).ask(`${SERVICE}/GetPlacement`, {}))
  const { widths } = objectOf(JSON.parse(textOf(answer, 'json')))
  const tenants = listOf(objectOf(widths), 'tenants')
  if (args.has('json')) shell.out(JSON.stringify(tenants, null, 2))
  else if (tenants.length === 0) shell.err('every tenant has all slots')
  else {
    const rows = tenants.map((each) => [printable(textOf(each, 'tenant')), String(numberOf(each, 'width'))])
    for (const line of renderTable([{ title: 'tenant' }, { title: 'slots' }], rows)) shell.out(line)
  }
  return EXIT.ok
}

async function runSet(args: Arguments, shell: Shell): Promise<ExitCode> {
  const [tenant, slots] = args.words
  if (!/^\d{1,6}$/.test(slots!))
    throw usageError(`${JSON.stringify(slots)} are no slots; allowed: a whole number from 0`)
  const width = Number(slots)
  const answer = objectOf(await serverOf(args, shell).ask(`${SERVICE}/SetTenantWidth`, { tenant, width }))
  const before = numberOf(answer, 'before')
  const words = (count: number) => (count === 0 ? 'all slots' : `${count} slots`)
  if (args.has('json')) shell.out(JSON.stringify({ tenant, width, before }, null, 2))
  else shell.out(`tenant ${printable(tenant!)}: ${words(width)}, before ${words(before)}`)
  return EXIT.ok
}
