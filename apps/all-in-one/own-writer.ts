/**
 * The one writer among the registered ones, so that the placement table, `/distributor/ring` and `/api/v1/placement` say
 * what is so here too: one writer that owns every slot. Nothing routes by it, and no push is metered for it: the rate that
 * it tells comes from the writer's own counter.
 */
import { networkInterfaces } from 'node:os'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { PlacementService } from '#core/rpc/placement.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Part } from '#platform/service.ts'
import { createRegistration } from '../segment-writer/registration.ts'
import { placeOfWriter } from '../segment-writer/registration-address.ts'
import type { TenantRates } from '../segment-writer/tenant-rates.ts'

export interface OwnWriterDeps {
  readonly placement: PlacementService
  readonly clock: Clock
  readonly log: Log
  /** Of this process life. */
  readonly instanceId: string
  readonly listenerUrl: string
  /** Profiles that the writer has stored so far. */
  readonly profiles: () => number
  /** Others may share the database, and with it the limits of tenants. */
  readonly tenantRates: TenantRates
}

export function registerOwnWriter({ placement, clock, log, ...writer }: OwnWriterDeps): Part {
  let last = { profiles: writer.profiles(), readMs: clock.nowMs() }
  const registration = createRegistration({
    placement,
    clock,
    log,
    instanceId: writer.instanceId,
    tenantRates: writer.tenantRates,
    readRates(nowMs) {
      const profiles = writer.profiles()
      const seconds = (nowMs - last.readMs) / MS_PER_SECOND
      const restProfilesPerSecond = seconds > 0 ? Math.max(0, profiles - last.profiles) / seconds : 0
      last = { profiles, readMs: nowMs }
      return { rates: [], restBytesPerSecond: 0, restProfilesPerSecond }
    },
  })
  const place = placeOfWriter(undefined, writer.listenerUrl, networkInterfaces())
  if (place !== undefined) registration.start(place)
  return registration
}
