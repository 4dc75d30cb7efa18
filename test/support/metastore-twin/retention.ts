/** Rules of retention and their bounds, by the rules of the product; a pass takes away what lies below. */
import { boundOf, decideChange, planBounds, type RetentionChange, type RetentionRule } from '#core/retention/rules.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { HeldDataset, TwinState } from './state.ts'

/** Longer counts at once, shorter after the delay. */
export function setRetention(state: TwinState, change: RetentionChange, delayMs: number): void {
  const nowMs = state.nowMs()
  const { tenant, service } = change
  const known = state.retention.find((rule) => rule.tenant === tenant && rule.service === service)
  const decision = decideChange(state.retention, change, { nowMs, delayMs })
  const { retentionMs } = decision
  // Announced before, word for word: its time does not start anew.
  if (decision.kind !== 'at-once' && known?.pending !== undefined && known.pending.retentionMs === retentionMs) return
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

export function isExpired(
  state: TwinState,
  { tenant, service, maxTimeMs }: Pick<HeldDataset['descriptor'], 'tenant' | 'service' | 'maxTimeMs'>,
): boolean {
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
  for (const [key, { tenant, windowStartMs, pairs }] of state.labelSets) {
    const service = pairs[pairs.indexOf('service_name') + 1] ?? ''
    if (isExpired(state, { tenant, service, maxTimeMs: windowStartMs + MS_PER_HOUR - 1 })) state.labelSets.delete(key)
  }
  return gone
}
