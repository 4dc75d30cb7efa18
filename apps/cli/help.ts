/** Help texts, from the same table that the parser reads. */
import type { CommandSpec, FlagSpec } from './arguments.ts'

export function renderOverview(commands: readonly CommandSpec[], version: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    `cinder ${version}: push profiles to Cinderblock, query it, look into its objects`,
    '',
    'Commands',
    ...commands.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`),
    '',
    'cinder COMMAND --help explains a command; cinder --version says the version.',
  ].join('\n')
}

export function renderHelp(spec: CommandSpec): string {
  const words = spec.words === undefined ? '' : ` ${spec.words.hint}`
  const flags = Object.entries(spec.flags).map(([name, flag]) => [flagText(name, flag), aboutText(flag)] as const)
  const width = Math.max(0, ...flags.map(([left]) => left.length))
  const lines = [`cinder ${spec.name}${words}${flags.length > 0 ? ' [flags]' : ''}`, '', spec.about]
  if (flags.length > 0) lines.push('', 'Flags', ...flags.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`))
  if (spec.examples !== undefined) lines.push('', 'Examples', ...spec.examples.map((line) => `  ${line}`))
  return lines.join('\n')
}

function flagText(name: string, flag: FlagSpec): string {
  return `--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`
}

function aboutText(flag: FlagSpec): string {
  const repeats = flag.repeats === undefined ? '' : ' (may repeat)'
  return `${flag.about}${repeats}${flag.default === undefined ? '' : ` (default ${flag.default})`}`
}
