/**
 * Retention as data: which rule counts for a tenant and service, what a change of a rule does and when, and below which
 * data time everything expires. Pure: rules and the time in, decisions out.
 *
 * 1. The most specific rule counts: tenant and service, else tenant, else everybody (`''`, `''`). A rule without a time of
 *    its own inherits from the next one; 0 keeps for ever.
 * 2. Keeping longer counts at once. Keeping shorter is announced: it waits for its delay and can be cancelled until then,
 *    because nothing brings back what it deletes. What was waiting before is replaced.
 * 3. The bound of a rule is the start of the hour that lies its retention ago. It never falls: what was expired once stays
 *    so when the rule is loosened, and a late commit or a rebuild must not bring it back.
 */
import { MS_PER_HOUR, floorTo } from '../units.ts'

export interface RetentionScope {
  /** '' = every tenant. */
  readonly tenant: string
  /** '' = every service of the tenant. */
  readonly service: string
}

export interface RetentionRule extends RetentionScope {
  /** 0 = for ever, undefined = as the next wider rule. */
  readonly retentionMs: number | undefined
  /** An announced shortening: `retentionMs` (undefined = inherit) from `fromMs` on. */
  readonly pending: { readonly retentionMs: number | undefined; readonly fromMs: number } | undefined
  /** Everything older was expired under this rule at some time. */
  readonly boundMs: number
}

/** No data time lies below: the bound of a rule that never expired anything. */
export const NO_BOUND_MS = Number.MIN_SAFE_INTEGER

/** What the rule itself says now; an announcement whose time has come counts. */
function ownRetentionMs(rule: RetentionRule, nowMs: number): number | undefined {
  return rule.pending !== undefined && rule.pending.fromMs <= nowMs ? rule.pending.retentionMs : rule.retentionMs
}

function scopesFrom({ tenant, service }: RetentionScope): RetentionScope[] {
  const scopes = [
    { tenant, service },
    { tenant, service: '' },
    { tenant: '', service: '' },
  ]
  return scopes.filter(
    (scope, i) => i === 0 || scope.tenant !== scopes[i - 1]!.tenant || scope.service !== scopes[i - 1]!.service,
  )
}

function findRule(rules: readonly RetentionRule[], scope: RetentionScope): RetentionRule | undefined {
  return rules.find((rule) => rule.tenant === scope.tenant && rule.service === scope.service)
}

/** How long data of the scope is kept at `nowMs`; 0 = for ever, also if no rule says anything. */
export function effectiveRetentionMs(rules: readonly RetentionRule[], scope: RetentionScope, nowMs: number): number {
  for (const wider of scopesFrom(scope)) {
    const rule = findRule(rules, wider)
    const own = rule === undefined ? undefined : ownRetentionMs(rule, nowMs)
    if (own !== undefined) return own
  }
  return 0
}

/** The highest bound ever of the most specific rule: what is older must not become visible. */
export function boundOf(rules: readonly RetentionRule[], scope: RetentionScope): number {
  for (const wider of scopesFrom(scope)) {
    const rule = findRule(rules, wider)
    if (rule !== undefined) return rule.boundMs
  }
  return NO_BOUND_MS
}

export interface RetentionBound extends RetentionScope {
  readonly boundMs: number
}

/** Start of the hour that lies the retention ago: a dataset goes with its newest hour. */
export function boundForRetention(retentionMs: number, nowMs: number): number {
  return retentionMs === 0 ? NO_BOUND_MS : floorTo(nowMs - retentionMs, MS_PER_HOUR)
}

/** What a pass expires: one bound a rule, never below what it was. */
export function planBounds(rules: readonly RetentionRule[], nowMs: number): RetentionBound[] {
  return rules.map((rule) => {
    const boundMs = boundForRetention(effectiveRetentionMs(rules, rule, nowMs), nowMs)
    return { tenant: rule.tenant, service: rule.service, boundMs: Math.max(rule.boundMs, boundMs) }
  })
}

export interface RetentionChange extends RetentionScope {
  /** undefined = inherit from now on. */
  readonly retentionMs: number | undefined
}

export type RetentionDecision =
  /** Keeps as long or longer: counts at once, and ends what was announced. */
  | { readonly kind: 'at-once'; readonly retentionMs: number | undefined }
  | { readonly kind: 'announced'; readonly retentionMs: number | undefined; readonly fromMs: number }

/** What a change does. Longer or equal is compared with what counts now, not with what is announced. */
export function decideChange(
  rules: readonly RetentionRule[],
  change: RetentionChange,
  { nowMs, delayMs }: { readonly nowMs: number; readonly delayMs: number },
): RetentionDecision {
  const current = effectiveRetentionMs(rules, change, nowMs)
  const changed = { ...change, pending: undefined, boundMs: NO_BOUND_MS }
  const others = rules.filter((rule) => rule.tenant !== change.tenant || rule.service !== change.service)
  const next = effectiveRetentionMs([...others, changed], change, nowMs)
  const isShorter = next !== 0 && (current === 0 || next < current)
  if (!isShorter || delayMs === 0) return { kind: 'at-once', retentionMs: change.retentionMs }
  return { kind: 'announced', retentionMs: change.retentionMs, fromMs: nowMs + delayMs }
}
