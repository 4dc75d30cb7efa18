/**
 * Who may still put something into memory that is filling up, so that one noisy tenant does not shed another:
 *
 * 1. below half of the bound, everybody;
 * 2. above it, of several tenants those that hold no more than an equal share of what is held;
 * 3. an eighth below the bound is reserved for tenants below their share: alone, a tenant leaves room for the first push of
 *    another.
 * Who holds the bound, and its reserve, is somebody else.
 */
export type ShareDecision = 'admit' | 'admit-to-reserve' | 'over-share'

export interface MemoryShare {
  /** Of pushes that are not settled. */
  readonly heldBytes: number
  readonly boundBytes: number
  /** By tenant: this one's, and all of them. */
  readonly tenantBytes: number
  readonly pushedBytes: number
  /** Tenants that hold something, this one included. */
  readonly tenants: number
}

const FREE_SHARE = 1 / 2
const RESERVED_SHARE = 1 / 8

export function decideShare({ heldBytes, boundBytes, tenantBytes, pushedBytes, tenants }: MemoryShare): ShareDecision {
  const isWithinShare = tenants > 1 && tenantBytes <= pushedBytes / tenants
  if (isWithinShare) return 'admit-to-reserve'
  return tenants > 1 && heldBytes > boundBytes * FREE_SHARE ? 'over-share' : 'admit'
}

/** What a tenant that may not use the reserve has. */
export function withoutReserve(boundBytes: number): number {
  return boundBytes * (1 - RESERVED_SHARE)
}
