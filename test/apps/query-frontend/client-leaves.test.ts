/** A client that hangs up ends the reads of the store, through both services and their real sockets. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createQueryBackendClient, mountQueryBackend } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { WINDOW_START_MS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const stops: (() => Promise<void>)[] = []
after(async () => {
  for (const stop of stops) await stop()
})

function listen(app: Hono): string {
  const listener = serveHttp({ name: 'test', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 1 << 26 })
  stops.push(() => listener.stop())
  return listener.url
}

/** Ranges never come; each read ends with its signal, and says so. */
function stallingStore(inner: ObjectStore) {
  const reads = { begun: 0, ended: 0 }
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const store: ObjectStore = {
    ...inner,
    getRange: (_key, _offset, _length, options) =>
      new Promise((_, reject) => {
        reads.begun++
        begun.resolve()
        options?.signal?.addEventListener('abort', () => {
          reads.ended++
          reject(new CinderError('canceled', 'the reader has gone'))
          if (reads.ended === reads.begun) ended.resolve()
        })
      }),
  }
  return { store, reads, begun: begun.promise, ended: ended.promise }
}

test('the reads of a client that leaves end (H75)', async () => {
  const memory = createMemoryStore()
  const objects = [1, 2, 3].map((i) =>
    putObject(memory, i, [
      { dataset: noisyDataset({ tenant: 'anonymous', service: 'shop', profiles: 2, samples: 5 }) },
    ]),
  )
  const plan = await Promise.all(objects)
  const stalling = stallingStore(memory)
  const parts = { codec: createCodec(), regex: createRegexCompiler(), log: createSilentLog() }
  const compression = codecCompression(parts.codec)
  const backendApp = new Hono()
  const backend = createQueryBackend({ ...parts, store: stalling.store })
  mountQueryBackend(backendApp, backend, { bodyLimitBytes: 1 << 20, compression, log: parts.log })
  const metastore = { planQuery: async () => ({ objects: plan }) } as unknown as Metastore
  const frontend = listen(
    createQueryFrontend(
      {
        ...parts,
        compression,
        clock: createClock(),
        metastore,
        backend: createQueryBackendClient(listen(backendApp)),
      },
      { multitenancy: false, limitsOf: () => ({ ...DEFAULT_LIMITS, maxQueryLookbackMs: 0 }) },
    ),
  )
  const range = { start: WINDOW_START_MS, end: WINDOW_START_MS + 60_000 }
  const profileTypeID = ':cpu:nanoseconds:cpu:nanoseconds'
  const leaving = new AbortController()
  const query = fetch(`${frontend}/querier.v1.QuerierService/SelectMergeStacktraces`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...range, profileTypeID, labelSelector: '{}' }),
    signal: leaving.signal,
  })
  await stalling.begun
  assert.equal(stalling.reads.ended, 0)
  const leftMs = performance.now()
  leaving.abort()
  await assert.rejects(query)
  await stalling.ended
  console.log(`the reads ended ${(performance.now() - leftMs).toFixed(0)} ms after the client left`)
  assert.equal(stalling.reads.ended, stalling.reads.begun)
})
