/**
 * Placement, as the metastore keeps it: writers register with a lease and say what they take in, edges read the table.
 * Shapes equal the messages of `apps/platform/proto/cinder/v1/placement.proto`. Times in milliseconds.
 */

/** What a writer takes in. */
export interface ServiceRate {
  tenant: string
  service: string
  /** Decompressed. */
  bytesPerSecond: number
  profilesPerSecond: number
}

/** What a tenant brings to a writer, in units of its rate limit: 1 = all that is allowed over all writers. */
export interface TenantLoad {
  tenant: string
  load: number
}

/** What a tenant brings to all other writers together. */
export interface OtherWritersLoad extends TenantLoad {
  /** That told of the tenant, the one that asks included. */
  writers: number
}

export interface RegisterWriterRequest {
  /** Of the place, equal after a restart, so that the writer gets its slots back: a host name, a pod's. */
  writerId: string
  /** Of the process life: random. Another one takes the registration over. */
  instanceId: string
  /** What the last answer gave; 0 = none. */
  epoch: number
  /** Where edges call it. */
  address: string
  /** `serving`; `leaving`: still accepts, is asked last, and will deregister. */
  state: string
  /** Of the lease; 1 s to 5 minutes. Without a renewal within it the writer counts as leaving. */
  ttlMs: number
  /** The services with the highest rates, RATES_MAX (core/placement/rate-meter.ts) at most. */
  rates: ServiceRate[]
  /** All others together. */
  restBytesPerSecond: number
  restProfilesPerSecond: number
  /** The tenants with the highest, refused pushes included: DEMANDS_MAX (core/limits/rate-share.ts) at most. */
  demands: TenantLoad[]
}

export interface RegisterWriterResponse {
  /**
   * `registered`; `superseded`: another process registered under this id since, with an epoch above; `forgotten`: there is
   * no such registration any more. After these two nothing was changed, and a call with epoch 0 begins a new one.
   */
  verdict: string
  epoch: number
  /** Of the table that edges read now. */
  generation: number
  /**
   * Of the tenants that were told of. One that is not in it brings nothing to others, or too little together to be divided;
   * absent: not known.
   */
  others?: { tenants: OtherWritersLoad[] } | undefined
}

export interface DeregisterWriterRequest {
  writerId: string
  instanceId: string
  epoch: number
}

export interface DeregisterWriterResponse {
  /** False: it was not registered so, and nothing was changed. */
  deregistered: boolean
  generation: number
}

export interface GetPlacementRequest {
  /** Of the table that the caller has; empty = none. */
  etag: string
}

export interface GetPlacementResponse {
  /** A hash of the JSON, without quotes. */
  etag: string
  /** core/placement/table.ts; empty: the caller has it. */
  json: string
}

export interface SetTenantWidthRequest {
  tenant: string
  /** Slots that the tenant's services share; 0 = all. */
  width: number
}

export interface SetTenantWidthResponse {
  /** Before: 0 = all. */
  before: number
}

export interface PlacementService {
  registerWriter(request: RegisterWriterRequest): Promise<RegisterWriterResponse>
  deregisterWriter(request: DeregisterWriterRequest): Promise<DeregisterWriterResponse>
  getPlacement(request: GetPlacementRequest): Promise<GetPlacementResponse>
  /** Holds from the next pass on. */
  setTenantWidth(request: SetTenantWidthRequest): Promise<SetTenantWidthResponse>
}
