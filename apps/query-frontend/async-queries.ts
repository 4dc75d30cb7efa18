/**
 * Flame graphs that outlive their request: `async` of SelectMergeStacktraces.
 *
 * 1. FORCE: the request is checked as every request is, gets an id, and runs on after its answer, which says IN_PROGRESS.
 * 2. With an id: how that run stands, whichever process runs it; the answer itself once it is there. All other fields of
 *    the request mean nothing then.
 * 3. A run has the budget, the turn and the time of every query. Its client is gone by design: only time ends it.
 * Runs are bounded by tenant and by process. A process that cannot go on after an answer (a worker) has no runs: 501.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { AsyncResults } from '#core/rpc/async-results.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import { encodeStacktraces, runMessage, type StacktracesInit } from '#platform/connect/stacktraces-message.ts'
import { toCinderError } from '#platform/http/errors.ts'
import {
  AsyncQueryStatus,
  AsyncQueryType,
  type SelectMergeStacktracesRequest,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { QueryRecord } from './query-record.ts'
import type { RequestContext } from './request.ts'
import { stacktracesQueryOf } from './sample-request.ts'
import { type CallInfo, type ProfileSources, selectMergeStacktraces } from './stacktraces.ts'
import { webRandom } from './web-random.ts'

/** As the peers allow a tenant. */
export const RUNS_PER_TENANT_MAX = 5
/** Each may hold what its query holds; admission lets fewer of them read at once. */
export const RUNS_MAX = 64

export interface AsyncDeps {
  /** Absent: nothing runs on. */
  readonly asyncResults?: AsyncResults | undefined
}

type Sources = ProfileSources & AsyncDeps & { readonly clock: Clock; readonly log: Log }
type Request = SelectMergeStacktracesRequest

export class AsyncQueries {
  readonly #sources: Sources
  /** By tenant; a run over several counts for each. */
  readonly #running = new Map<string, number>()
  #count = 0

  constructor(sources: Sources) {
    this.#sources = sources
  }

  async answer(request: Request, context: RequestContext, call: CallInfo): Promise<StacktracesInit> {
    const { async } = request
    const isPoll = async !== undefined && async.requestId !== ''
    if (!isPoll && async?.type !== AsyncQueryType.FORCE) return this.#run(request, context, call)
    const results = this.#sources.asyncResults
    if (results === undefined) {
      throw new CinderError('unimplemented', 'async queries cannot be answered by this server', {
        reason: 'unsupported_query',
      })
    }
    return isPoll ? this.#poll(results, async.requestId, context) : this.#begin(results, request, context)
  }

  async #run(request: Request, context: RequestContext, call: CallInfo) {
    return selectMergeStacktraces(this.#sources, { ...request, async: undefined }, context, call)
  }

  async #poll(results: AsyncResults, runId: string, context: RequestContext) {
    const run = await results.findRun({ runId, tenants: tenantsOf(context) })
    const { errorMessage, isEnded, body, warnings } = run
    if (!isEnded) return runMessage({ requestId: runId, status: AsyncQueryStatus.IN_PROGRESS })
    if (errorMessage !== '') return runMessage({ requestId: runId, status: AsyncQueryStatus.FAILURE, errorMessage })
    context.record?.warn(warnings)
    return runMessage({ requestId: runId, status: AsyncQueryStatus.SUCCESS }, body)
  }

  async #begin(results: AsyncResults, request: Request, context: RequestContext) {
    // What is wrong with the request is told now.
    stacktracesQueryOf({ ...request, async: undefined }, context)
    const tenants = tenantsOf(context)
    const ofTenant = Math.max(...context.tenants.map((tenant) => this.#running.get(tenant) ?? 0))
    if (ofTenant >= RUNS_PER_TENANT_MAX || this.#count >= RUNS_MAX) {
      const [running, limit] =
        ofTenant >= RUNS_PER_TENANT_MAX ? [ofTenant, RUNS_PER_TENANT_MAX] : [this.#count, RUNS_MAX]
      throw new CinderError('resource_exhausted', `${running} async queries are running, at most ${limit} may`, {
        reason: 'async_queries',
        retryAfterMs: 1_000,
      })
    }
    for (const tenant of context.tenants) this.#running.set(tenant, (this.#running.get(tenant) ?? 0) + 1)
    this.#count++
    const runId = makeUlid(Math.floor(this.#sources.clock.nowMs()), webRandom.bytes(ULID_RANDOM_BYTES))
    try {
      await results.beginRun({ runId, tenants })
    } catch (error) {
      this.#leave(context.tenants)
      throw error
    }
    void this.#finish(results, runId, request, context)
    return runMessage({ requestId: runId, status: AsyncQueryStatus.IN_PROGRESS })
  }

  /** Never fails: nobody waits for it. */
  async #finish(results: AsyncResults, runId: string, request: Request, context: RequestContext): Promise<void> {
    const { log, clock } = this.#sources
    const tenants = tenantsOf(context)
    const record = new QueryRecord('', { isExplained: false, nowMs: clock.nowMs() })
    const failed = (error: unknown) =>
      results.endRun({
        runId,
        tenants,
        body: new Uint8Array(0),
        errorMessage: toCinderError(error, log, 'async query').message,
        warnings: [],
      })
    try {
      // The answer is kept as a message: a profile must be one, not bytes in disguise.
      const call = { signal: new AbortController().signal, isJson: true }
      const answer = await this.#run(request, { ...context, record }, call)
      const body = encodeStacktraces(answer)
      await results.endRun({ runId, tenants, body, errorMessage: '', warnings: [...record.warnings] })
    } catch (error) {
      await failed(error).catch((lost: unknown) => {
        log.warn('the end of an async query is not kept', { runId, error: lost })
      })
    } finally {
      this.#leave(context.tenants)
    }
  }

  #leave(tenants: readonly string[]): void {
    for (const tenant of tenants) {
      const ofTenant = this.#running.get(tenant)! - 1
      if (ofTenant === 0) this.#running.delete(tenant)
      else this.#running.set(tenant, ofTenant)
    }
    this.#count--
  }
}

function tenantsOf({ tenants }: RequestContext): string {
  return tenants.join('|')
}
