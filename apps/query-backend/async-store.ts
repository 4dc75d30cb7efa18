/**
 * Runs of asynchronous queries in the object store: `async/<ULID>-begun`, and `async/<ULID>-ended` with the answer. Each is
 * written once. An object is a line of JSON (whose run it is, how it ended) and the bytes of the answer.
 *
 * 1. A run is known for `ASYNC_AGE_MS` after it began. Older ones are deleted: a few by every run that begins, all by a sweep as
 *    often, so that nothing of a tenant stays because nobody asks any more. Ids begin with their time: the oldest are the
 *    first of a list. No index knows of them.
 * 2. A run that has not ended when no query may run any more has ended badly: who ran it is gone.
 * Who asks for the run of another tenant is told that there is none. The deletion of a tenant takes its answers along
 * (apps/metastore/async-leftovers.ts).
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { QUERY_DURATION_MAX_MS } from '#core/query/budget.ts'
import {
  ASYNC_AGE_MS,
  ASYNC_PREFIX,
  type AsyncPart,
  asyncKey,
  asyncRunOf,
  readAsyncObject,
  writeAsyncObject,
} from '#core/retention/async-key.ts'
import type { AsyncResults } from '#core/rpc/async-results.ts'
import { MIB, MS_PER_MINUTE } from '#core/units.ts'
import { isUlid, ulidTimeMs } from '#core/wire/ulid.ts'

/** A run waits for its turn before it reads, and its answer is written afterwards. */
const LOST_AFTER_MS = QUERY_DURATION_MAX_MS + MS_PER_MINUTE
/** The largest profiles with lines take a few MiB. */
export const RUN_BODY_MAX_BYTES = 32 * MIB
/** Two objects a run: whoever begins one removes more than it adds. */
const EXPIRED_PER_RUN_MAX = 10
/** One LIST of most stores. */
const EXPIRED_PER_SWEEP_MAX = 1_000

export interface AsyncStoreDeps {
  readonly store: Pick<ObjectStore, 'putIfAbsent' | 'get' | 'list' | 'delete'>
  readonly clock: Pick<Clock, 'nowMs'>
}

export interface AsyncSweep {
  readonly name: string
  stop(): Promise<void>
}

export function createAsyncStore({ store, clock }: AsyncStoreDeps): AsyncResults {
  const isExpired = (runId: string): boolean => isOld(runId, clock.nowMs())
  const read = async (runId: string, part: AsyncPart, tenants: string) => {
    let object: Uint8Array
    try {
      object = await store.get(asyncKey(runId, part))
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'not_found') return undefined
      throw error
    }
    const { head, body } = readAsyncObject(object)
    if (head.tenants !== tenants) throw unknownRun(runId)
    return { head, body }
  }
  return {
    async beginRun({ runId, tenants }) {
      checkId(runId)
      await removeExpired({ store, clock }, EXPIRED_PER_RUN_MAX)
      await store.putIfAbsent(asyncKey(runId, 'begun'), writeAsyncObject({ tenants }))
      return {}
    },
    async endRun({ runId, tenants, body, errorMessage, warnings }) {
      checkId(runId)
      if (body.length > RUN_BODY_MAX_BYTES) {
        const message = `the answer has ${body.length} bytes, at most ${RUN_BODY_MAX_BYTES} are kept for a client that polls`
        throw invalidArgument(`${message}: ask for fewer nodes, or without async`, 'async_result_size')
      }
      await store.putIfAbsent(asyncKey(runId, 'ended'), writeAsyncObject({ tenants, errorMessage, warnings }, body))
      return {}
    },
    async findRun({ runId, tenants }) {
      if (!isUlid(runId) || isExpired(runId)) throw unknownRun(runId)
      const ended = await read(runId, 'ended', tenants)
      if (ended !== undefined) {
        const { errorMessage = '', warnings = [] } = ended.head
        return { isEnded: true, body: ended.body, errorMessage, warnings }
      }
      if ((await read(runId, 'begun', tenants)) === undefined) throw unknownRun(runId)
      const none = { body: new Uint8Array(0), warnings: [] }
      if (ulidTimeMs(runId) >= clock.nowMs() - LOST_AFTER_MS) return { isEnded: false, errorMessage: '', ...none }
      return { isEnded: true, errorMessage: 'the server that ran the query is gone: ask again', ...none }
    },
  }
}

function isOld(runId: string, nowMs: number): boolean {
  return ulidTimeMs(runId) < nowMs - ASYNC_AGE_MS
}

async function removeExpired({ store, clock }: AsyncStoreDeps, limit: number): Promise<void> {
  for (const key of await store.list(ASYNC_PREFIX, { limit })) {
    const run = asyncRunOf(key)
    if (run !== undefined && isOld(run.runId, clock.nowMs())) await store.delete(key)
  }
}

/** At once and then as often as runs expire. A sweep that fails is the next one's work. */
export function startAsyncSweep(deps: AsyncStoreDeps & { readonly clock: Clock; readonly log: Log }): AsyncSweep {
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await removeExpired(deps, EXPIRED_PER_SWEEP_MAX)
      } catch (error) {
        deps.log.warn('answers of old async queries are not deleted', { error })
      }
      await deps.clock.sleep(ASYNC_AGE_MS, stopping.signal)
    }
  }
  const ended = run()
  return {
    name: 'sweep of async queries',
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

function checkId(runId: string): void {
  if (!isUlid(runId)) throw invalidArgument(`id ${JSON.stringify(runId.slice(0, 64))} is no id of a run`, 'async_run')
}

function unknownRun(runId: string): CinderError {
  const message = `there is no asynchronous query ${JSON.stringify(runId.slice(0, 64))}, or none any more`
  return new CinderError('not_found', message, { reason: 'async_run' })
}
