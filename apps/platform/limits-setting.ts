/** `CINDER_LIMITS`: JSON of limits that differ from the defaults. */
import { invalidArgument } from '#core/errors.ts'
import { DEFAULT_LIMITS, parseLimits, type TenantLimits } from '#core/limits/limits.ts'

/** Fails with one sentence that names the setting or the limit. */
export function readLimits(text: string): TenantLimits {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalidArgument(
      `setting CINDER_LIMITS is not JSON: ${text.slice(0, 80)}; write for example {"rejectOlderThan":"1h"}`,
      'bad_setting',
    )
  }
  return parseLimits(json, DEFAULT_LIMITS)
}
