/** The distributor on Bun: settings from the environment, one listener, segment-writers by URL or placement. */
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { withoutPathPrefix } from '#platform/http/path-prefix.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { startLedger } from '#platform/ledger/start-ledger.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { createProcessLog } from '#platform/log.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { AnswerCounts } from './answer-counts.ts'
import { createDistributor } from './app.ts'
import { readConfig } from './config.ts'
import { keepFresh } from './placement.ts'
import { meterWriters, mountEdgeStatus } from './placement-status.ts'
import { missingWriters, openWriters } from './placement-writers.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { writers: place, host, port, pathPrefix, ...settings } = readConfig(process.env)
  const { client, tokens } = openInternal(process.env)
  const compression = nodeCompression(createCodec())
  const clock = createClock()
  const random = createRandom()
  const instruments = createInstruments('distributor', clock)
  const meters = meterWriters(instruments.registry)
  const writers = openWriters(place, { client, clock, random, log, sharesRefreshes: true, on: meters.on })
  meters.watch(writers)
  if (writers.placed !== undefined) await lifecycle.add(keepFresh(writers.placed.source, { clock, random }))
  const { writer, debuginfo, ledger, where } = writers
  // The writers hand on what is counted here.
  const counting = startLedger({ ledger, registry: instruments.registry, clock, log, random })
  await lifecycle.add(counting.sender)
  const deps = { writer, debuginfo, counts: counting.counts, clock, log, compression }
  const app = createDistributor(deps, { ...settings, freesBodies: true })
  mountReady(app, () => missingWriters(writers))
  const answers = new AnswerCounts(clock)
  mountEdgeStatus(app, { writers, answers, clock, host }, tokens)
  const serve = withoutPathPrefix(answers.watch(instruments.serve(app, tokens)), pathPrefix)
  const { bodyLimitBytes } = settings
  const listener = await lifecycle.add(
    await serveHttp2({ name: 'distributor', app, host, port, bodyLimitBytes, serve }),
  )
  log.info('distributor ready', { url: listener.url, writer: where })
})
