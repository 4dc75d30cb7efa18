/** What was compressed where it was made goes out so: nobody compresses it again, and only who takes gzip gets it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { create, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { createCodec } from '#platform/codec.ts'
import { rawMessage } from '#platform/connect/raw-message.ts'
import { mountService, takesGzip } from '#platform/connect/server.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { LabelNamesResponseSchema } from '#platform/gen/types/v1/types_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { notePacked, packedOf } from '#platform/http/packed-bytes.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

test('bytes are known by themselves, not by what is in them', () => {
  const [bytes, gzip] = [Uint8Array.of(1), Uint8Array.of(2)]
  notePacked(bytes, gzip)
  assert.equal(packedOf(bytes), gzip)
  assert.equal(packedOf(Uint8Array.of(1)), undefined)
})

test('an answer that is known packed is not compressed again', async () => {
  const names = Array.from({ length: 300 }, (_, i) => `name_${i}`)
  const bytes = toBinary(LabelNamesResponseSchema, create(LabelNamesResponseSchema, { names }))
  const stored = new Uint8Array(gzipSync(bytes, { level: 0 }))
  const wishes: boolean[] = []
  let compressed = 0
  const codec = createCodec()
  const compression = {
    ...codecCompression(codec),
    gzip: async (plain: Uint8Array) => {
      compressed++
      return codec.gzip(plain)
    },
  }
  const app = new Hono()
  mountService(
    app,
    QuerierService,
    {
      async labelNames(_, call) {
        wishes.push(takesGzip(call))
        const own = bytes.slice()
        notePacked(own, stored)
        return rawMessage(LabelNamesResponseSchema, own)
      },
    },
    { bodyLimitBytes: 1_000, compression, log: createSilentLog() },
  )
  const ask = async (headers: Readonly<Record<string, string>>) => {
    const response = await app.request('/querier.v1.QuerierService/LabelNames', {
      method: 'POST',
      headers: { 'Content-Type': 'application/proto', ...headers },
      body: new Uint8Array(),
    })
    return new Uint8Array(await response.arrayBuffer())
  }
  assert.deepEqual(await ask({ 'Accept-Encoding': 'gzip' }), stored)
  assert.deepEqual(await ask({}), bytes)
  assert.equal(compressed, 0)
  assert.deepEqual(wishes, [true, false])
})
