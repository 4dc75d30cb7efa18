/** JobService over Connect: what is sent arrives, in protobuf by our client and in JSON by anybody's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { JobDetail, JobService, JobSummary } from '#core/rpc/jobs.ts'
import { createCodec } from '#platform/codec.ts'
import { createJobClient, mountJobs } from '#platform/connect/job-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

const JOB: JobSummary = {
  jobId: '9007199254740993',
  state: 'parked',
  level: 5,
  tenants: ['a', 'b'],
  sizeBytes: 2 ** 40,
  sourceCount: 2,
  datasetCount: 3,
  failures: 3,
  epoch: 2 ** 50,
  holder: '',
  progress: 0.5,
  reason: 'frame is corrupt',
  failureKind: 'corrupt-source',
  parentId: '7',
  createdMs: 1,
  notBeforeMs: 2,
  startedMs: 3,
  expiresMs: 4,
  finishedMs: 0,
}
const DETAIL: JobDetail = {
  job: JOB,
  sources: [{ objectId: 'o', level: 1, index: 2, tenant: 'a', service: 's', windowStartMs: 2 ** 41, sizeBytes: 9 }],
  failures: [{ failedMs: 5, holder: 'w', epoch: 6, kind: 'error', reason: 'r', isInherited: true }],
}
const MARK = { objectId: 'o', tenant: 'a', index: -1, reason: 'r', markedMs: 8 }
const SWITCH = { tenant: 'a', isEnabled: false, reason: 'r', changedMs: 9 }
const WORKER = {
  workerId: 'w',
  address: 'h:1',
  version: '1',
  threads: 2,
  capacity: 3,
  running: 1,
  budgetBytes: 2 ** 35,
  usedBytes: 4,
  firstSeenMs: 5,
  seenMs: 6,
  isLive: true,
}

function startService() {
  const received: unknown[] = []
  const answering =
    <T>(answer: T) =>
    async (request: unknown = {}): Promise<T> => {
      received.push(
        JSON.parse(JSON.stringify(request, (key, value: unknown) => (key === '$typeName' ? undefined : value))),
      )
      return answer
    }
  const service: JobService = {
    listJobs: answering({ jobs: [JOB], nextPageToken: 't' }),
    getJob: answering(DETAIL),
    retryJob: answering(JOB),
    async parkJob() {
      throw new CinderError('failed_precondition', 'job 7 is done')
    },
    setMark: answering(MARK),
    clearMark: answering({ isCleared: true }),
    listMarks: answering({ marks: [MARK], nextPageToken: '' }),
    setTenantCompaction: answering(SWITCH),
    listTenantCompaction: answering({ tenants: [SWITCH] }),
    listWorkers: answering({ workers: [WORKER] }),
  }
  const app = new Hono()
  const options = { bodyLimitBytes: 100_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  mountJobs(app, service, options)
  return { app, received }
}

const plain = (message: unknown) =>
  JSON.parse(JSON.stringify(message, (key, value: unknown) => (key === '$typeName' ? undefined : value))) as unknown

test('every call arrives as sent and is answered as given', async () => {
  const { app, received } = startService()
  const client = createJobClient('http://jobs', { fetch: async (url, init) => await app.request(url, init) })
  const list = { states: ['parked'], tenant: 'a', level: 5, pageSize: 10, pageToken: '9' }
  const mark = { objectId: 'o', tenant: 'a', index: -1 }
  const marks = { tenant: '', pageSize: 1, pageToken: '["o","a",-1]' }
  const change = { tenant: 'a', isEnabled: false, reason: 'r' }
  assert.deepEqual(plain(await client.listJobs(list)), { jobs: [JOB], nextPageToken: 't' })
  assert.deepEqual(plain(await client.getJob({ jobId: '7' })), DETAIL)
  assert.deepEqual(plain(await client.retryJob({ jobId: '8' })), JOB)
  assert.deepEqual(plain(await client.setMark({ ...mark, reason: 'r' })), MARK)
  assert.deepEqual(plain(await client.clearMark(mark)), { isCleared: true })
  assert.deepEqual(plain(await client.listMarks(marks)), { marks: [MARK], nextPageToken: '' })
  assert.deepEqual(plain(await client.setTenantCompaction(change)), SWITCH)
  assert.deepEqual(plain(await client.listTenantCompaction()), { tenants: [SWITCH] })
  assert.deepEqual(plain(await client.listWorkers()), { workers: [WORKER] })
  const expected = [list, { jobId: '7' }, { jobId: '8' }, { ...mark, reason: 'r' }, mark, marks, change, {}, {}]
  assert.deepEqual(received, expected)
  await assert.rejects(client.parkJob({ jobId: '7', reason: 'r' }), {
    kind: 'failed_precondition',
    message: /job 7 is done/,
  })
})

test('JSON as curl sends it: absent fields mean nothing in particular', async () => {
  const { app, received } = startService()
  const ask = async (method: string, body: object) => {
    const headers = { 'Content-Type': 'application/json' }
    return await app.request(`/cinder.v1.JobService/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })
  }
  const response = await ask('ListJobs', {})
  assert.equal(response.status, 200)
  const answer = (await response.json()) as { jobs: { jobId: string; sizeBytes: number }[] }
  assert.deepEqual([answer.jobs[0]!.jobId, answer.jobs[0]!.sizeBytes], [JOB.jobId, JOB.sizeBytes])
  assert.deepEqual(received, [{ states: [], tenant: '', level: 0, pageSize: 0, pageToken: '' }])
  assert.equal((await ask('ParkJob', { jobId: '7' })).status, 400)
})
