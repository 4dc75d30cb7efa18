/**
 * Limits that operators change for tenants while everything runs. Shapes equal the messages of
 * `apps/platform/proto/cinder/v1/tenant_limits.proto`.
 */
export interface TenantOverrides {
  tenant: string
  /** JSON of limit names and values, as in a limits file; `{}` if all were taken back. */
  overrides: string
  changedAtMs: number
}

export interface ListOverridesRequest {
  /** What the caller has; 0 = nothing. */
  generation: number
}

export interface ListOverridesResponse {
  generation: number
  /** False: the caller has them all, and none are given. */
  changed: boolean
  /** All of them, by tenant. */
  tenants: TenantOverrides[]
}

export interface ChangeLimitsRequest {
  tenant: string
  /** JSON: these are set, those that are null are taken back, others stay. */
  changes: string
}

export interface ChangeLimitsResponse {
  /** As it is now. */
  overrides: string
}

export interface LimitOverrides {
  listOverrides(request: ListOverridesRequest): Promise<ListOverridesResponse>
  changeLimits(request: ChangeLimitsRequest): Promise<ChangeLimitsResponse>
}
