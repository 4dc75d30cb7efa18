/**
 * Runs a query: plan, calls to query-backends, merge.
 *
 * 1. The metastore plans on one snapshot; the plan is split into calls by bytes.
 * 2. At most `CALLS_MAX` calls run at once; answers are merged as they come, so that few are held.
 * 3. The first failure ends all calls of the query. If an object was gone or broken, compaction may have replaced it
 *    since the plan: the whole query is planned anew, once. After that the failure is the answer.
 *
 * It must not answer with a part of the data, and must not retry anything else: the client decides that.
 */
import { CinderError } from '#core/errors.ts'
import type { Metastore, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import { splitPlan } from './split.ts'

/** Enough to hide the latency of backends; an edge process may hold six connections to one host anyway. */
export const CALLS_MAX = 8

export interface QueryWork<State> {
  readonly plan: PlanQueryRequest
  /** What answers are merged into; made anew for every attempt. */
  readonly begin: () => State
  /** One call; merges its answer into the state. */
  readonly call: (objects: SourceObject[], state: State, signal: AbortSignal) => Promise<void>
}

export async function runQuery<State>(
  metastore: Pick<Metastore, 'planQuery'>,
  work: QueryWork<State>,
  signal?: AbortSignal,
): Promise<State> {
  try {
    return await attempt(metastore, work, signal)
  } catch (error) {
    if (!isStalePlan(error)) throw error
  }
  try {
    return await attempt(metastore, work, signal)
  } catch (error) {
    if (!isStalePlan(error)) throw error
    // 404 would say that the query is wrong; what is missing is ours.
    const kind = error.kind === 'not_found' ? 'unavailable' : error.kind
    throw new CinderError(kind, `the query cannot be answered completely: ${error.message}`, {
      reason: 'block_unreadable',
      cause: error,
    })
  }
}

async function attempt<State>(
  metastore: Pick<Metastore, 'planQuery'>,
  work: QueryWork<State>,
  signal: AbortSignal | undefined,
): Promise<State> {
  const { objects } = await metastore.planQuery(work.plan)
  const calls = splitPlan(objects)
  const state = work.begin()
  const failed = new AbortController()
  const ended = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal])
  let next = 0
  const runCalls = async () => {
    for (let call = calls[next++]; call !== undefined; call = calls[next++]) {
      if (ended.aborted) return
      await work.call(call, state, ended)
    }
  }
  const workers = Array.from({ length: Math.min(CALLS_MAX, calls.length) }, async () => {
    try {
      await runCalls()
    } catch (error) {
      failed.abort()
      throw error
    }
  })
  // The first failure is thrown; it ended the others, whose own failures say only that.
  await Promise.all(workers)
  if (signal?.aborted === true) throw new CinderError('canceled', 'the query was given up by its caller')
  return state
}

function isStalePlan(error: unknown): error is CinderError {
  return error instanceof CinderError && (error.kind === 'not_found' || error.kind === 'data_loss')
}
