/**
 * 128 MB are enough for a distributor that holds 50 pushes of 1 MB at once, each runtime measured by what is counted against
 * it: the process' private memory on Bun and Deno, the isolate's heap and buffers on a worker (its process is
 * shared with others, and its allocator keeps what it has).
 *
 * The writer answers no push before all are there: no moment of the process is worse. Several rounds, because what one
 * leaves to the garbage collector adds to the next.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { MIB } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { mountSegmentWriter } from '#platform/connect/services.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { prepareRuntimes, RUNTIMES, type Runtime } from './edge-command.ts'
import { type EdgeProcess, startEdge } from './edge-process.ts'
import { meterIsolate } from './isolate-memory.ts'

const PUSHES = 50
const PROFILE_BYTES = 1_000_000
const ROUNDS = 3
/** On Bun 87 to 96 in rounds of twelve, the front that tells protocols apart included: it frees each read when it is sent. */
const MEMORY_BYTES_MAX = 128 * MIB
/** A process of workerd idles at 65 MB, 50 of them its program; the rest is the pages that its allocator keeps. */
const WORKERD_PRIVATE_BYTES_MAX = 256 * MIB

const NEEDS_PROC = process.platform === 'linux' ? false : 'needs /proc'

interface GatedWriter {
  readonly url: string
  /** Settles when `PUSHES` are waiting; they are answered by `release`. */
  arrived(): Promise<void>
  release(): void
  stop(): Promise<void>
}

function startGatedWriter(): GatedWriter {
  let waiting = 0
  let all = Promise.withResolvers<void>()
  let gate = Promise.withResolvers<void>()
  const app = new Hono()
  const stored = { status: 'stored', kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 1 }
  mountSegmentWriter(
    app,
    {
      async write({ series }) {
        assert.equal(series[0]!.profiles[0]!.bytes.length, PROFILE_BYTES)
        if (++waiting === PUSHES) all.resolve()
        await gate.promise
        return { verdicts: [stored] }
      },
    },
    { bodyLimitBytes: 8 * MIB, compression: codecCompression(createCodec()), log: createSilentLog() },
  )
  const listener = serveHttp({ name: 'writer', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 8 * MIB })
  return {
    url: listener.url,
    arrived: () => all.promise,
    release() {
      gate.resolve()
      waiting = 0
      all = Promise.withResolvers()
      gate = Promise.withResolvers()
    },
    stop: () => listener.stop(),
  }
}

const PROFILE = new Uint8Array(PROFILE_BYTES).fill(0x5a)
const PUSH_BODY = toBinary(
  PushRequestSchema,
  create(PushRequestSchema, { series: [{ labels: [{ name: 'a', value: 'b' }], samples: [{ rawProfile: PROFILE }] }] }),
) as Uint8Array<ArrayBuffer>

function pushOne({ send }: EdgeProcess, index: number): Promise<Response> {
  if (index % 2 === 0) return send('/ingest?name=app&format=pprof', { method: 'POST', body: PROFILE })
  const headers = { 'Content-Type': 'application/proto' }
  return send('/push.v1.PusherService/Push', { method: 'POST', headers, body: PUSH_BODY })
}

/** Private pages, without those of the program's file. */
function privateBytes({ program }: EdgeProcess): number {
  const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) * 1024
}

async function meterOf(runtime: Runtime, edge: EdgeProcess): Promise<{ bytes(): Promise<number>; close(): void }> {
  if (runtime !== 'workerd') return { bytes: async () => privateBytes(edge), close() {} }
  const [, port] = await edge.program.waitFor(/"event":"listen-inspector","port":(\d+)/)
  return meterIsolate(port!)
}

let writer: GatedWriter

before(() => {
  prepareRuntimes()
  writer = startGatedWriter()
})
after(() => writer.stop())

for (const runtime of RUNTIMES) {
  test(`${runtime}: ${MEMORY_BYTES_MAX / MIB} MiB hold 50 pushes of 1 MB at once`, { skip: NEEDS_PROC }, async () => {
    const edge = await startEdge(runtime, 'distributor', { WRITER_URL: writer.url })
    const meter = await meterOf(runtime, edge)
    const seen = [await meter.bytes()]
    for (let round = 0; round < ROUNDS; round++) {
      const answers = Array.from({ length: PUSHES }, (_, i) => pushOne(edge, i))
      await Promise.race([writer.arrived(), Promise.all(answers)])
      seen.push(await meter.bytes())
      writer.release()
      for (const answer of answers) {
        const response = await answer
        assert.equal(response.status, 200, await response.text())
      }
      seen.push(await meter.bytes())
    }
    meter.close()
    const shown = seen.map((bytes) => (bytes / MIB).toFixed(0)).join(', ')
    console.log(`${runtime}: ${shown} MiB`)
    // The bodies alone: less would mean that they were not there, and that this measures nothing.
    assert.ok(Math.max(...seen) > PUSHES * PROFILE_BYTES, `${shown} MiB`)
    assert.ok(Math.max(...seen) <= MEMORY_BYTES_MAX, `${shown} MiB`)
    assert.ok(privateBytes(edge) <= WORKERD_PRIVATE_BYTES_MAX, `${privateBytes(edge)} private bytes`)
    await edge.stop()
  })
}
