/** Polls of workers that do not wait for the answer any more: nothing is given out to them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import type { Metastore, PollJobsRequest } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { createMetastoreClient, mountMetastore } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { untilBlocked } from '../../support/blocked-statement.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

let harness: SqlMetastore
before(async () => {
  harness = await createSqlMetastore()
})
after(() => harness.close())

const pollOf = (workerId: string, waitMs = 0): PollJobsRequest => ({
  workerId,
  capacity: 4,
  running: [],
  failed: [],
  released: [],
  waitMs,
})

const jobRows = () => harness.database.sql<{ state: string; holder: string | null; failures: number }[]>`
  select state, holder, failures from jobs order by id`

async function makeJob(objectId: string, profile: number): Promise<void> {
  await harness.metastore.commitSegment(makeSegment(objectId, [{ profiles: [profile] }]))
  await harness.plan()
}

test('a poll ends when its caller leaves; the next job is for others', async () => {
  const left = new AbortController()
  const waiting = harness.metastore.pollJobs(pollOf('dead', 30_000), { signal: left.signal })
  left.abort()
  assert.deepEqual(await waiting, { jobs: [], lost: [] })
  await makeJob('a', 1)
  const { jobs } = await harness.metastore.pollJobs(pollOf('alive'))
  assert.equal(jobs.length, 1)
  await harness.database.sql`delete from jobs`
})

test('what is claimed for a caller that has left goes back at once, and is no failure', async () => {
  await makeJob('b', 2)
  const left = new AbortController()
  let answer: ReturnType<Metastore['pollJobs']> | undefined
  await harness.database.connect({ maxConnections: 1 }).begin(async (tx) => {
    await tx`lock table jobs in access exclusive mode`
    answer = harness.metastore.pollJobs(pollOf('dead'), { signal: left.signal })
    await untilBlocked(harness.database.sql)
    left.abort()
  })
  assert.deepEqual(await answer, { jobs: [], lost: [] })
  assert.deepEqual([...(await jobRows())], [{ state: 'queued', holder: null, failures: 0 }])
  const { jobs } = await harness.metastore.pollJobs(pollOf('alive'))
  assert.equal(jobs[0]!.epoch, 2, 'it was given out, and given back')
})

test('a connection that breaks is a caller that leaves', async () => {
  const asked = Promise.withResolvers<AbortSignal>()
  const left = Promise.withResolvers<void>()
  const metastore = {
    async pollJobs(_: PollJobsRequest, { signal }: { signal?: AbortSignal } = {}) {
      asked.resolve(signal!)
      signal!.addEventListener('abort', () => left.resolve())
      await left.promise
      return { jobs: [], lost: [] }
    },
  } as unknown as Metastore
  const app = new Hono()
  const log = createSilentLog()
  mountMetastore(app, metastore, { bodyLimitBytes: 1 << 20, compression: codecCompression(createCodec()), log })
  const listener = serveHttp({ name: 'metastore', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 1 << 20 })
  const killed = new AbortController()
  const poll = createMetastoreClient(listener.url).pollJobs(pollOf('w', 30_000), { signal: killed.signal })
  assert.equal((await asked.promise).aborted, false)
  killed.abort()
  await assert.rejects(poll)
  await left.promise
  await listener.stop()
})
