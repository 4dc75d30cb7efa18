/** Reading settings from the environment: an unknown `CINDER_*` name is an error, an empty value counts as absent. */
import { invalidArgument } from '#core/errors.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** The named settings that have a value. Fails on a `CINDER_*` variable that is not among the names. */
export function pickSettings<Name extends string>(env: Env, names: readonly Name[]): Partial<Record<Name, string>> {
  const known = new Set<string>(names)
  for (const name of Object.keys(env)) {
    if (name.startsWith('CINDER_') && !known.has(name)) {
      throw invalidArgument(
        `unknown setting ${name}; known are ${names.filter((n) => n.startsWith('CINDER_')).join(', ')}`,
        'unknown_setting',
      )
    }
  }
  const picked: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value = env[name]
    if (value !== undefined && value !== '') picked[name] = value
  }
  return picked
}
