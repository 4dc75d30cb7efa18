/** Bodies of all requests together are bounded, while the writer is slow, on both ways in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { STORED } from '../../support/verdicts.ts'

/** A writer that answers when its gate opens, and says when it was asked. */
function slowWriter() {
  const gate = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const writer: SegmentWriter = {
    async write() {
      asked.resolve()
      await gate.promise
      return { verdicts: [STORED] }
    },
  }
  return { writer, open: () => gate.resolve(), asked: asked.promise }
}

for (const path of ['/ingest?name=app&format=pprof', '/push.v1.PusherService/Push']) {
  test(`past the budget ${path} answers 503 with Retry-After, and takes bodies again afterwards`, async () => {
    const { writer, open, asked } = slowWriter()
    const app = createDistributor(
      {
        writer,
        clock: { nowMs: () => 0 },
        log: { info() {}, warn() {}, error() {} },
        compression: codecCompression(createCodec()),
      },
      { multitenancy: false, bodyLimitBytes: 1000, bodyBudgetBytes: 1000 },
    )
    const send = (to: string, size: number): Promise<Response> =>
      Promise.resolve(
        app.request(to, {
          method: 'POST',
          headers: {
            'Content-Type': to === path && path.startsWith('/push') ? 'application/proto' : 'application/octet-stream',
            'Content-Length': String(size),
          },
          body: new Uint8Array(size),
        }),
      )
    const waiting = send('/ingest?name=app&format=pprof', 600)
    await asked
    const refused = await send(path, 500)
    assert.equal(refused.status, 503)
    assert.equal(refused.headers.get('retry-after'), '1')
    assert.equal(((await refused.json()) as { code: string }).code, 'unavailable')
    open()
    assert.equal((await waiting).status, 200)
    assert.notEqual((await send(path, 500)).status, 503)
  })
}
