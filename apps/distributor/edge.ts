/**
 * The distributor as the edge runs it: fetch and web streams alone, settings from bindings or an environment,
 * segment-writers by URL or placement. `main.edge.ts` serves it on workers, `main.deno.ts` on Deno.
 */
import { PushCounts } from '#core/ingest/push-counts.ts'
import type { Random } from '#core/ports/random.ts'
import { seedTables } from '#core/wire/table-hash.ts'
import { createClock } from '#platform/clock.ts'
import { openEdgeInternal } from '#platform/connect/internal-edge.ts'
import { readInternalSettings } from '#platform/connect/internal-settings.ts'
import { requireToken } from '#platform/connect/internal-token.ts'
import type { Env } from '#platform/env.ts'
import type { ReadBody } from '#platform/http/body.ts'
import { webCompression } from '#platform/http/body-compression.ts'
import { type Fetch, mountMetrics, timeRequests } from '#platform/http/metrics.ts'
import { withoutPathPrefix } from '#platform/http/path-prefix.ts'
import { mountReady } from '#platform/http/ready.ts'
import { startLedgerSender } from '#platform/ledger/ledger-sender.ts'
import { RequestLedger } from '#platform/ledger/request-ledger.ts'
import { sourceName } from '#platform/ledger/source-name.ts'
import { createLog } from '#platform/log.ts'
import { addBuildMetrics } from '#platform/metrics/process-metrics.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { AnswerCounts } from './answer-counts.ts'
import { createDistributor } from './app.ts'
import { readEdgeConfig } from './config.ts'
import { keepFresh } from './placement.ts'
import { meterWriters, mountEdgeStatus } from './placement-status.ts'
import { missingWriters, openWriters } from './placement-writers.ts'

export interface EdgeRuntime {
  readonly readBody?: ReadBody
  /** One process for all requests, with timers of its own; a worker may have neither. */
  readonly isProcess?: boolean
  /** Where there are no timers: gets what sends the counts of refusals, after answers. */
  readonly keepLedger?: (ledger: RequestLedger) => void
}

/** What listens is the runtime's. */
export interface EdgeApp {
  readonly fetch: Fetch
}

/** Workers have no module for randomness, and every runtime has the global. */
const webRandom: Random = { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) }

export function composeEdge(env: Env, { readBody, isProcess = false, keepLedger }: EdgeRuntime = {}): EdgeApp {
  seedTables(webRandom)
  const { writers: place, pathPrefix, ...settings } = readEdgeConfig(env)
  const clock = createClock()
  // oxlint-disable-next-line no-console -- a worker has no other output
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const client = openEdgeInternal(env)
  const registry = new Registry()
  addBuildMetrics(registry, 'distributor')
  const meters = meterWriters(registry)
  const writers = openWriters(place, {
    client,
    clock,
    random: webRandom,
    log,
    sharesRefreshes: isProcess,
    on: meters.on,
  })
  meters.watch(writers)
  const { writer, debuginfo, placed } = writers
  // It ends with the process.
  if (isProcess && placed !== undefined) keepFresh(placed.source, { clock, random: webRandom })
  // The writers hand on what is counted here.
  const counting = { ledger: writers.ledger, clock, log, source: sourceName(webRandom) }
  const byRequest = isProcess ? undefined : new RequestLedger(counting)
  const counts = byRequest?.counts ?? new PushCounts()
  if (byRequest === undefined) startLedgerSender({ ...counting, counts })
  else keepLedger?.(byRequest)
  const deps = { writer, debuginfo, counts, clock, log, compression: webCompression, readBody }
  const composed = createDistributor(deps, { ...settings, freesBodies: true })
  // A worker fetches the table with its first push.
  mountReady(composed, () => (isProcess ? missingWriters(writers) : undefined))
  const { tokens } = readInternalSettings(env)
  const answers = new AnswerCounts(clock)
  mountEdgeStatus(composed, { writers, answers, clock, host: isProcess ? settings.host : undefined }, tokens)
  if (tokens.length > 0) composed.use('/metrics', requireToken(tokens))
  // They name writers too, and everybody reaches a worker.
  if (isProcess || tokens.length > 0) mountMetrics(composed, registry)
  const serve = answers.watch(timeRequests((request) => composed.fetch(request), registry, [composed]))
  return { fetch: withoutPathPrefix(serve, pathPrefix) }
}
