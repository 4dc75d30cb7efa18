/** Rules of retention and their bounds, by the rules of the product; a pass takes away what lies below. */
import { boundOf, decideChange, planBounds, type RetentionRule } from '#core/retention/rules.ts'
import type { HeldDataset, TwinState } from './state.ts'

/** Longer counts at once, shorter after the delay. */
export function setRetention(
  state: TwinState,
  change: { readonly tenant: string; readonly service: string; readonly retentionMs: number },
  delayMs: number,
): void {
  const nowMs = state.nowMs()
  const { tenant, service } = change
  const known = state.retention.find((rule) => rule.tenant === tenant && rule.service === service)
  const decision = decideChange(state.retention, change, { nowMs, delayMs })
  const { retentionMs } = decision
  const rule: RetentionRule = {
    tenant,
    service,
    boundMs: known?.boundMs ?? boundOf(state.retention, change),
    ...(decision.kind === 'at-once'
      ? { retentionMs, pending: undefined }
      : { retentionMs: known?.retentionMs, pending: { retentionMs, fromMs: decision.fromMs } }),
  }
  state.retention = [...state.retention.filter((each) => each !== known), rule]
}

export function isExpired(state: TwinState, { tenant, service, maxTimeMs }: HeldDataset['descriptor']): boolean {
  return maxTimeMs < boundOf(state.retention, { tenant, service })
}

/** Raises the bounds, then takes away every dataset below; returns what went. */
export function runRetention(state: TwinState): { objectId: string; index: number }[] {
  const bounds = planBounds(state.retention, state.nowMs())
  state.retention = state.retention.map((rule, i) => ({ ...rule, boundMs: bounds[i]!.boundMs }))
  const gone = [...state.objects.values()].flatMap(({ objectId, datasets }) =>
    datasets.flatMap(({ isLive, descriptor }) =>
      isLive && isExpired(state, descriptor) ? [{ objectId, index: descriptor.index }] : [],
    ),
  )
  for (const { objectId, index } of gone) state.retireDataset(objectId, index)
  return gone
}
