/** `cinder usage`: what a tenant had stored, by day, and what is stored of it now. */
import type { Arguments, CommandSpec } from './arguments.ts'
import { listOf, numberOf, objectOf, textOf } from './operator-json.ts'
import { formatBytes, formatCount } from './quantity.ts'
import { parseTime } from './query-range.ts'
import { SERVER_FLAGS, serverOf } from './server.ts'
import { EXIT, type ExitCode, type Shell } from './shell.ts'
import { renderTable } from './table.ts'

export const USAGE: CommandSpec = {
  name: 'usage',
  about: 'Profiles and bytes that a tenant sent, by day, and what is stored of it.',
  flags: {
    ...SERVER_FLAGS,
    from: { value: 'TIME', about: 'first day: now-7d, 2026-11-01 or Unix time', default: 'now-31d' },
    to: { value: 'TIME', about: 'last day, included', default: 'now' },
    json: { about: 'one JSON document instead of a table' },
  },
  examples: ['cinder usage --tenant acme --from now-7d'],
}

export async function runUsage(args: Arguments, shell: Shell): Promise<ExitCode> {
  const timeOf = (flag: string) => new Date(parseTime(flag, args.need(flag), shell.nowMs())).toISOString()
  const range = new URLSearchParams({ from: timeOf('from'), until: timeOf('to') })
  const answer = objectOf(await serverOf(args, shell).get(`api/v1/usage?${range.toString()}`))
  if (args.has('json')) {
    shell.out(JSON.stringify(answer, null, 2))
    return EXIT.ok
  }
  const right = (title: string) => ({ title, align: 'right' as const })
  const columns = [{ title: 'day' }, right('profiles'), right('bytes in'), right('decompressed')]
  const rows = [...listOf(answer, 'days'), { day: 'total', ...objectOf(answer.received ?? {}) }].map((day) => [
    textOf(day, 'day'),
    formatCount(numberOf(day, 'profiles')),
    formatBytes(numberOf(day, 'bytesIn')),
    formatBytes(numberOf(day, 'decompressedBytes')),
  ])
  for (const line of renderTable(columns, rows)) shell.out(line)
  const stored = objectOf(answer.stored ?? {})
  shell.out(
    `stored now: ${formatBytes(numberOf(stored, 'bytes'))}, ${formatCount(numberOf(stored, 'profiles'))} profiles`,
  )
  return EXIT.ok
}
