/**
 * Arguments of a command, read strictly: an unknown flag, a missing value or a stray word is one sentence, never a
 * silent default.
 *
 * 1. `--` ends the flags; `--name value` and `--name=value` mean the same; `-h` is `--help`.
 * 2. A flag that may repeat keeps every value in order; any other may stand once.
 */
import { invalidArgument, type CinderError } from '#core/errors.ts'

export interface FlagSpec {
  /** How help names the value; a flag without one is a switch. */
  readonly value?: string
  readonly about: string
  readonly default?: string
  readonly choices?: readonly string[]
  readonly repeats?: true
}

export interface CommandSpec {
  /** As typed, with spaces: `query flamegraph`. */
  readonly name: string
  readonly about: string
  /** How help names the words after the command: `FILE…`. */
  readonly words?: { readonly hint: string; readonly min: number; readonly max: number }
  readonly flags: Readonly<Record<string, FlagSpec>>
  readonly examples?: readonly string[]
}

export interface Arguments {
  readonly words: readonly string[]
  /** The value of a flag, its default, or undefined. */
  get(name: string): string | undefined
  /** Of a flag that has a default. */
  need(name: string): string
  all(name: string): readonly string[]
  has(name: string): boolean
}

export const USAGE_REASON = 'usage'

export function usageError(message: string): CinderError {
  return invalidArgument(message, USAGE_REASON)
}

/** Fails with a usage error. Whether required words are there is judged only if `--help` is absent. */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const values = new Map<string, string[]>()
  const words: string[] = []
  let flagsEnded = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    if (flagsEnded || word === '-' || !word.startsWith('-')) words.push(word)
    else if (word === '--') flagsEnded = true
    else {
      const { name, value } = splitFlag(word)
      const flag = name === 'help' ? HELP : Object.hasOwn(spec.flags, name) ? spec.flags[name] : undefined
      if (flag === undefined) throw usageError(`unknown flag ${word.split('=')[0]}; see cinder ${spec.name} --help`)
      if (flag.value !== undefined && value === undefined) i++
      store(values, { name, flag, value: flag.value === undefined ? value : (value ?? argv[i]) })
    }
  }
  checkWords(spec, words, values.has('help'))
  return {
    words,
    get: (name) => values.get(name)?.[0] ?? spec.flags[name]?.default,
    need: (name) => values.get(name)?.[0] ?? spec.flags[name]!.default!,
    all: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
  }
}

const HELP: FlagSpec = { about: 'show this' }

function splitFlag(word: string): { name: string; value: string | undefined } {
  if (word === '-h') return { name: 'help', value: undefined }
  const at = word.indexOf('=')
  const name = (at < 0 ? word : word.slice(0, at)).replace(/^--/, '')
  return { name, value: at < 0 ? undefined : word.slice(at + 1) }
}

function store(
  values: Map<string, string[]>,
  given: { name: string; flag: FlagSpec; value: string | undefined },
): void {
  const { name, flag, value } = given
  if (flag.value === undefined && value !== undefined) throw usageError(`flag --${name} takes no value, got ${value}`)
  if (flag.value !== undefined && value === undefined) throw usageError(`flag --${name} needs a value: ${flag.value}`)
  if (flag.choices !== undefined && !flag.choices.includes(value!))
    throw usageError(`flag --${name} is ${JSON.stringify(value)}; allowed: ${flag.choices.join(', ')}`)
  const known = values.get(name) ?? []
  if (known.length > 0 && flag.repeats === undefined) throw usageError(`flag --${name} is given twice`)
  values.set(name, [...known, value ?? ''])
}

function checkWords(spec: CommandSpec, words: readonly string[], isHelp: boolean): void {
  if (isHelp) return
  const { min, max, hint } = spec.words ?? { min: 0, max: 0, hint: '' }
  if (words.length < min) throw usageError(`cinder ${spec.name} needs ${hint}; see cinder ${spec.name} --help`)
  if (words.length > max) throw usageError(`unexpected ${JSON.stringify(words[max])}; see cinder ${spec.name} --help`)
}

/** A whole number from a flag. Fails with a usage error that names what is allowed. */
export function wholeNumber(name: string, text: string, range: { min: number; max: number }): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= range.min && value <= range.max) return value
  throw usageError(`flag --${name} is ${JSON.stringify(text)}; allowed: ${range.min} to ${range.max}`)
}

/** `k=v`. The value may hold further equals signs. */
export function labelArgument(text: string): { name: string; value: string } {
  const at = text.indexOf('=')
  if (at < 1) throw usageError(`flag --label is ${JSON.stringify(text)}; allowed: name=value`)
  return { name: text.slice(0, at), value: text.slice(at + 1) }
}
