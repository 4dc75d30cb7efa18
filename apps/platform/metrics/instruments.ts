/** The meters of one process over one registry: each is made when it is first asked for, so that none stands at zero. */
import type { Hono } from 'hono'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import { requireToken } from '../connect/internal-token.ts'
import { type Fetch, mountMetrics, timeRequests } from '../http/metrics.ts'
import { meterMetastore } from './metered-metastore.ts'
import { meterPushes } from './metered-pushes.ts'
import { meterQueries } from './metered-queries.ts'
import { createStoreMeter, type EndedCall, type StoreMeter } from './metered-store.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { Registry } from './registry.ts'

export interface Instruments {
  readonly registry: Registry
  store(inner: ObjectStore): ObjectStore
  /** Calls of the store in another thread, counted beside those of this one. */
  storeCalls(calls: readonly EndedCall[]): void
  metastore(inner: Metastore): Metastore
  pushes(inner: SegmentWriter): SegmentWriter
  queries(inner: QueryBackend): QueryBackend
  /**
   * Adds `GET /metrics` and times what the app answers: for the listener. The app must have all its routes. `tokens`
   * guard the metrics of an app that is open otherwise: their labels name tenants.
   */
  serve(app: Hono, tokens?: readonly string[]): Fetch
  /** The same for an app that hands on to others, whose routes name the requests. */
  time(serve: Fetch, apps: readonly Hono[]): Fetch
}

export function createInstruments(target: string, clock: Pick<Clock, 'nowMs'>): Instruments {
  const registry = new Registry()
  addProcessMetrics(registry, target)
  let storeMeter: StoreMeter | undefined
  const meterOfStore = (): StoreMeter => (storeMeter ??= createStoreMeter(registry))
  return {
    registry,
    store: (inner) => meterOfStore().meter(inner),
    storeCalls(calls) {
      for (const call of calls) meterOfStore().count(call)
    },
    metastore: (inner) => meterMetastore(inner, registry, () => clock.nowMs()),
    pushes: (inner) => meterPushes(inner, registry),
    queries: (inner) => meterQueries(inner, registry),
    serve(app, tokens = []) {
      if (tokens.length > 0) app.use('/metrics', requireToken(tokens))
      mountMetrics(app, registry)
      return timeRequests((request) => app.fetch(request), registry, [app])
    },
    time: (serve, apps) => timeRequests(serve, registry, apps),
  }
}
