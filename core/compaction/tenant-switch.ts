/**
 * Which tenants are compacted. Somebody's switch counts first, then the lists of the policy: a tenant that is disabled is
 * not compacted, and if any are enabled, only those are. Their data stays live and is read all the same.
 */
export interface TenantSwitches {
  /** Of the policy; empty = all. */
  readonly enabledTenants: readonly string[]
  readonly disabledTenants: readonly string[]
}

/** What planning leaves out: `off`, and if there is an `only`, all but those. */
export interface CompactedTenants {
  readonly off: readonly string[]
  readonly only: readonly string[] | undefined
}

export function compactedTenants(
  policy: TenantSwitches,
  switched: readonly { readonly tenant: string; readonly isEnabled: boolean }[],
): CompactedTenants {
  const on = new Set(switched.filter(({ isEnabled }) => isEnabled).map(({ tenant }) => tenant))
  const off = new Set(policy.disabledTenants.filter((tenant) => !on.has(tenant)))
  for (const { tenant, isEnabled } of switched) if (!isEnabled) off.add(tenant)
  const only = policy.enabledTenants.length === 0 ? undefined : [...new Set([...policy.enabledTenants, ...on])].sort()
  return { off: [...off].sort(), only }
}

export function isCompacted(tenant: string, tenants: CompactedTenants): boolean {
  return !tenants.off.includes(tenant) && (tenants.only === undefined || tenants.only.includes(tenant))
}
