/** What a call of placement may say; messages name the limit, the value and what is allowed. */
import { invalidArgument } from '#core/errors.ts'
import { DEMANDS_MAX } from '#core/limits/rate-share.ts'
import { RATES_MAX } from '#core/placement/rate-meter.ts'
import { PLACEMENT_SLOTS, refuseWriter, TABLE_MAX_NAME_CHARS } from '#core/placement/table.ts'
import type { RegisterWriterRequest } from '#core/rpc/placement.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'

const TTL_MIN_MS = MS_PER_SECOND
const TTL_MAX_MS = 5 * MS_PER_MINUTE
const ID_CHARS_MAX = 200

export function checkRegistration(request: RegisterWriterRequest): void {
  const { instanceId, state, ttlMs, epoch, rates, demands } = request
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
  if (demands.length > DEMANDS_MAX)
    throw invalidArgument(`${demands.length} demands; allowed ${DEMANDS_MAX}`, 'demands')
  for (const { load } of demands) checkRate(load)
  for (const { bytesPerSecond, profilesPerSecond } of rates) {
    checkRate(bytesPerSecond)
    checkRate(profilesPerSecond)
  }
  checkRate(request.restBytesPerSecond)
  checkRate(request.restProfilesPerSecond)
}

/**
 * Names that the table cannot hold are counted in the rest, and limits of such tenants are not divided: names come from
 * pushes, and what a client calls its service must not cost a writer its registration.
 */
export function withTellableNames(request: RegisterWriterRequest): RegisterWriterRequest {
  const rates = request.rates.filter(({ tenant, service }) => isTellable(tenant) && isTellable(service))
  const demands = request.demands.filter(({ tenant }) => isTellable(tenant))
  if (rates.length === request.rates.length) return { ...request, demands }
  const rest = request.rates.filter((rate) => !rates.includes(rate))
  return {
    ...request,
    demands,
    rates,
    restBytesPerSecond: rest.reduce((sum, rate) => sum + rate.bytesPerSecond, request.restBytesPerSecond),
    restProfilesPerSecond: rest.reduce((sum, rate) => sum + rate.profilesPerSecond, request.restProfilesPerSecond),
  }
}

/** Postgres keeps no NUL. */
function isTellable(name: string): boolean {
  return name.length <= TABLE_MAX_NAME_CHARS && !name.includes('\0')
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
