/** The process itself: starts on an empty database, serves the contract by Connect, stops while a worker waits. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { join } from 'node:path'
import { createMetastoreClient } from '#platform/connect/services.ts'
import { HOUR_MS, makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { startProgram, type Program } from '../../support/process.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
let database: TestDatabase
before(async () => {
  database = await withDatabase({ empty: true })
})
after(() => database.close())

/** The data of these requests is of a fixed day. */
function start(env: Record<string, string> = {}): Program {
  const command = [process.execPath, join(ROOT, 'apps/metastore/main.ts')] as const
  return startProgram({
    command,
    cwd: ROOT,
    env: { PATH: process.env.PATH, PORT: '0', CINDER_RETENTION: '0', ...database.env, ...env },
  })
}

test('it migrates, serves, answers a waiting poll when told to stop, and exits with 0', async () => {
  const program = start()
  const [, url] = await program.waitFor(/"url":"(http:[^"]+)"/)
  assert.equal((await fetch(`${url}/ready`)).status, 200)
  const metastore = createMetastoreClient(url!)
  const request = makeSegment('over/the/wire', [{ profiles: [1, 1, 2] }])
  assert.deepEqual(
    (await metastore.commitSegment(request)).skips.map((skip) => [skip.index, [...skip.positions]]),
    [[0, [1]]],
  )
  const plan = await metastore.planQuery({ tenants: ['anonymous'], services: [], startMs: HOUR_MS, endMs: HOUR_MS })
  assert.deepEqual(plan.objects[0]?.datasets[0]?.skip, [1])
  await assert.rejects(metastore.commitSegment({ ...request, datasets: [] }), { kind: 'invalid_argument' })
  const { jobs } = await metastore.pollJobs({
    workerId: 'w',
    capacity: 1,
    running: [],
    failed: [],
    released: [],
    waitMs: 20_000,
  })
  assert.equal(jobs[0]?.sources[0]?.objectId, 'over/the/wire')
  const waiting = metastore.pollJobs({
    workerId: 'v',
    capacity: 1,
    running: [],
    failed: [],
    released: [],
    waitMs: 20_000,
  })
  // The next answer comes after the poll was taken in: both go through one connection pool of one process.
  await metastore.tenantStats({ tenants: ['anonymous'] })
  program.kill('SIGTERM')
  assert.deepEqual((await waiting).jobs, [])
  assert.deepEqual(await program.exited, { code: 0, signal: null })
})

test('a database that is not there is one sentence and exit code 1', async () => {
  const program = start({ DATABASE_URL: 'postgres:///none', PGHOST: '/nonexistent' })
  assert.deepEqual(await program.exited, { code: 1, signal: null })
  assert.match(program.stderr(), /^cinder: connect: .*ENOENT.*\n$/)
})
