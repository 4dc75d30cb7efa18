/** Rules of retention as the service tells of them: what counts now, what is announced, and what a change would take. */
import {
  boundForRetention,
  effectiveRetentionMs,
  NO_BOUND_MS,
  type RetentionRule,
  type RetentionScope,
} from '#core/retention/rules.ts'
import type { RetentionRuleStatus } from '#core/rpc/tenants.ts'

export function ownNow(rule: RetentionRule | undefined, nowMs: number): number | undefined {
  if (rule?.pending !== undefined && rule.pending.fromMs <= nowMs) return rule.pending.retentionMs
  return rule?.retentionMs
}

export function previewBound(
  rules: readonly RetentionRule[],
  asked: RetentionScope & { readonly retentionMs?: number | undefined },
  nowMs: number,
): number {
  const rule = rules.find(({ tenant, service }) => tenant === asked.tenant && service === asked.service)
  if (asked.retentionMs !== undefined) return boundForRetention(asked.retentionMs, nowMs)
  // What is announced, as if its time had come.
  const atMs = Math.max(nowMs, rule?.pending?.fromMs ?? nowMs)
  return boundForRetention(effectiveRetentionMs(rules, asked, atMs), nowMs)
}

export function statusOf(rules: readonly RetentionRule[], scope: RetentionScope, nowMs: number): RetentionRuleStatus {
  return toStatus(
    rules,
    rules.find(({ tenant, service }) => tenant === scope.tenant && service === scope.service)!,
    nowMs,
  )
}

export function toStatus(rules: readonly RetentionRule[], rule: RetentionRule, nowMs: number): RetentionRuleStatus {
  const { tenant, service, boundMs } = rule
  const pending = rule.pending !== undefined && rule.pending.fromMs > nowMs ? rule.pending : undefined
  return {
    tenant,
    service,
    inherits: ownNow(rule, nowMs) === undefined,
    retentionMs: effectiveRetentionMs(rules, rule, nowMs),
    boundMs: toWireBound(boundMs),
    pendingFromMs: pending?.fromMs ?? 0,
    pendingRetentionMs: pending?.retentionMs ?? 0,
    pendingInherits: pending !== undefined && pending.retentionMs === undefined,
  }
}

export function toWireBound(boundMs: number): number {
  return boundMs === NO_BOUND_MS ? 0 : boundMs
}

export function nameOf({ tenant, service }: RetentionScope): string {
  if (tenant === '') return 'the default'
  return service === '' ? `tenant ${tenant}` : `service ${service} of tenant ${tenant}`
}
