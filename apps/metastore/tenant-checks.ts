/** What callers may ask of tenants and retention; `invalid_argument` says what is allowed. */
import { invalidArgument } from '#core/errors.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

/** A year: longer is a typing error in a unit. */
const DELAY_MAX_MS = 366 * MS_PER_DAY
/** A hundred years. */
const RETENTION_MAX_MS = 36_525 * MS_PER_DAY
/** Shorter than a data hour nothing can be kept: a dataset expires with its newest hour. */
const RETENTION_MIN_MS = MS_PER_HOUR
export function checkTenant(tenant: string): void {
  if (tenant === '' || tenant.length > 150 || tenant.includes('\0')) {
    throw invalidArgument(
      `tenant ${JSON.stringify(tenant.slice(0, 200))} is no tenant id: 1 to 150 characters are allowed`,
    )
  }
}

export function checkDelay(delayMs: number): void {
  if (!(delayMs >= 0 && delayMs <= DELAY_MAX_MS))
    throw invalidArgument(`a delay of ${delayMs} ms is not allowed: 0 to ${DELAY_MAX_MS}`)
}

export function checkRetention(retentionMs: number | undefined): void {
  if (retentionMs === undefined || retentionMs === 0) return
  if (!(retentionMs >= RETENTION_MIN_MS && retentionMs <= RETENTION_MAX_MS)) {
    throw invalidArgument(
      `a retention of ${retentionMs} ms is not allowed: ${RETENTION_MIN_MS} (an hour) to ${RETENTION_MAX_MS}, or 0 for ever`,
    )
  }
}
