/** `CINDER_RETENTION` and `CINDER_DELETION_DELAY`: durations such as "31d", "12h"; of the first, 0 keeps for ever. */
import { invalidArgument } from '#core/errors.ts'
import { durationTextMs } from '#core/limits/limits.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

export const RETENTION_NAMES = ['CINDER_RETENTION', 'CINDER_DELETION_DELAY'] as const

export interface RetentionSettings {
  /** How long profiles are kept where no rule says otherwise; 0 = for ever. */
  readonly retentionMs: number
  /** Before a shorter retention counts, and before the deletion of a tenant is for good. */
  readonly deletionDelayMs: number
}

type Picked = Readonly<Partial<Record<(typeof RETENTION_NAMES)[number], string | undefined>>>

/** As the peers keep it. */
const RETENTION_DEFAULT_MS = 31 * MS_PER_DAY
/** A day: a mistake is seen the next morning. */
const DELAY_DEFAULT_MS = MS_PER_DAY

/** Fails with one sentence that names the setting. */
export function readRetention(picked: Picked): RetentionSettings {
  const retentionMs = duration(picked, 'CINDER_RETENTION', RETENTION_DEFAULT_MS)
  if (retentionMs !== 0 && retentionMs < MS_PER_HOUR) {
    throw invalidArgument(
      `setting CINDER_RETENTION is ${JSON.stringify(picked.CINDER_RETENTION)}: at least "1h" is allowed, or 0 for ever`,
      'bad_setting',
    )
  }
  return { retentionMs, deletionDelayMs: duration(picked, 'CINDER_DELETION_DELAY', DELAY_DEFAULT_MS) }
}

function duration(picked: Picked, name: keyof Picked & string, defaultMs: number): number {
  const text = picked[name]
  if (text === undefined) return defaultMs
  const durationMs = durationTextMs(text)
  if (durationMs !== undefined && Number.isSafeInteger(durationMs)) return durationMs
  throw invalidArgument(
    `setting ${name} is ${JSON.stringify(text)}: a duration such as "31d", "12h" or "0"`,
    'bad_setting',
  )
}
