/**
 * A question that may take longer than proxies wait: the server runs it on, and is asked every second how it stands. A
 * poll that gets no answer is asked again; a run that the server does not know any more is over.
 */
import * as v from 'valibot'
import { CinderError } from '#core/errors.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { FlagSpec } from './arguments.ts'
import { check } from './query-target.ts'
import { type Server, UNREACHABLE } from './server.ts'
import type { Shell } from './shell.ts'

export const ASYNC_FLAG = {
  async: { about: 'let the server run on and ask it every second: for queries of minutes, through proxies' },
} as const satisfies Record<string, FlagSpec>

const POLL_MS = MS_PER_SECOND
/** Longer than a server keeps an answer. */
const GIVE_UP_MS = 20 * MS_PER_MINUTE

const runSchema = v.object({
  async: v.optional(
    v.object({
      requestId: v.optional(v.string(), ''),
      status: v.optional(v.string(), ''),
      errorMessage: v.optional(v.string(), ''),
    }),
  ),
})

/** The answer as if it had been asked for plainly, with the state of its run beside it. */
export async function askAsync(shell: Shell, server: Server, procedure: string, request: object): Promise<unknown> {
  const startMs = shell.nowMs()
  const begun = await server.ask(procedure, { ...request, async: { type: 'ASYNC_QUERY_TYPE_FORCE' } })
  let answer = begun
  for (;;) {
    const { async: run } = check(runSchema, answer)
    // A server that does not know the field has answered.
    if (run === undefined || run.status.endsWith('_SUCCESS')) return answer
    if (run.status.endsWith('_FAILURE')) {
      throw new CinderError('unknown', `the query has failed: ${run.errorMessage}`, { reason: 'async_query' })
    }
    if (shell.nowMs() - startMs > GIVE_UP_MS) {
      throw new CinderError('deadline_exceeded', `the query ${run.requestId} still runs after 20 minutes`)
    }
    await shell.sleep?.(POLL_MS)
    answer = (await poll(server, procedure, run.requestId)) ?? answer
  }
}

async function poll(server: Server, procedure: string, requestId: string): Promise<unknown> {
  try {
    return await server.ask(procedure, { async: { requestId } })
  } catch (error) {
    if (error instanceof CinderError && error.reason === UNREACHABLE) return undefined
    throw error
  }
}
