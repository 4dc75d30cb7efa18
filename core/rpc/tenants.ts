/**
 * Tenants and retention, for operators and `cinder`. Shapes equal the messages of
 * `apps/platform/proto/cinder/v1/tenants.proto`. Times in milliseconds since 1970, 0 = none; durations in milliseconds.
 */

export interface TenantSummary {
  tenant: string
  /** `live`, or the state of the newest deletion while it is open (see TenantDeletion). */
  state: string
  /** Of what is visible. */
  services: number
  datasets: number
  profiles: number
  bytes: number
  oldestMs: number
  newestMs: number
  /** How long data is kept where no service has a rule of its own; 0 = for ever. */
  retentionMs: number
}

export interface ListTenantsRequest {
  /** In the order of names, after this one. */
  after: string
  limit: number
}

export interface ListTenantsResponse {
  tenants: TenantSummary[]
}

/** A deletion; once it is done, its receipt. */
export interface TenantDeletion {
  id: number
  tenant: string
  /**
   * `hiding`: nothing is visible any more, rows are being taken out of the index; `hidden`: the same, waiting for its
   * time, can be undone; `removing`: for good; `done`; `restoring`: being undone; `restored`.
   */
  state: string
  requestedAtMs: number
  /** From then on it cannot be undone. */
  removeAtMs: number
  finishedAtMs: number
  /** What was found: datasets and profiles, bytes of theirs, and data times. */
  datasets: number
  profiles: number
  bytes: number
  oldestMs: number
  newestMs: number
  labelSets: number
  /** Objects that held its data; of them those that held others' too; those that are deleted from the store. */
  objects: number
  sharedObjects: number
  deletedObjects: number
}

export interface DeleteTenantRequest {
  tenant: string
  /** Until the removal; the server's default if absent. */
  delayMs?: number | undefined
}

export interface TenantRequest {
  tenant: string
}

export interface TenantDeletionsRequest {
  /** '' = every tenant. */
  tenant: string
  limit: number
}

export interface TenantDeletionsResponse {
  /** Newest first. */
  deletions: TenantDeletion[]
}

export interface RetentionRuleStatus {
  /** '' = every tenant, every service. */
  tenant: string
  service: string
  /** No time of its own: as the next wider rule. */
  inherits: boolean
  /** What counts now; 0 = for ever. */
  retentionMs: number
  /** Data older than this was expired at some time: it stays so, and what arrives late is refused. 0 = none. */
  boundMs: number
  /** An announced shortening: from when, to what; 0 = none. */
  pendingFromMs: number
  pendingRetentionMs: number
  pendingInherits: boolean
}

export interface ListRetentionResponse {
  rules: RetentionRuleStatus[]
}

export interface SetRetentionRequest {
  tenant: string
  service: string
  /** 0 = for ever; absent = as the next wider rule. */
  retentionMs?: number | undefined
  /** Of a shortening, before it counts; the server's default if absent. */
  delayMs?: number | undefined
}

export interface RetentionScopeRequest {
  tenant: string
  service: string
}

export interface PreviewRetentionRequest {
  tenant: string
  service: string
  /** Absent = what is announced, else what counts. */
  retentionMs?: number | undefined
}

/** What would go, or goes with the next pass. */
export interface PreviewRetentionResponse {
  boundMs: number
  datasets: number
  /** Objects that hold them; a shared one is deleted with its last dataset. */
  objects: number
  bytes: number
  oldestMs: number
  newestMs: number
}

export interface TenantService {
  listTenants(request: ListTenantsRequest): Promise<ListTenantsResponse>
  /** Hides all data at once; deletes it after a delay. May be repeated: it then hides what came since. */
  deleteTenant(request: DeleteTenantRequest): Promise<TenantDeletion>
  /** Undoes a deletion whose removal has not begun. */
  undeleteTenant(request: TenantRequest): Promise<TenantDeletion>
  tenantDeletions(request: TenantDeletionsRequest): Promise<TenantDeletionsResponse>
  listRetention(request: Record<string, never>): Promise<ListRetentionResponse>
  /** Longer counts at once, shorter is announced. */
  setRetention(request: SetRetentionRequest): Promise<RetentionRuleStatus>
  cancelRetention(request: RetentionScopeRequest): Promise<RetentionRuleStatus>
  /** Changes nothing. */
  previewRetention(request: PreviewRetentionRequest): Promise<PreviewRetentionResponse>
}
