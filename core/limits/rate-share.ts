/**
 * One limit over all writers: what a tenant brings to each, and which share of its rate each may take.
 *
 * 1. A writer measures what arrives for a tenant, refused pushes included (`foldDemand`), and tells the tenants of which it
 *    sees enough, in units of their limits (`tellDemands`): 1 is all that the limit allows.
 * 2. Somebody sums what all writers told, and gives each the sum of the others.
 * 3. `shareOfLimit`: while all together stay within the limit, a writer may take all that the others leave, so that traffic
 *    may grow anywhere without a refusal. Past it the limit is divided by demand, and a tenth of it evenly.
 *
 * So shares of a tenant over its limit add up to the limit, none is ever 0, and a writer that is alone has all of it.
 * Must not: know writers by name, or time but as an argument.
 */
import type { TenantLoad } from '../rpc/placement.ts'
import { MS_PER_SECOND } from '../units.ts'

/** Of a registration beat: 256 tenants are 10 KiB. Those with the highest loads, whose limits matter. */
export const DEMANDS_MAX = 256
/** 500 writers that tell nothing are a twentieth of the limit together. */
export const DEMAND_TOLD_MIN = 1 / 10_000
/** Below it nobody needs to know of the others: each may take all that is allowed. */
export const DEMAND_SUMMED_MIN = 1 / 2
/** Reason of a refusal of a tenant that is within its limit, by a writer whose share is used up: others may have room. */
export const RATE_SHARE_REASON = 'rate_share'
/** One beat: what moved to another writer is seen there as it is forgotten here. */
export const DEMAND_HALF_LIFE_MS = 5 * MS_PER_SECOND
/** Of a limit that is divided: what is spread evenly, so that a service that appears at a writer is seen there. */
const EVEN_SHARE = 1 / 10

export interface DemandFold {
  readonly bytesPerSecond: number
  /** Since the last fold, refused ones included. */
  readonly arrivedBytes: number
  readonly elapsedMs: number
  /** The share, if something was refused for it since the last fold. */
  readonly refusedAtBytesPerSecond: number | undefined
}

/**
 * Who is refused holds back: less arrives than is wanted. So a demand that is refused does not fall below the share that
 * refuses it, or shares would grow and shrink in turns.
 */
export function foldDemand({ bytesPerSecond, arrivedBytes, elapsedMs, refusedAtBytesPerSecond }: DemandFold): number {
  const weight = 1 - 2 ** (-elapsedMs / DEMAND_HALF_LIFE_MS)
  const folded = bytesPerSecond + weight * ((arrivedBytes * MS_PER_SECOND) / elapsedMs - bytesPerSecond)
  if (refusedAtBytesPerSecond === undefined) return folded
  return Math.max(folded, Math.min(bytesPerSecond, refusedAtBytesPerSecond))
}

/** The highest. */
export function tellDemands(demands: readonly TenantLoad[]): TenantLoad[] {
  return demands
    .filter(({ load }) => load >= DEMAND_TOLD_MIN)
    .sort((a, b) => b.load - a.load || (a.tenant < b.tenant ? -1 : 1))
    .slice(0, DEMANDS_MAX)
}

export interface LimitDivision {
  /** Of this writer, as told. */
  readonly own: number
  /** Of all others together. */
  readonly others: number
  /** That told of this tenant, this one included. */
  readonly writers: number
}

/** Of the limit: above 0, and 1 for a writer that is alone. */
export function shareOfLimit({ own, others, writers }: LimitDivision): number {
  if (!(others > 0)) return 1
  const all = own + others
  const even = EVEN_SHARE / Math.max(1, writers)
  if (all <= 1) return Math.max(even, 1 - others)
  return even + ((1 - EVEN_SHARE) * own) / all
}
