/** What a call of placement may say; messages name the limit, the value and what is allowed. */
import { invalidArgument } from '#core/errors.ts'
import { RATES_MAX } from '#core/placement/rate-meter.ts'
import { PLACEMENT_SLOTS, refuseWriter, TABLE_MAX_NAME_CHARS } from '#core/placement/table.ts'
import type { RegisterWriterRequest } from '#core/rpc/placement.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'

const TTL_MIN_MS = MS_PER_SECOND
const TTL_MAX_MS = 5 * MS_PER_MINUTE
const ID_CHARS_MAX = 200

export function checkRegistration(request: RegisterWriterRequest): void {
  const { instanceId, state, ttlMs, epoch, rates } = request
  const refused = refuseWriter(request)
  if (refused !== undefined) throw invalidArgument(refused, 'writer')
  if (instanceId === '' || instanceId.length > ID_CHARS_MAX)
    throw invalidArgument(`instance id of ${instanceId.length} characters; allowed 1 to ${ID_CHARS_MAX}`, 'writer')
  if (state !== 'serving' && state !== 'leaving')
    throw invalidArgument(`state ${JSON.stringify(state)}; allowed serving and leaving`, 'writer')
  if (!(ttlMs >= TTL_MIN_MS && ttlMs <= TTL_MAX_MS))
    throw invalidArgument(`a lease of ${ttlMs} ms; allowed ${TTL_MIN_MS} to ${TTL_MAX_MS}`, 'writer')
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw invalidArgument(`epoch ${epoch}; allowed whole numbers from 0`)
  if (rates.length > RATES_MAX) throw invalidArgument(`${rates.length} rates; allowed ${RATES_MAX}`, 'rates')
  for (const { tenant, service, bytesPerSecond, profilesPerSecond } of rates) {
    if (tenant.length > TABLE_MAX_NAME_CHARS || service.length > TABLE_MAX_NAME_CHARS)
      throw invalidArgument(`a name of a rate has more than ${TABLE_MAX_NAME_CHARS} characters`, 'rates')
    checkRate(bytesPerSecond)
    checkRate(profilesPerSecond)
  }
  checkRate(request.restBytesPerSecond)
  checkRate(request.restProfilesPerSecond)
}

function checkRate(rate: number): void {
  if (!(rate >= 0 && Number.isFinite(rate))) throw invalidArgument(`a rate of ${rate}; allowed from 0`, 'rates')
}

export function checkTenantWidth(tenant: string, width: number): void {
  if (tenant === '' || tenant.length > ID_CHARS_MAX)
    throw invalidArgument(`tenant of ${tenant.length} characters; allowed 1 to ${ID_CHARS_MAX}`, 'tenant_id')
  if (!Number.isInteger(width) || width < 0 || width > PLACEMENT_SLOTS)
    throw invalidArgument(`${width} slots; allowed 1 to ${PLACEMENT_SLOTS}, or 0 for all`, 'width')
}
