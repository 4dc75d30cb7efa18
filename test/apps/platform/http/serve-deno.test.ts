/** The listener of Deno by a real process: a bad setting, a signal with an answer in flight, a second signal. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createSilentLog } from '../../../support/silent-log.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { mountSegmentWriter } from '#platform/connect/services.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { Hono } from 'hono'
import { push } from '../../../support/server-client.ts'
import { prepareRuntimes } from '../../../runtime/edge-command.ts'
import { startEdge } from '../../../runtime/edge-process.ts'

before(prepareRuntimes)

/** A writer that answers when it is told. */
function startSlowWriter() {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const app = new Hono()
  const stored = { kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 1, status: 'stored' }
  mountSegmentWriter(
    app,
    {
      async write() {
        arrived.resolve()
        await released.promise
        return { verdicts: [stored] }
      },
    },
    { bodyLimitBytes: 1 << 20, compression: codecCompression(createCodec()), log: createSilentLog() },
  )
  const listener = serveHttp({ name: 'writer', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 0 })
  return { url: listener.url, stop: () => listener.stop(), arrived: arrived.promise, release: () => released.resolve() }
}

const SERIES = [{ labels: { __name__: 'cpu', service_name: 'a' }, profiles: [new Uint8Array([1])] }]

test('a signal ends the process when what is in flight is answered', async () => {
  const writer = startSlowWriter()
  const { program, send } = await startEdge('deno', 'distributor', { WRITER_URL: writer.url })
  const answer = push(send, SERIES)
  await writer.arrived
  program.kill('SIGTERM')
  await program.waitFor(/"event":"stopping","signal":"SIGTERM"/)
  writer.release()
  assert.equal((await answer).status, 200)
  assert.deepEqual(await program.exited, { code: 0, signal: null })
  await writer.stop()
})

test('a second signal ends it at once', async () => {
  const writer = startSlowWriter()
  const { program, send } = await startEdge('deno', 'distributor', { WRITER_URL: writer.url })
  const answer = push(send, SERIES).catch(() => 'no answer')
  await writer.arrived
  program.kill('SIGTERM')
  await program.waitFor(/"event":"stopping"/)
  program.kill('SIGTERM')
  assert.deepEqual(await program.exited, { code: 1, signal: null })
  assert.equal(await answer, 'no answer')
  writer.release()
  await writer.stop()
})

test('a bad setting is one sentence', async () => {
  await assert.rejects(
    startEdge('deno', 'query-frontend', { METASTORE_URL: 'http://127.0.0.1:1', QUERY_BACKEND_URL: 'nowhere' }),
    /cinder: setting QUERY_BACKEND_URL is "nowhere": a URL such as/,
  )
})

test('a taken port is one sentence', async () => {
  const writer = startSlowWriter()
  const PORT = new URL(writer.url).port
  await assert.rejects(startEdge('deno', 'distributor', { WRITER_URL: writer.url, PORT }), /cinder: .*in use/i)
  await writer.stop()
})
