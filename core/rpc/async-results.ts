/**
 * Queries that run on while their client polls: what any query-frontend can tell of a run of any other. Shapes equal the
 * messages of `apps/platform/proto/cinder/v1/async_results.proto`. Kept in the object store for a while.
 */

export interface AsyncRunRequest {
  /** A ULID: its time is when the run began. */
  runId: string
  /** Resolved and sorted, joined by `|`. Only these may see the run. */
  tenants: string
}

export interface EndRunRequest extends AsyncRunRequest {
  /** Empty: it has failed. */
  body: Uint8Array
  /** Why it failed. */
  errorMessage: string
  /** What the answer lacks. */
  warnings: string[]
}

export interface FindRunResponse {
  /** Neither: it runs. */
  isEnded: boolean
  body: Uint8Array
  errorMessage: string
  warnings: string[]
}

export interface AsyncResults {
  beginRun(request: AsyncRunRequest): Promise<Record<string, never>>
  /** Fails with `invalid_argument` if the body is too large. */
  endRun(request: EndRunRequest): Promise<Record<string, never>>
  /** Fails with `not_found` if there is no such run, or none of these tenants, or none any more. */
  findRun(request: AsyncRunRequest): Promise<FindRunResponse>
}
