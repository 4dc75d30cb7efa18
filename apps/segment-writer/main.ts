/** The segment-writer on Bun: settings from the environment, an object store, a metastore by URL, one listener. */
import { availableParallelism, networkInterfaces } from 'node:os'
import { RateMeter } from '#core/placement/rate-meter.ts'
import type { Clock } from '#core/ports/clock.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { mountDebuginfoStore } from '#platform/connect/debuginfo-service.ts'
import { type Internal, openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { createLimitsClient } from '#platform/connect/limit-service.ts'
import { createPoliciesClient } from '#platform/connect/policy-service.ts'
import { createLedgerClient, mountLedger } from '#platform/connect/ledger-service.ts'
import { createPlacementClient } from '#platform/connect/placement-service.ts'
import { createMetastoreClient, mountSegmentWriter } from '#platform/connect/services.ts'
import { createDigest } from '#platform/digest.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { startLedger } from '#platform/ledger/start-ledger.ts'
import { type LimitsFile, openLimitsFile } from '#platform/limits-file.ts'
import { openLimitRows } from '#platform/limits-rows.ts'
import { openPolicyRows } from '#platform/policy-rows.ts'
import { createProcessLog } from '#platform/log.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { createSegmentWriter, MEMORY_BYTES_MAX_DEFAULT, WRITE_DEADLINE_MS_DEFAULT } from './app.ts'
import { readConfig, type SegmentWriterConfig } from './config.ts'
import { createDebuginfoStore } from './debuginfo-store.ts'
import { createHandOver } from './hand-over.ts'
import {
  addRegistrationMetrics,
  createRegistration,
  REGISTER_DEADLINE_MS,
  type Registration,
  type WriterPlace,
} from './registration.ts'
import { isOnlyLocal, placeOfWriter } from './registration-address.ts'
import { meterRates } from './registration-rates.ts'
import { defaultThreads } from './shards.ts'
import { TenantRates } from './tenant-rates.ts'
import { addWriterMetrics } from './writer-metrics.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const config = readConfig(process.env)
  const { limits, host, port, metastoreUrl, storageUrl, threads, journal, advertisedUrl } = config
  const internal = openInternal(process.env)
  const clock = createClock()
  const instruments = createInstruments('segment-writer', clock)
  const { store, putsPerSecondMax } = await openStore(storageUrl, { log })
  const tenants = await openTenants(config, internal, clock)
  await lifecycle.add({ name: 'limits of tenants', stop: () => tenants.stop() })
  const random = createRandom()
  const ports = { clock, log, random }
  const rates = new RateMeter(clock.nowMs())
  const tenantRates = new TenantRates((tenant) => tenants.limitsOf(tenant))
  const registration = await lifecycle.add(
    createRegistration({
      placement: createPlacementClient(metastoreUrl, { ...internal.client, deadlineMs: REGISTER_DEADLINE_MS }),
      clock,
      log,
      readRates: (nowMs) => rates.read(nowMs),
      tenantRates,
      instanceId: crypto.randomUUID(),
    }),
  )
  const codec = nativeGunzip(nativeZstd(createCodec()))
  const metastore = instruments.metastore(createMetastoreClient(metastoreUrl, internal.client))
  const writer = createSegmentWriter(
    { ...ports, store: instruments.store(store), metastore, codec, digest: createDigest(), rates: tenantRates },
    {
      limitsOf: (tenant) => tenants.limitsOf(tenant),
      policyOf: (tenant) => tenants.policyOf(tenant),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: config.putsPerSecond ?? putsPerSecondMax,
      memoryBytesMax: MEMORY_BYTES_MAX_DEFAULT,
      writeDeadlineMs: WRITE_DEADLINE_MS_DEFAULT,
      threads: threads ?? defaultThreads(availableParallelism()),
      journal,
    },
  )
  await lifecycle.add({ name: 'segment-writer', stop: () => writer.stop() })
  const app = createGuardedApp(internal.tokens)
  const { bodyLimitBytes } = limits
  addWriterMetrics(instruments.registry, () => writer.status())
  const ledger = createLedgerClient(metastoreUrl, internal.client)
  const counting = startLedger({ ledger, registry: instruments.registry, clock, log, random })
  await lifecycle.add(counting.sender)
  const served = { bodyLimitBytes, compression: codecCompression(codec), log }
  const handOver = createHandOver(registration, clock)
  const measured = instruments.pushes(counting.explain(meterRates(writer, rates)))
  mountSegmentWriter(app, handOver.watch(measured), served)
  // Distributors know no other address.
  mountLedger(app, ledger, served)
  const debuginfo = createDebuginfoStore({ store: instruments.store(store), clock })
  mountDebuginfoStore(app, debuginfo, { bodyLimitBytes, compression: codecCompression(codec), log })
  mountReady(app, () => handOver.missing())
  internal.warnIfOpen({ name: 'segment-writer', host }, log)
  const { tls } = internal
  const serve = instruments.serve(app)
  const listener = await lifecycle.add(serveHttp({ name: 'listener', app, host, port, bodyLimitBytes, tls, serve }))
  await lifecycle.add(handOver)
  const place = placeOfWriter(advertisedUrl, listener.url, networkInterfaces())
  if (place !== undefined) register(registration, place, metastoreUrl)
  else log.warn('writer has no address that others reach and does not register: set CINDER_ADVERTISE_URL', { host })
  addRegistrationMetrics(instruments.registry, () => registration.status())
  log.info('segment-writer ready', { url: listener.url, metastore: metastoreUrl, storage: storageUrl })
})

/** Rules of tenants: of the file, and over them the rows of the metastore. */
async function openTenants(config: SegmentWriterConfig, { client }: Internal, clock: Clock): Promise<LimitsFile> {
  const { limits, limitsFile, metastoreUrl } = config
  const overrides = createLimitsClient(metastoreUrl, client)
  const policies = createPoliciesClient(metastoreUrl, client)
  const file = await openLimitsFile(limits, limitsFile, { clock, log })
  return await openLimitRows(await openPolicyRows(file, { clock, log, policies }), { clock, log, overrides })
}

function register(registration: Registration, place: WriterPlace, metastoreUrl: string): void {
  if (isOnlyLocal(place, metastoreUrl))
    log.warn('writer registers where other machines do not reach it: set HOST or CINDER_ADVERTISE_URL', { ...place })
  registration.start(place)
}
