/**
 * What each tenant holds of the writer's memory, from the push to its settlement, and who may take more of it
 * (core/limits/fair-share.ts). Sizes are those of bodies while a profile is decoded, then of the decoded profile.
 */
import { CinderError } from '#core/errors.ts'
import { decideShare } from '#core/limits/fair-share.ts'

export type Admission =
  | { readonly kind: 'admitted'; readonly mayUseReserve: boolean }
  | { readonly kind: 'refused'; readonly error: CinderError }

export class TenantShares {
  readonly #boundBytes: number
  /** Bounded by what is held: a tenant without anything has no entry. */
  readonly #held = new Map<string, number>()
  #allBytes = 0

  constructor(boundBytes: number) {
    this.#boundBytes = boundBytes
  }

  /** `heldBytes`: of all pushes that are not settled. */
  admit(tenant: string, heldBytes: number): Admission {
    const tenantBytes = this.#held.get(tenant) ?? 0
    const tenants = this.#held.size + (this.#held.has(tenant) ? 0 : 1)
    const boundBytes = this.#boundBytes
    const decision = decideShare({ heldBytes, boundBytes, tenantBytes, pushedBytes: this.#allBytes, tenants })
    if (decision !== 'over-share') return { kind: 'admitted', mayUseReserve: decision === 'admit-to-reserve' }
    const shareBytes = Math.floor(this.#allBytes / tenants)
    const message = `this tenant holds ${tenantBytes} bytes that are not stored yet, its share among ${tenants} tenants is ${shareBytes} while the writer is short of memory: try again later`
    const details = { reason: 'tenant_memory_share', retryAfterMs: 1000 }
    return { kind: 'refused', error: new CinderError('resource_exhausted', message, details) }
  }

  /** Counts bytes until the answer is called. */
  hold(tenant: string, bytes: number): () => void {
    this.#add(tenant, bytes)
    return () => this.#add(tenant, -bytes)
  }

  #add(tenant: string, bytes: number): void {
    const held = (this.#held.get(tenant) ?? 0) + bytes
    this.#allBytes += bytes
    if (held > 0) this.#held.set(tenant, held)
    else this.#held.delete(tenant)
  }
}
