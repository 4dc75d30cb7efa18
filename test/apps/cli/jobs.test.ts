/** `cinder jobs`, `cinder marks` and `cinder compaction` against the real service over a real database. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createCodec } from '#platform/codec.ts'
import { mountJobs } from '#platform/connect/job-service.ts'
import { createJobService } from '../../../apps/metastore/job-service.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'
import { cinder } from './cli-support.ts'

let harness: SqlMetastore
let server: ReturnType<typeof Bun.serve>
let jobId = ''

before(async () => {
  harness = await createSqlMetastore()
  const app = new Hono()
  const jobs = createJobService({ sql: harness.database.sql, settings: harness.settings })
  const compression = codecCompression(createCodec())
  mountJobs(app, jobs, { bodyLimitBytes: 1_000_000, compression, log: createSilentLog() })
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
  await harness.metastore.commitSegment(
    makeSegment('01JD8ZQ4T6M3B5X9W2R1C0V87K', [
      { tenant: 'acme', service: 'shop', profiles: [1] },
      { tenant: 'evil\u001b[2J', service: 'x', profiles: [2] },
    ]),
  )
  await harness.plan()
})
after(async () => {
  await server.stop(true)
  await harness.close()
})

const run = (...argv: string[]) => cinder([...argv.slice(0, 2), '--url', server.url.href, ...argv.slice(2)])
const json = async (...argv: string[]) => JSON.parse((await run(...argv, '--json')).out) as Record<string, unknown>
const poll = (more: object = {}) =>
  harness.metastore.pollJobs({
    workerId: 'w-1',
    capacity: 1,
    running: [],
    failed: [],
    released: [],
    waitMs: 0,
    ...more,
  })

test('jobs are listed, as a table without control characters and as JSON', async () => {
  const { out, code } = await run('jobs', 'list')
  assert.equal(code, 0)
  assert.match(out, /^ *job +state +level +size +datasets +failures +tenants +created/)
  assert.match(out, /\n *\d+ +queued +1 +2\.02 KiB +2 +0 +acme, evil\?\[2J +20\d\d-/)
  const [job] = (await json('jobs', 'list', '--state', 'queued', '--tenant', 'acme')) as unknown as [{ jobId: string }]
  jobId = job.jobId
  assert.deepEqual(await json('jobs', 'list', '--level', '7'), [])
  assert.equal((await run('jobs', 'list', '--state', 'done')).err, 'no jobs')
})

test('a job that failed shows its sources and its history', async () => {
  const [job] = (await poll()).jobs
  const failed = [{ jobId, epoch: job!.epoch, reason: 'frame 7 is corrupt', kind: 'corrupt-source' }]
  await poll({ failed, capacity: 0 })
  const { out } = await run('jobs', 'show', jobId)
  assert.match(out, /\nstate +queued\n/)
  assert.match(out, /\n01JD8ZQ4T6M3B5X9W2R1C0V87K +0 +1 +1000 B +evil\?\[2J +x +20/)
  assert.match(out, /\n20\S+ \S+ +w-1 +corrupt-source +frame 7 is corrupt$/)
  const detail = await json('jobs', 'show', jobId)
  assert.equal((detail['sources'] as unknown[]).length, 2)
  assert.equal((detail['failures'] as { kind: string }[])[0]!.kind, 'corrupt-source')
})

test('a job is parked with a reason, listed as parked, and retried', async () => {
  assert.deepEqual(
    [(await run('jobs', 'park', jobId)).code, (await run('jobs', 'park', jobId)).err],
    [2, 'cinder: flag --reason is missing: whoever finds the job in a year asks why'],
  )
  assert.equal((await run('jobs', 'park', jobId, '--reason', 'kills workers')).out, `job ${jobId} is parked`)
  assert.match((await run('jobs', 'list', '--state', 'parked')).out, /parked .* kills workers$/)
  const twice = await run('jobs', 'park', jobId, '--reason', 'again')
  assert.equal(twice.code, 1)
  assert.match(twice.err, /job \d+ is parked; only a job that is queued or running can be parked/)
  assert.equal((await run('jobs', 'retry', jobId)).out, `job ${jobId} is queued`)
  assert.match((await run('jobs', 'retry', '99999')).err, /there is no job 99999/)
  assert.match((await run('jobs', 'show', 'seven')).err, /job id is "seven"; allowed: a number/)
  assert.equal((await run('jobs', 'list', '--limit', '-1')).code, 2)
})

test('workers are shown with what they said', async () => {
  const worker = { address: 'h:1', version: '9', threads: 2, capacity: 4, budgetBytes: 2 ** 30, usedBytes: 2 ** 20 }
  await poll({ capacity: 0, worker })
  assert.match((await run('jobs', 'workers')).out, /\nw-1 +h:1 +9 +0 of 4 +1 MiB of 1 GiB +20/)
  assert.equal(((await json('jobs', 'workers')) as unknown as unknown[]).length, 1)
})

test('a mark is set, listed and cleared', async () => {
  const object = '01JD8ZQ4T6M3B5X9W2R1C0V87K'
  assert.equal((await run('marks', 'list')).err, 'no marks')
  const set = await run('marks', 'set', 'acme', object, '--dataset', '0', '--reason', 'odd stacks')
  assert.equal(set.out, `dataset 0 of acme in ${object} is left alone`)
  assert.match((await run('marks', 'list', '--of', 'acme')).out, new RegExp(`\\nacme +${object} +0 +20.* odd stacks$`))
  assert.match(
    (await run('marks', 'set', 'acme', object, '--dataset', '1', '--reason', 'x')).err,
    /has no dataset 1 in/,
  )
  assert.equal((await run('marks', 'set', 'acme', object, '--dataset', 'one', '--reason', 'x')).code, 2)
  assert.equal((await run('marks', 'clear', 'acme', object)).out, `everything of acme in ${object} had no such mark`)
  assert.deepEqual(await json('marks', 'clear', 'acme', object, '--dataset', '0'), { isCleared: true })
})

test('the compaction of a tenant is switched off and on', async () => {
  assert.equal((await run('compaction', 'list')).err, 'no tenant is switched: the policy decides')
  assert.equal((await run('compaction', 'off', 'acme')).code, 2)
  assert.equal((await run('compaction', 'off', 'acme', '--reason', 'by contract')).out, 'compaction of acme is off')
  assert.match((await run('compaction', 'list')).out, /\nacme +off +20.* by contract$/)
  assert.equal((await run('compaction', 'on', 'acme')).out, 'compaction of acme is on')
  assert.equal(((await json('compaction', 'list')) as unknown as { isEnabled: boolean }[])[0]!.isEnabled, true)
})
