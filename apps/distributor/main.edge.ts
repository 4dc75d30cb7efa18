/** The distributor on workers: settings come as bindings with each request and do not change while a worker lives. */
import type { Env } from '#platform/env.ts'
import type { RequestLedger } from '#platform/ledger/request-ledger.ts'
import { composeEdge, type EdgeApp } from './edge.ts'

/** What a runtime gives with each request. */
interface RequestTime {
  waitUntil(work: Promise<unknown>): void
}

let app: EdgeApp | undefined
let ledger: RequestLedger | undefined

export default {
  async fetch(request: Request, env: Env, time?: RequestTime): Promise<Response> {
    app ??= composeEdge(env, { keepLedger: (made) => (ledger = made) })
    const answer = await app.fetch(request)
    if (time !== undefined) ledger?.after((sending) => time.waitUntil(sending))
    return answer
  },
}
