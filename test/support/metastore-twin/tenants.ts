/**
 * Incarnations of tenants: a deletion hides everything that was begun before it at once, can be undone for a while, and
 * then takes the datasets away. What is pushed after it is of a new incarnation and stays.
 */
import { isBegunBeforeDeath } from '#core/retention/tenant-object.ts'
import { isUlid, ulidTimeMs } from '#core/wire/ulid.ts'
import type { HeldDataset, TwinState } from './state.ts'

export interface TenantLife {
  /** Of what is written now. */
  incarnation: number
  /** Lower ones are dead. */
  liveFrom: number
  diedAtMs: number
  /** What is dead is being removed and never comes back. */
  isFinal: boolean
  /** Of the deletion that can still be undone. */
  open:
    | { readonly previous: Pick<TenantLife, 'liveFrom' | 'diedAtMs' | 'isFinal'>; readonly removeAtMs: number }
    | undefined
}

/** Of a dataset in an object of that id: its number, and whether it is dead for good on arrival. */
export function incarnationFor(
  state: TwinState,
  tenant: string,
  objectId: string,
): { incarnation: number; isRemoved: boolean } {
  const life = state.tenants.get(tenant)
  if (life === undefined) return { incarnation: 1, isRemoved: false }
  const isDead = isUlid(objectId) && isBegunBeforeDeath(ulidTimeMs(objectId), life.diedAtMs)
  return isDead
    ? { incarnation: life.liveFrom - 1, isRemoved: life.isFinal }
    : { incarnation: life.incarnation, isRemoved: false }
}

/** Live, and of an incarnation that lives. */
export function isVisible(state: TwinState, { isLive, incarnation, descriptor }: HeldDataset): boolean {
  return isLive && incarnation >= liveFromOf(state, descriptor.tenant)
}

/** The lowest incarnation of the tenant that lives. */
export function liveFromOf(state: TwinState, tenant: string): number {
  return state.tenants.get(tenant)?.liveFrom ?? 1
}

/** A second call while one is open hides what came since. */
export function deleteTenant(state: TwinState, tenant: string, delayMs: number): void {
  const nowMs = state.nowMs()
  const before = state.tenants.get(tenant)
  const { liveFrom = 1, diedAtMs = Number.NEGATIVE_INFINITY, isFinal = false } = before ?? {}
  const incarnation = (before?.incarnation ?? 1) + 1
  const open = before?.open ?? { previous: { liveFrom, diedAtMs, isFinal }, removeAtMs: nowMs + delayMs }
  state.tenants.set(tenant, { incarnation, liveFrom: incarnation, diedAtMs: nowMs, isFinal: false, open })
}

/** False if there is nothing to undo, or its removal has begun. */
export function undeleteTenant(state: TwinState, tenant: string): boolean {
  const life = state.tenants.get(tenant)
  if (life?.open === undefined) return false
  Object.assign(life, life.open.previous, { open: undefined })
  return true
}

/** Takes away what was hidden for as long as it could be undone. */
export function removeDeleted(state: TwinState): void {
  for (const [tenant, life] of state.tenants) {
    if (life.open === undefined || life.open.removeAtMs > state.nowMs()) continue
    Object.assign(life, { isFinal: true, open: undefined })
    for (const { objectId, datasets } of state.objects.values())
      for (const dataset of datasets)
        if (dataset.descriptor.tenant === tenant && dataset.isLive && !isVisible(state, dataset))
          state.retireDataset(objectId, dataset.descriptor.index)
    for (const [key, set] of state.labelSets)
      if (set.tenant === tenant && set.incarnation < life.liveFrom) state.labelSets.delete(key)
  }
}
