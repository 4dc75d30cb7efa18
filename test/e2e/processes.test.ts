/**
 * Every service in a process of its own, by its own main.ts, on loopback over one Postgres and one S3 bucket (local files
 * serve one process): push, query and compaction work, and a service that is killed and started again costs retries, not data.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Program, startProgram, waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import {
  askFlameGraph,
  askMetadata,
  askSeries,
  askTotal,
  expectOk,
  ingest,
  push,
  pushOne,
  SAMPLES,
  type Send,
  sendTo,
} from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT } from '../support/server-process.ts'
import { startFakeS3 } from '../support/servers/fake-s3.ts'
import { restampPprof } from '../support/restamp.ts'

interface Service {
  readonly app: string
  readonly url: string
  readonly program: Program
  readonly settings: Readonly<Record<string, string>>
}

const dataDir = await makeDataDir()
const s3 = await startFakeS3()
const running = new Map<string, Service>()
let database: TestDatabase

async function start(app: string, settings: Readonly<Record<string, string>>, name = app): Promise<Service> {
  const command = [process.execPath, join(ROOT, 'apps', app, 'main.ts')] as const
  const program = startProgram({ command: [...command], cwd: dataDir, env: cleanEnv(settings) })
  const url = (await program.waitFor(new RegExp(`"event":"${app} ready","url":"([^"]+)"`)))[1]!
  const service = { app, url, program, settings }
  running.set(name, service)
  return service
}

function serviceOf(name: string): Service {
  return running.get(name)!
}

/** kill -9, then the same service at the same address. */
async function killService(name: string): Promise<() => Promise<Service>> {
  const { app, program, settings, url } = serviceOf(name)
  program.kill('SIGKILL')
  await program.exited
  return () => start(app, { ...settings, PORT: new URL(url).port }, name)
}

before(async () => {
  database = await withDatabase()
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  const storage = { ...keys, STORAGE_URL: `s3://bucket/e2e?endpoint=${s3.url}` }
  const metastore = { METASTORE_URL: (await start('metastore', database.env)).url }
  const writer = await start('segment-writer', { ...metastore, ...storage })
  const backends = await Promise.all([
    start('query-backend', storage),
    start('query-backend', storage, 'second query-backend'),
  ])
  await start('compaction-worker', { ...metastore, ...storage })
  await Promise.all([
    start('distributor', { WRITER_URL: writer.url }),
    start('query-frontend', { ...metastore, QUERY_BACKEND_URL: backends.map(({ url }) => url).join(',') }),
  ])
})

const toDistributor: Send = (path, init) => sendTo(serviceOf('distributor').url)(path, init)
const toFrontend: Send = (path, init) => sendTo(serviceOf('query-frontend').url)(path, init)

let made = 0

function makeProfile(value: number): Uint8Array {
  made++
  const timeNanos = BigInt(Date.now() - 1_000 * made) * 1_000_000n
  return buildPprof({ timeNanos, samples: [{ stack: [`leaf${made}`, 'main'], values: [value] }] })
}

async function committedJobs(): Promise<number> {
  const response = await fetch(`${serviceOf('compaction-worker').url}/status`)
  return ((await response.json()) as { committed: number }).committed
}

test('push, query and compaction over processes on loopback', async () => {
  const recorded = readFileSync(join(ROOT, 'test/fixtures/profiles/go-agent/cpu.pprof.gz'))
  const seconds = Math.floor(Date.now() / 1000)
  const profile = restampPprof(recorded, (seconds - 10) * 1000)
  const query = { name: 'shop{region=north}', from: String(seconds - 10), until: String(seconds), spyName: 'gospy' }
  for (let attempt = 0; attempt < 2; attempt++) await expectOk(ingest(toDistributor, query, profile))
  for (const value of [1, 2, 4]) await pushOne(toDistributor, 'small', makeProfile(value))

  const ask = async () => ({
    graph: await askFlameGraph(toFrontend, {
      profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
      labelSelector: '{service_name="shop"}',
    }),
    small: await askTotal(toFrontend, 'small'),
    services: await askMetadata(toFrontend, 'LabelValues', { name: 'service_name' }),
    types: await askMetadata(toFrontend, 'ProfileTypes'),
    labels: await askMetadata(toFrontend, 'Series', { labelNames: ['service_name', 'region'] }),
  })
  const answers = await ask()
  assert.ok(answers.graph.total > 0n)
  assert.equal(answers.small, 7n)
  assert.deepEqual(answers.services, { names: ['shop', 'small'] })
  const question = { profileTypeID: SAMPLES, labelSelector: '{service_name="small"}', step: 15 }
  const points = (await askSeries(toFrontend, question)).flatMap((series) => series.points)
  assert.equal(
    points.reduce((sum, { value }) => sum + value, 0),
    7,
  )

  await waitUntil('what was pushed is compacted', async () => (await committedJobs()) > 0)
  assert.deepEqual(await ask(), answers)
})

test('a bad profile is the fault of the client through all processes', async () => {
  const labels = { __name__: 'process_cpu', service_name: 'bad' }
  const response = await push(toDistributor, [{ labels, profiles: [new TextEncoder().encode('no pprof')] }])
  assert.equal(response.status, 400)
  assert.equal(((await response.json()) as { code: string }).code, 'invalid_argument')
})

test('what became of pushes is explained by another process, and what was used is counted', async () => {
  const explained = async (service: string) => {
    const response = await expectOk(toFrontend(`/api/v1/ingest/explain?service=${service}`))
    return (response as { total: { stored: number; duplicate: number; refused: unknown[] } }).total
  }
  await waitUntil('the counts are recorded', async () => (await explained('bad')).refused.length > 0)
  const [refused] = (await explained('bad')).refused as { reason: string; profiles: number; message: string }[]
  assert.equal(refused!.profiles, 1)
  assert.notEqual(refused!.reason, '')
  assert.notEqual(refused!.message, '')
  const shop = await explained('shop')
  assert.deepEqual([shop.stored, shop.duplicate, shop.refused], [1, 1, []])
  const usage = (await expectOk(toFrontend('/api/v1/usage'))) as {
    received: { profiles: number; bytesIn: number }
    stored: { profiles: number; bytes: number }
  }
  assert.equal(usage.received.profiles, 4)
  assert.ok(usage.received.bytesIn > 0 && usage.stored.bytes > 0)
  // One of them is split by the labels of its samples.
  assert.ok(usage.stored.profiles >= 4)
})

for (const name of ['segment-writer', 'metastore']) {
  test(`${name} killed: a push may be sent again, and counts once when it is back`, async () => {
    const service = `after-${name}`
    const profile = makeProfile(3)
    await pushOne(toDistributor, service, makeProfile(5))
    const restart = await killService(name)
    const labels = { __name__: 'process_cpu', service_name: service }
    const refused = await push(toDistributor, [{ labels, profiles: [profile] }])
    assert.equal(refused.status, 503, await refused.text())
    await restart()
    for (let attempt = 0; attempt < 2; attempt++) await pushOne(toDistributor, service, profile)
    assert.equal(await askTotal(toFrontend, service), 8n)
  })
}

test('a query-backend that is killed is not noticed, and with both gone the answer is to come back (H73)', async () => {
  const restarts = []
  for (const name of ['query-backend', 'second query-backend']) {
    restarts.push(await killService(name))
    if (restarts.length === 2) break
    for (let i = 0; i < 3; i++) assert.equal(await askTotal(toFrontend, 'small'), 7n)
  }
  await assert.rejects(askTotal(toFrontend, 'small'), /unavailable/)
  await Promise.all(restarts.map((restart) => restart()))
  assert.equal(await askTotal(toFrontend, 'small'), 7n)
})

test('all of them end cleanly on SIGTERM', async () => {
  for (const { program } of running.values()) program.kill('SIGTERM')
  for (const [name, { program }] of running) {
    const { code } = await program.exited
    assert.equal(code, 0, `${name}: ${program.output()}`)
  }
  await database.close()
})
