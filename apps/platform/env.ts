/** Reading settings from the environment: an unknown `CINDER_*` name is an error, an empty value counts as absent. */
import { invalidArgument } from '#core/errors.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Known to every service (connect/internal-settings.ts). */
const SHARED_NAMES = ['CINDER_INTERNAL_TOKEN', 'CINDER_TLS_CERT', 'CINDER_TLS_KEY', 'CINDER_TLS_CA'] as const

/** The named settings that have a value. Fails on a `CINDER_*` variable that is not among the names. */
export function pickSettings<Name extends string>(env: Env, names: readonly Name[]): Partial<Record<Name, string>> {
  const known: readonly string[] = [...names, ...SHARED_NAMES]
  for (const name of Object.keys(env)) {
    if (name.startsWith('CINDER_') && !known.includes(name)) {
      throw invalidArgument(
        `unknown setting ${name}; known are ${known.filter((n) => n.startsWith('CINDER_')).join(', ')}`,
        'unknown_setting',
      )
    }
  }
  return valuesOf(env, names)
}

export function pickShared(env: Env): Partial<Record<(typeof SHARED_NAMES)[number], string>> {
  return valuesOf(env, SHARED_NAMES)
}

function valuesOf<Name extends string>(env: Env, names: readonly Name[]): Partial<Record<Name, string>> {
  const picked: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value = env[name]
    if (value !== undefined && value !== '') picked[name] = value
  }
  return picked
}
