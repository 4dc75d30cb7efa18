/** The distributor on Bun: settings from the environment, one listener, a segment-writer by URL. */
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDebuginfoClient } from '#platform/connect/debuginfo-service.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createLedgerClient } from '#platform/connect/ledger-service.ts'
import { createSegmentWriterClient } from '#platform/connect/services.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { startLedger } from '#platform/ledger/start-ledger.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { createProcessLog } from '#platform/log.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { createDistributor } from './app.ts'
import { readConfig } from './config.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { writerUrl, host, port, ...settings } = readConfig(process.env)
  const { client, tokens } = openInternal(process.env)
  const writer = createSegmentWriterClient(writerUrl, client)
  const compression = nodeCompression(createCodec())
  const debuginfo = createDebuginfoClient(writerUrl, client)
  const clock = createClock()
  const instruments = createInstruments('distributor', clock)
  // The writer hands on what is counted here.
  const ledger = createLedgerClient(writerUrl, client)
  const counting = startLedger({ ledger, registry: instruments.registry, clock, log, random: createRandom() })
  await lifecycle.add(counting.sender)
  const deps = { writer, debuginfo, counts: counting.counts, clock, log, compression }
  const app = createDistributor(deps, { ...settings, freesBodies: true })
  mountReady(app)
  const serve = instruments.serve(app, tokens)
  const { bodyLimitBytes } = settings
  const listener = await lifecycle.add(
    await serveHttp2({ name: 'distributor', app, host, port, bodyLimitBytes, serve }),
  )
  log.info('distributor ready', { url: listener.url, writer: writerUrl })
})
