/**
 * Two versions side by side, as during an upgrade: every service in a process of its own; each call between them is, in
 * turn, one of a newer version (fields nobody here knows, in requests and answers) and one of an older (without the fields
 * that came later); over a schema that a newer program has expanded. Push, query and compaction work all the same.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRegistry } from '@bufbuild/protobuf'
import { join } from 'node:path'
import { file_cinder_v1_jobs } from '#platform/gen/cinder/v1/jobs_pb.ts'
import { file_cinder_v1_metastore, PollJobsRequestSchema } from '#platform/gen/cinder/v1/metastore_pb.ts'
import { file_cinder_v1_query_backend } from '#platform/gen/cinder/v1/query_backend_pb.ts'
import { file_cinder_v1_recovery } from '#platform/gen/cinder/v1/recovery_pb.ts'
import { file_cinder_v1_segment_writer } from '#platform/gen/cinder/v1/segment_writer_pb.ts'
import { file_cinder_v1_status } from '#platform/gen/cinder/v1/status_pb.ts'
import { file_cinder_v1_tenants } from '#platform/gen/cinder/v1/tenants_pb.ts'
import { file_push_v1_push } from '#platform/gen/push/v1/push_pb.ts'
import { file_querier_v1_querier } from '#platform/gen/querier/v1/querier_pb.ts'
import { migrate, readMigrations } from '#db/migrate.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Program, startProgram, waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askMetadata, askTotal, pushOne, sendTo } from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT } from '../support/server-process.ts'
import { withExpansion } from '../support/next-schema.ts'
import { startFakeS3 } from '../support/servers/fake-s3.ts'
import { startVersionProxy, translate, type VersionProxy } from '../support/version-proxy.ts'

const registry = createRegistry(
  file_cinder_v1_jobs,
  file_cinder_v1_metastore,
  file_cinder_v1_query_backend,
  file_cinder_v1_recovery,
  file_cinder_v1_segment_writer,
  file_cinder_v1_status,
  file_cinder_v1_tenants,
  file_push_v1_push,
  file_querier_v1_querier,
)
const dataDir = await makeDataDir()
const s3 = await startFakeS3()
const programs: Program[] = []
const proxies: VersionProxy[] = []
const urls = new Map<string, string>()
let database: TestDatabase

async function start(name: string, settings: Readonly<Record<string, string>>): Promise<string> {
  const command = [process.execPath, join(ROOT, 'apps', name, 'main.ts')] as const
  const program = startProgram({ command: [...command], cwd: dataDir, env: cleanEnv(settings) })
  programs.push(program)
  const url = (await program.waitFor(new RegExp(`"event":"${name} ready","url":"([^"]+)"`)))[1]!
  urls.set(name, url)
  const proxy = await startVersionProxy(url, registry)
  proxies.push(proxy)
  return proxy.url
}

before(async () => {
  database = await withDatabase()
  const migrations = withExpansion(readMigrations())
  assert.deepEqual(await migrate(database.sql, migrations), [migrations.length])
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  const storage = { ...keys, STORAGE_URL: `s3://bucket/versions?endpoint=${s3.url}` }
  const metastore = { METASTORE_URL: await start('metastore', database.env) }
  const writer = await start('segment-writer', { ...metastore, ...storage })
  const backend = await start('query-backend', storage)
  await start('compaction-worker', { ...metastore, ...storage })
  await start('distributor', { WRITER_URL: writer })
  await start('query-frontend', { ...metastore, QUERY_BACKEND_URL: backend })
})
after(async () => {
  for (const program of programs) program.kill('SIGKILL')
  for (const program of programs) await program.exited
  for (const proxy of proxies) proxy.close()
  await database.close()
})

test('the proxy makes what it says: unknown fields at every depth, later fields gone', () => {
  const bytes = translate(PollJobsRequestSchema, Uint8Array.of(), 'newer')
  assert.deepEqual([...bytes.subarray(-3)], [110, 101, 119])
  // field 7 (worker) with an address
  const withWorker = Uint8Array.of(58, 3, 10, 1, 97)
  assert.equal(translate(PollJobsRequestSchema, withWorker, 'older').length, 0)
  assert.ok(translate(PollJobsRequestSchema, withWorker, 'newer').length > withWorker.length + 10)
})

test('push, query and compaction between services of two versions, over a schema that is ahead', async () => {
  const send = sendTo(urls.get('distributor')!)
  const ask = sendTo(urls.get('query-frontend')!)
  const committed = async () => {
    const response = await fetch(`${urls.get('compaction-worker')}/status`)
    return ((await response.json()) as { committed: number }).committed
  }
  let sum = 0n
  const values = [1, 2, 4, 8, 16, 32]
  for (const [i, value] of values.entries()) {
    const timeNanos = BigInt(Date.now() - 1_000 * (i + 1)) * 1_000_000n
    await pushOne(send, 'mixed', buildPprof({ timeNanos, samples: [{ stack: [`leaf${i}`, 'main'], values: [value] }] }))
    sum += BigInt(value)
    assert.equal(await askTotal(ask, 'mixed'), sum)
  }
  await waitUntil('what was pushed is compacted', async () => (await committed()) > 0)
  assert.equal(await askTotal(ask, 'mixed'), sum)
  assert.deepEqual(await askMetadata(ask, 'LabelValues', { name: 'service_name' }), { names: ['mixed'] })
  const seen = new Set(proxies.flatMap((proxy) => [...proxy.seen.keys()]))
  for (const call of ['CommitSegment', 'PollJobs', 'PlanQuery', 'Write']) {
    for (const version of ['newer', 'older'])
      assert.ok(seen.has(`${version} ${call}`), `${version} ${call} of ${[...seen]}`)
  }
})

test('every method of every service takes JSON of a newer version as it takes its own', async () => {
  let compared = 0
  for (const url of urls.values()) {
    for (const each of registry) {
      if (each.kind !== 'service') continue
      for (const method of each.methods) {
        if (method.methodKind !== 'unary') continue
        const call = (body: unknown): Promise<Response> =>
          fetch(`${url}/${each.typeName}/${method.name}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          })
        const own = await call({})
        if (own.status === 404) continue
        const newer = await call({ fromTheFuture: { a: [1, 'x', null] }, another: true })
        assert.equal(newer.status, own.status, `${method.name} of ${each.typeName}: ${await newer.text()}`)
        compared++
      }
    }
  }
  assert.ok(compared > 30, `${compared} methods`)
})
