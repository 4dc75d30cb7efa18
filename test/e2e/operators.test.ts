/** What operators use, of real programs: pages, JSON, metrics and `cinder status`, also while the database is away. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { StatusReport } from '#core/rpc/status.ts'
import { createSql } from '#db/client.ts'
import { withDatabase } from '../support/postgres.ts'
import { EXIT_DEADLINE_MS, inTime, startProgram, waitUntil } from '../support/process.ts'
import { askTotal, pushOne } from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT, startServer, stopServer } from '../support/server-process.ts'
import { buildPprof } from '../support/profiles.ts'

const TOKEN = 'token-of-operators-0123456789'
const AUTHORIZED = { Authorization: `Bearer ${TOKEN}` }
/** Every answer and every end has a deadline of its own, which says what did not come. */
const ANSWER_MS = 20_000

const ask = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  inTime(fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_MS) }), 2 * ANSWER_MS, url)

async function runCinder(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const command = [process.execPath, join(ROOT, 'apps/cli/main.ts'), ...args] as const
  const program = startProgram({ command: [...command], cwd: ROOT, env: cleanEnv(env) })
  const { code } = await inTime(program.exited, EXIT_DEADLINE_MS, `cinder ${args.join(' ')}`)
  return { code, output: program.output() }
}

test('one server: pages and metrics behind the token, pushes and queries without', async () => {
  const dataDir = await makeDataDir()
  const server = await startServer(dataDir, { settings: { CINDER_INTERNAL_TOKEN: TOKEN } })
  const timeNanos = BigInt(Date.now() - 1_000) * 1_000_000n
  await pushOne(server.send, 'shop', buildPprof({ timeNanos, samples: [{ stack: ['leaf', 'main'], values: [3] }] }))
  assert.equal(await askTotal(server.send, 'shop'), 3n)
  for (const path of ['/status', '/compactor/jobs', '/compactor/ring', '/metrics']) {
    assert.equal((await ask(`${server.url}${path}`)).status, 401, path)
    assert.equal((await ask(`${server.url}${path}`, AUTHORIZED)).status, 200, path)
  }
  const readReport = async () => {
    const response = await ask(`${server.url}/status?format=json`, AUTHORIZED)
    return (await response.json()) as StatusReport
  }
  await waitUntil('the worker of the server is seen, and the first compaction is done', async () => {
    const { workers, tombstones } = await readReport()
    return workers.some(({ isAlive }) => isAlive) && tombstones.queued > 0
  })
  const report = await readReport()
  assert.equal(report.database.state, 'ok')
  assert.deepEqual(report.failed, [])
  assert.equal(report.retentionDefaultMs, 31 * 86_400_000)
  assert.ok(report.leases.some(({ name, isHeld }) => name === 'planning' && isHeld))

  const metrics = await (await ask(`${server.url}/metrics`, AUTHORIZED)).text()
  for (const line of [
    /^pyroscope_distributor_profiles_received_total\{tenant="anonymous"\} 1$/m,
    /^pyroscope_request_duration_seconds_count\{route="\/querier\.v1\.QuerierService\/SelectMergeStacktraces",method="POST",status_code="200"\} 1$/m,
    /^pyroscope_compaction_worker_jobs_completed_total\{level="0",status="success"\} \d+$/m,
    /^cinder_database_up 1$/m,
    /^cinder_store_operations_total\{operation="put",outcome="ok"\} \d+$/m,
    /^cinder_writer_pending_bytes 0$/m,
    /^cinder_worker_memory_budget_bytes \d{6,}$/m,
    /^pyroscope_metastore_compaction_scheduler_queue_completed_jobs_total\{level="0"\} \d+$/m,
    /^pyroscope_distributor_received_samples_sum\{tenant="anonymous"\} 1$/m,
  ]) {
    assert.match(metrics, line)
  }

  const told = await runCinder(['status', '--url', server.url], { CINDER_INTERNAL_TOKEN: TOKEN })
  assert.equal(told.code, 0, told.output)
  assert.match(told.output, /^planning +[0-9a-f-]{36} /m)
  const refused = await runCinder(['status', '--url', server.url], {})
  assert.equal(refused.code, 1)
  assert.match(refused.output, /CINDER_INTERNAL_TOKEN/)
  await stopServer(server, dataDir)
})

test('while the database is away the page says so, and when it is back it says that', async () => {
  const database = await withDatabase()
  const adminUrl = new URL(database.env.DATABASE_URL)
  adminUrl.pathname = '/postgres'
  const admin = createSql({ url: adminUrl.href, maxConnections: 1 })
  after(() => admin.end({ timeout: 2 }))
  const command = [process.execPath, join(ROOT, 'apps/metastore/main.ts')] as const
  const program = startProgram({ command: [...command], cwd: ROOT, env: cleanEnv(database.env) })
  const [, url] = await program.waitFor(/"event":"metastore ready","url":"([^"]+)"/)
  const readReport = async () => (await (await ask(`${url}/status?format=json`)).json()) as StatusReport
  assert.equal((await readReport()).database.state, 'ok')

  await admin.unsafe(`alter database ${database.name} allow_connections false`)
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database.name}`
  await waitUntil('the report names it', async () => (await readReport()).database.state !== 'ok')
  const away = await readReport()
  assert.deepEqual(
    away.concerns.map(({ severity, subject }) => `${severity} ${subject}`),
    ['critical database'],
  )
  const page = await ask(`${url}/status`, { Accept: 'text/html' })
  assert.equal(page.status, 200)
  assert.match(await page.text(), /<title>🔴 Status/)
  assert.match(await (await ask(`${url}/metrics`)).text(), /^cinder_database_up 0$/m)

  await admin.unsafe(`alter database ${database.name} allow_connections true`)
  await waitUntil('it is well again without a restart', async () => (await readReport()).database.state === 'ok')
  program.kill('SIGTERM')
  assert.deepEqual(await inTime(program.exited, EXIT_DEADLINE_MS, program.output()), { code: 0, signal: null })
  await database.close()
})
