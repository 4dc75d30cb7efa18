/**
 * Executables that agents bring, so that addresses can get names later: kept in the object store, by tenant and build id.
 * Shapes equal the messages of `apps/platform/proto/cinder/v1/debuginfo.proto`.
 */

export interface DebuginfoFile {
  /** 2 to 40 hexadecimal digits; one spelling of a build id is one file. */
  gnuBuildId: string
  goBuildId: string
  otelFileId: string
  name: string
  /** 0 unknown, 1 the whole executable, 2 without its code. */
  type: number
}

export interface StoredDebuginfo {
  file: DebuginfoFile
  /** False: somebody has begun to bring it. */
  isUploaded: boolean
  startedAtMs: number
  /** 0 while it is brought. */
  finishedAtMs: number
  sizeBytes: number
}

export interface BeginDebuginfoRequest {
  tenant: string
  file: DebuginfoFile
}

export interface BeginDebuginfoResponse {
  shouldUpload: boolean
  reason: string
}

export interface PutDebuginfoPartRequest {
  tenant: string
  buildId: string
  /** From 1; the same part again replaces it. */
  part: number
  body: Uint8Array
}

export interface DebuginfoRequest {
  tenant: string
  buildId: string
}

export interface ListDebuginfoFilesRequest {
  tenant: string
}

export interface DebuginfoStore {
  /** Says whether the file is wanted, and expects it if so. Asking counts as use. */
  begin(request: BeginDebuginfoRequest): Promise<BeginDebuginfoResponse>
  /** Fails with `failed_precondition` if nobody expects the file. */
  putPart(request: PutDebuginfoPartRequest): Promise<object>
  finish(request: DebuginfoRequest): Promise<{ found: boolean }>
  list(request: ListDebuginfoFilesRequest): Promise<{ files: StoredDebuginfo[] }>
  remove(request: DebuginfoRequest): Promise<{ found: boolean }>
}
