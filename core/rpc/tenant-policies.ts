/**
 * Ingest policies (core/ingest/policy.ts) that operators set for tenants while everything runs. Shapes equal the messages of
 * `apps/platform/proto/cinder/v1/tenant_policies.proto`.
 */
export interface TenantPolicy {
  tenant: string
  /** JSON of the whole policy; empty: it was taken back, and that of the servers' files holds. */
  policy: string
  /** Of this tenant, from 1; grows with every change. */
  version: number
  changedAtMs: number
}

export interface ListPoliciesRequest {
  /** What the caller has; 0 = nothing. */
  generation: number
}

export interface ListPoliciesResponse {
  generation: number
  /** False: the caller has them all, and none are given. */
  changed: boolean
  /** The newest of each tenant. */
  tenants: TenantPolicy[]
}

export interface SetPolicyRequest {
  tenant: string
  policy: string
  /** Only if this is the newest version, 0 = there is none; absent: whatever there is. */
  expectedVersion?: number | undefined
}

export interface SetPolicyResponse {
  version: number
}

export interface PolicyHistoryRequest {
  tenant: string
}

export interface PolicyHistoryResponse {
  /** Newest first, as many as are kept. */
  versions: TenantPolicy[]
}

export interface TenantPolicies {
  listPolicies(request: ListPoliciesRequest): Promise<ListPoliciesResponse>
  setPolicy(request: SetPolicyRequest): Promise<SetPolicyResponse>
  policyHistory(request: PolicyHistoryRequest): Promise<PolicyHistoryResponse>
}
