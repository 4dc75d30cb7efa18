/**
 * The ledger of pushes, as the metastore keeps it: what became of profiles, counted by service and minute, and the usage of
 * tenants that follows from it. Shapes equal the messages of `apps/platform/proto/cinder/v1/ingest_ledger.proto`.
 */
export interface LedgerRow {
  tenant: string
  /** Empty: of no service, or of those past what is counted one by one. */
  service: string
  /** Start of the minute in which they arrived. */
  minuteMs: number
  /** `stored`, `duplicate`, `empty`, `dropped`, `refused`, `unknown`; or `repaired`, which is beside one of them. */
  outcome: string
  /** Of refusals the limit or fault, of drops the rule, of repairs what was repaired; else empty. */
  reason: string
  profiles: number
  /** As sent. */
  bytes: number
  decompressedBytes: number
  /** The latest of its kind, for people. */
  message: string
}

export interface RecordPushesRequest {
  /** Of one process life. */
  source: string
  /** Grows by batch; one that was recorded before changes nothing. */
  sequence: number
  rows: LedgerRow[]
}

export interface RecordPushesResponse {
  /** False: it was there. */
  recorded: boolean
}

export interface ExplainPushesRequest {
  tenant: string
  /** Absent: of all services. */
  service?: string | undefined
  sinceMs: number
  rowsMax: number
}

export interface ExplainPushesResponse {
  /** The newest, by minute. */
  rows: LedgerRow[]
}

export interface TenantUsageRequest {
  tenant: string
  fromMs: number
  /** Exclusive. */
  untilMs: number
}

export interface UsageDay {
  /** UTC. */
  dayMs: number
  profiles: number
  bytesIn: number
  decompressedBytes: number
}

export interface TenantUsageResponse {
  days: UsageDay[]
  /** Of what is live now. */
  storedBytes: number
  /** As datasets count them: one that is split by the labels of its samples counts once a label set. */
  storedProfiles: number
}

export interface IngestLedger {
  recordPushes(request: RecordPushesRequest): Promise<RecordPushesResponse>
  explainPushes(request: ExplainPushesRequest): Promise<ExplainPushesResponse>
  tenantUsage(request: TenantUsageRequest): Promise<TenantUsageResponse>
}
