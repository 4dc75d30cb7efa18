/**
 * The distributor as the edge runs it: fetch and web streams alone, settings from bindings or an environment, a
 * segment-writer by URL. `main.edge.ts` serves it on workers, `main.deno.ts` on Deno.
 */
import type { Hono } from 'hono'
import { createClock } from '#platform/clock.ts'
import { createDebuginfoClient } from '#platform/connect/debuginfo-service.ts'
import { openEdgeInternal } from '#platform/connect/internal-edge.ts'
import { createSegmentWriterClient } from '#platform/connect/services.ts'
import type { Env } from '#platform/env.ts'
import type { ReadBody } from '#platform/http/body.ts'
import { webCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { createLog } from '#platform/log.ts'
import { createDistributor } from './app.ts'
import { readEdgeConfig } from './config.ts'

export function composeEdge(env: Env, readBody?: ReadBody): Hono {
  const { writerUrl, ...settings } = readEdgeConfig(env)
  const clock = createClock()
  // oxlint-disable-next-line no-console -- a worker has no other output
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const internal = openEdgeInternal(env)
  const writer = createSegmentWriterClient(writerUrl, internal)
  const debuginfo = createDebuginfoClient(writerUrl, internal)
  const deps = { writer, debuginfo, clock, log, compression: webCompression, readBody }
  const composed = createDistributor(deps, { ...settings, freesBodies: true })
  mountReady(composed)
  return composed
}
