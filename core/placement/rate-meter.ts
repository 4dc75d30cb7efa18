/**
 * What a writer takes in, by tenant and service, as rates that follow a change and forget a burst:
 *
 * 1. `note` adds up since the last reading: one look-up, because every profile passes here.
 * 2. `read` folds the sums into exponentially weighted rates with a half-life of 15 s, whatever time has passed since, and
 *    gives the highest by name and the rest as one. Who reads does so every few seconds.
 * 3. A rate too small to matter, with nothing new, is forgotten. Past the bounds of names, new ones count in the rest.
 * A clock that was set back folds nothing: the sums stay for the next reading. It must not throw.
 */
import type { ServiceRate } from '../rpc/placement.ts'
import { MS_PER_SECOND } from '../units.ts'
import { TABLE_MAX_NAME_CHARS } from './table.ts'
import { loadOf, WIDTH_POLICY_DEFAULT } from './widths.ts'

/** Of a renewal, some 20 KiB: a service with less than a 256th of a writer is not what makes one busy. */
export const RATES_MAX = 256
/** Three renewals in it: a writer that missed two is asked last. */
export const WRITER_LEASE_MS_DEFAULT = 15 * MS_PER_SECOND
/** Half of a jump is seen in 15 s; a push that comes once a minute shows as its rate, to a factor of two. */
export const RATE_HALF_LIFE_MS = 15 * MS_PER_SECOND
/** 200 bytes each. */
export const METERED_SERVICES_MAX = 10_000
/** Of their names, which clients choose: 400 each of the most there are. */
export const METERED_CHARS_MAX = 4 * 1024 * 1024
/** A byte a second: a megabyte is forgotten after five minutes. */
const FORGOTTEN_BYTES_PER_SECOND = 1
const FORGOTTEN_PROFILES_PER_SECOND = 1 / 1_000

export interface MeteredRates {
  /** The highest by load, in bytes or in profiles (widths.ts). */
  readonly rates: ServiceRate[]
  readonly restBytesPerSecond: number
  readonly restProfilesPerSecond: number
}

interface Meter {
  bytes: number
  profiles: number
  bytesPerSecond: number
  profilesPerSecond: number
}

export class RateMeter {
  readonly #tenants = new Map<string, Map<string, Meter>>()
  readonly #rest = newMeter()
  #services = 0
  #nameChars = 0
  #readMs: number

  constructor(nowMs: number) {
    this.#readMs = nowMs
  }

  /** Of all names that are kept. */
  get nameChars(): number {
    return this.#nameChars
  }

  note({ tenant, service, bytes, profiles }: RateNote): void {
    const meter = this.#meterOf(tenant, service)
    meter.bytes += bytes
    meter.profiles += profiles
  }

  read(nowMs: number): MeteredRates {
    const elapsedMs = nowMs - this.#readMs
    this.#readMs = nowMs
    const rates: ServiceRate[] = []
    if (elapsedMs > 0) fold(this.#rest, elapsedMs)
    const rest = { bytes: this.#rest.bytesPerSecond, profiles: this.#rest.profilesPerSecond }
    for (const [tenant, services] of this.#tenants) {
      for (const [service, meter] of services) {
        if (elapsedMs > 0) fold(meter, elapsedMs)
        const { bytesPerSecond, profilesPerSecond } = meter
        rates.push({ tenant, service, bytesPerSecond, profilesPerSecond })
        if (isForgotten(meter)) {
          services.delete(service)
          this.#services--
          this.#nameChars -= tenant.length + service.length
        }
      }
      if (services.size === 0) this.#tenants.delete(tenant)
    }
    const load = (rate: ServiceRate) => loadOf(rate, WIDTH_POLICY_DEFAULT)
    rates.sort((a, b) => load(b) - load(a) || b.bytesPerSecond - a.bytesPerSecond)
    for (const rate of rates.splice(RATES_MAX)) {
      rest.bytes += rate.bytesPerSecond
      rest.profiles += rate.profilesPerSecond
    }
    return { rates, restBytesPerSecond: rest.bytes, restProfilesPerSecond: rest.profiles }
  }

  #meterOf(tenant: string, service: string): Meter {
    const services = this.#tenants.get(tenant)
    const found = services?.get(service)
    if (found !== undefined) return found
    const chars = tenant.length + service.length
    if (this.#services >= METERED_SERVICES_MAX || this.#nameChars + chars > METERED_CHARS_MAX) return this.#rest
    if (chars > TABLE_MAX_NAME_CHARS) return this.#rest
    const meter = newMeter()
    this.#services++
    this.#nameChars += chars
    if (services === undefined) this.#tenants.set(tenant, new Map([[service, meter]]))
    else services.set(service, meter)
    return meter
  }
}

export interface RateNote {
  readonly tenant: string
  readonly service: string
  /** Decompressed. */
  readonly bytes: number
  readonly profiles: number
}

function newMeter(): Meter {
  return { bytes: 0, profiles: 0, bytesPerSecond: 0, profilesPerSecond: 0 }
}

function fold(meter: Meter, elapsedMs: number): void {
  const share = 1 - 2 ** (-elapsedMs / RATE_HALF_LIFE_MS)
  const seconds = elapsedMs / MS_PER_SECOND
  meter.bytesPerSecond += share * (meter.bytes / seconds - meter.bytesPerSecond)
  meter.profilesPerSecond += share * (meter.profiles / seconds - meter.profilesPerSecond)
  meter.bytes = 0
  meter.profiles = 0
}

/** What is not folded yet is not forgotten. */
function isForgotten(meter: Meter): boolean {
  const { bytes, profiles, bytesPerSecond, profilesPerSecond } = meter
  const isIdle = bytes === 0 && profiles === 0
  return isIdle && bytesPerSecond < FORGOTTEN_BYTES_PER_SECOND && profilesPerSecond < FORGOTTEN_PROFILES_PER_SECOND
}
