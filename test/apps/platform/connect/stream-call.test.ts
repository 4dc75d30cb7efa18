/** A plan in parts: over Connect it is the plan in one piece, and a stream that breaks never looks whole. */
import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { Metastore, PlanQueryResponse, SourceObject } from '#core/rpc/metastore.ts'
import { streamPlan } from '#db/sql/plan-query.ts'
import { createCodec } from '#platform/codec.ts'
import { createMetastoreClient, mountMetastore } from '#platform/connect/services.ts'
import { createStreamCall } from '#platform/connect/stream-call.ts'
import { MetastoreService } from '#platform/gen/cinder/v1/metastore_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { HOUR_MS, makeDescriptor, makeOutput, makeSegment } from '../../../support/metastore-requests.ts'
import { createSqlMetastore, type SqlMetastore } from '../../../support/sql-metastore.ts'

const options = {
  bodyLimitBytes: 1 << 20,
  compression: codecCompression(createCodec()),
  log: { info() {}, warn() {}, error() {} },
}
const REQUEST = { tenants: ['anonymous'], services: [], startMs: HOUR_MS - 1, endMs: HOUR_MS + 7_200_000 }

type Sent = (response: Response) => Response | Promise<Response>

/** `spoil` stands between server and client. */
function clientOf(metastore: Pick<Metastore, 'planQuery' | 'streamPlan'>, spoil: Sent = (response) => response) {
  const app = new Hono()
  mountMetastore(app, metastore as Metastore, options)
  const asked: string[] = []
  const client = createMetastoreClient('http://metastore', {
    fetch: async (url, init) => {
      asked.push(new URL(url).pathname)
      return await spoil(await app.fetch(new Request(url, init)))
    },
  })
  return { client, asked }
}

const objectOf = (objectId: string, indexes: readonly number[]): SourceObject => ({
  objectId,
  level: 1,
  sizeBytes: 5_000,
  datasets: indexes.map((index) => ({ descriptor: makeDescriptor(index, { profileCount: 1 }), skip: [index] })),
})

async function* partsOf(parts: readonly SourceObject[][], end?: Error): AsyncGenerator<PlanQueryResponse> {
  for (const objects of parts) yield { objects }
  if (end !== undefined) throw end
}

const never = () => Promise.reject(new Error('not in one piece'))

test('a plan that is too large to hold is refused while it comes', async () => {
  let sent = 0
  async function* endless(): AsyncGenerator<PlanQueryResponse> {
    for (;;) {
      sent++
      yield {
        objects: [
          objectOf(
            `o${sent}`,
            Array.from({ length: 10_000 }, (_, i) => i),
          ),
        ],
      }
    }
  }
  const { client } = clientOf({ planQuery: never, streamPlan: endless })
  await assert.rejects(client.planQuery(REQUEST), (error: CinderError) => {
    return error.kind === 'invalid_argument' && /has 210000 datasets or more, 200000 are allowed/.test(error.message)
  })
  assert.ok(sent < 50, `${sent} parts were made`)
})

test('objects that were cut are whole again, in order, whatever the network cuts', async () => {
  const parts = [[objectOf('b', [2, 3]), objectOf('c', [0])], [objectOf('a', [1])], [objectOf('b', [0, 1])]]
  const metastore = { planQuery: never, streamPlan: () => partsOf(parts) }
  const whole = { objects: [objectOf('a', [1]), objectOf('b', [0, 1, 2, 3]), objectOf('c', [0])] }
  for (const chunkBytes of [1, 7, 1_000_000]) {
    const { client } = clientOf(metastore, (response) => rechunked(response, chunkBytes))
    assert.deepEqual(JSON.parse(JSON.stringify(await client.planQuery(REQUEST), dropTypes)), whole)
  }
})

test('a large part in many chunks is copied once, not once a chunk', async () => {
  const object = objectOf(
    'a',
    Array.from({ length: 5_000 }, (_, i) => i),
  )
  const metastore = { planQuery: never, streamPlan: () => partsOf([[object], [object]]) }
  let bodyBytes = 0
  const { client } = clientOf(metastore, async (response) => {
    bodyBytes = (await response.clone().arrayBuffer()).byteLength
    return await rechunked(response, 64)
  })
  const { set } = Uint8Array.prototype
  let copiedBytes = 0
  const spied = mock.method(Uint8Array.prototype, 'set', function (this: Uint8Array, ...args: [Uint8Array, number]) {
    copiedBytes += args[0].length
    set.apply(this, args)
  })
  const { objects } = await client.planQuery(REQUEST).finally(() => spied.mock.restore())
  assert.equal(objects[0]!.datasets.length, 10_000)
  assert.ok(bodyBytes > 100_000, `${bodyBytes} bytes`)
  // Once on the way out, once on the way in, and what is left behind a part.
  assert.ok(copiedBytes < 5 * bodyBytes, `${copiedBytes} bytes copied for ${bodyBytes}`)
})

test('nothing planned is a plan', async () => {
  const { client } = clientOf({ planQuery: never, streamPlan: () => partsOf([]) })
  assert.deepEqual(await client.planQuery(REQUEST), { objects: [] })
})

test('an error after the first part is that error', async () => {
  const end = new CinderError('unavailable', 'the database went away', { reason: 'metastore_database' })
  const { client } = clientOf({ planQuery: never, streamPlan: () => partsOf([[objectOf('a', [0])]], end) })
  await assert.rejects(client.planQuery(REQUEST), (error: CinderError) => {
    return error.kind === 'unavailable' && error.reason === 'metastore_database' && /went away/.test(error.message)
  })
})

test('a stream that is cut is an error that may be retried', async () => {
  const metastore = { planQuery: never, streamPlan: () => partsOf([[objectOf('a', [0])], [objectOf('b', [0])]]) }
  const full = await clientOf(metastore)
    .client.planQuery(REQUEST)
    .then(() => true)
  assert.ok(full)
  for (const keptBytes of [0, 3, 20, 100]) {
    const { client } = clientOf(metastore, async (response) => {
      const bytes = new Uint8Array(await response.arrayBuffer())
      return new Response(bytes.slice(0, keptBytes), { status: 200, headers: response.headers })
    })
    await assert.rejects(client.planQuery(REQUEST), { kind: 'unavailable' }, `${keptBytes} bytes`)
  }
})

test('a metastore that knows no parts is asked for the whole', async () => {
  const { client, asked } = clientOf({ planQuery: async () => ({ objects: [objectOf('a', [0])] }) }, (response) =>
    asked.at(-1)!.endsWith('/StreamPlan') ? new Response('404 Not Found', { status: 404 }) : response,
  )
  assert.equal((await client.planQuery(REQUEST)).objects[0]!.objectId, 'a')
  assert.deepEqual(
    asked.map((path) => path.split('/').at(-1)),
    ['StreamPlan', 'PlanQuery'],
  )
})

test("a refused internal token is our outage, as it is of every other call, and nobody else's", async () => {
  const refused = () => new Response('{}', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
  const { client } = clientOf({ planQuery: never, streamPlan: () => partsOf([]) }, refused)
  await assert.rejects(client.planQuery(REQUEST), { kind: 'unavailable', reason: 'internal_token' })
})

const broken = (status: number) =>
  new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) }), { status })

test('a refusal that is cut may be retried', async () => {
  const { client } = clientOf({ planQuery: never, streamPlan: () => partsOf([]) }, () => broken(503))
  await assert.rejects(client.planQuery(REQUEST), { kind: 'unavailable' })
})

test('a caller who gives up is told so', async () => {
  for (const status of [200, 503]) {
    const cancel = new AbortController()
    const call = createStreamCall('http://metastore', {
      fetch: async () => {
        cancel.abort()
        return broken(status)
      },
    })
    const parts = call(MetastoreService.method.streamPlan, {}, { signal: cancel.signal })
    await assert.rejects(parts.next(), { kind: 'canceled' })
  }
})

let harness: SqlMetastore
before(async () => {
  harness = await createSqlMetastore()
})
after(() => harness.close())

test('from Postgres: parts of 500 rows, together the plan in one piece, and the connection is free after', async () => {
  const { metastore, database } = harness
  const services = Array.from({ length: 700 }, (_, n) => ({ service: `s${n}`, profiles: [n] }))
  await metastore.commitSegment(makeSegment('first', services))
  await harness.plan()
  const poll = { workerId: 'w', capacity: 1, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await metastore.pollJobs(poll)
  const { jobId, epoch } = jobs[0]!
  await metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs: [makeOutput('merged', services)] })
  await metastore.commitSegment(makeSegment('second', [{ profiles: [9_000] }]))

  const one = database.connect({ maxConnections: 1 })
  const sizes: number[] = []
  for await (const objects of streamPlan(one, REQUEST)) {
    sizes.push(objects.reduce((sum, { datasets }) => sum + datasets.length, 0))
  }
  assert.deepEqual(
    sizes.toSorted((a, b) => b - a),
    [500, 201],
  )
  for await (const _ of streamPlan(one, REQUEST)) break
  assert.equal((await one`select 1 as one`)[0]!.one, 1)

  const { client } = clientOf(metastore)
  const whole = await metastore.planQuery(REQUEST)
  assert.equal(whole.objects.length, 2)
  assert.deepEqual(JSON.parse(JSON.stringify(await client.planQuery(REQUEST), dropTypes)), whole)
})

function dropTypes(name: string, value: unknown): unknown {
  return name === '$typeName' ? undefined : value
}

async function rechunked(response: Response, chunkBytes: number): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer())
  let at = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + chunkBytes))
      at += chunkBytes
    },
  })
  return new Response(body, { status: response.status, headers: response.headers })
}
