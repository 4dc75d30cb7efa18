/** The program a newcomer starts, as a real process: ready in time, stopped cleanly, killed hard, started wrongly. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createSql } from '#db/client.ts'
import { SUPERUSER } from '#platform/postgres/cluster.ts'
import { findByWorkingDir, identifyProcess } from '#platform/postgres/process-identity.ts'
import { type Program, startProgram, waitForHttp, waitUntil } from '../../support/process.ts'
import { buildPprof } from '../../support/profiles.ts'
import { prepareCluster } from '../../support/server-process.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const base = await mkdtemp(join(tmpdir(), 'cinder-all-in-one-'))
after(() => rm(base, { recursive: true, force: true }))

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
/** Of a start or a stop: seconds on a quiet machine, and the suite runs beside others. */
const MOMENT_MS = 20_000
/** A start is a second of CPU. */
const KILLS = process.env['CI'] === 'true' ? 2 : 1

interface Started {
  readonly program: Program
  readonly url: string
  readonly readyMs: number
}

function run(settings: Readonly<Record<string, string>>): Program {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(CINDER_|DATABASE_URL|STORAGE_URL|PORT|HOST)/.test(name),
  )
  const env = { ...Object.fromEntries(inherited), PORT: '0', ...settings }
  return startProgram({ command: [process.execPath, join(ROOT, 'apps/all-in-one/main.ts')], cwd: base, env })
}

async function startUp(settings: Readonly<Record<string, string>>): Promise<Started> {
  const startedMs = performance.now()
  const program = run(settings)
  const [, url] = (await program.waitFor(/"event":"ready","url":"([^"]+)"/)) as unknown as [string, string]
  const readyMs = performance.now() - startedMs
  await waitForHttp(`${url}/ready`)
  return { program, url, readyMs }
}

/** 30 ms in two stacks, now: a recorded profile would be too old one hour later. */
const TOTAL_NANOS = 30_000_000

async function push(url: string, name: string): Promise<Response> {
  const profile = buildPprof({
    types: [['cpu', 'nanoseconds']],
    timeNanos: BigInt(Date.now()) * 1_000_000n,
    samples: [
      { stack: ['leaf', 'main'], values: [20_000_000] },
      { stack: ['main'], values: [10_000_000] },
    ],
  })
  const form = new FormData()
  form.append('profile', new Blob([gzipSync(profile)]), 'profile.pprof')
  const nowSeconds = Math.floor(Date.now() / 1000)
  const query = new URLSearchParams({ name, from: String(nowSeconds - 10), until: String(nowSeconds) })
  return fetch(`${url}/ingest?${query}`, { method: 'POST', body: form })
}

/** Root value of the flame graph of a service. */
async function totalOf(url: string, service: string): Promise<number> {
  const nowMs = Date.now()
  const response = await fetch(`${url}/querier.v1.QuerierService/SelectMergeStacktraces`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      profileTypeID: CPU,
      labelSelector: `{service_name="${service}"}`,
      start: String(nowMs - 600_000),
      end: String(nowMs + 60_000),
    }),
  })
  assert.equal(response.status, 200, await response.clone().text())
  const { flamegraph } = (await response.json()) as { flamegraph: { total?: string } }
  return Number(flamegraph.total ?? 0)
}

async function assertNothingLeft(dataDir: string): Promise<void> {
  await waitUntil('no process works in the cluster', async () => {
    return (await findByWorkingDir(join(dataDir, 'postgres', 'cluster'))).length === 0
  })
}

test('ready in time, shows what a push brought, stops cleanly on Ctrl-C, and has it all after a restart', async () => {
  const dataDir = join(base, 'first')
  const first = await startUp({ CINDER_DATA_DIR: dataDir })
  assert.ok(first.readyMs < MOMENT_MS, `first start took ${first.readyMs} ms`)
  await first.program.waitFor(/Cinderblock is ready.*\n {2}push +http:\/\/127\.0\.0\.1:\d+/)
  assert.equal((await push(first.url, 'shop')).status, 200)
  assert.equal(await totalOf(first.url, 'shop'), TOTAL_NANOS)

  const stoppedMs = performance.now()
  first.program.killGroup('SIGINT')
  assert.deepEqual(await first.program.exited, { code: 0, signal: null }, first.program.output())
  assert.ok(performance.now() - stoppedMs < MOMENT_MS)
  await assertNothingLeft(dataDir)
  assert.deepEqual((await readdir(dataDir)).sort(), ['objects', 'postgres'])

  const second = await startUp({ CINDER_DATA_DIR: dataDir })
  assert.ok(second.readyMs < MOMENT_MS, `second start took ${second.readyMs} ms`)
  assert.equal(await totalOf(second.url, 'shop'), TOTAL_NANOS)
  // npm sends its child the signal that the terminal has already sent.
  second.program.kill('SIGINT')
  second.program.kill('SIGINT')
  assert.deepEqual(await second.program.exited, { code: 0, signal: null }, second.program.output())
  await assertNothingLeft(dataDir)
})

test('kill -9 of the whole group, at once started again: everything acknowledged is there', async () => {
  const dataDir = join(base, 'killed')
  await prepareCluster(dataDir)
  let started = await startUp({ CINDER_DATA_DIR: dataDir })
  assert.equal((await push(started.url, 'killed')).status, 200)
  assert.equal(await totalOf(started.url, 'killed'), TOTAL_NANOS)
  for (let round = 0; round < KILLS; round++) {
    started.program.killGroup('SIGKILL')
    await started.program.exited
    started = await startUp({ CINDER_DATA_DIR: dataDir })
    assert.equal(await totalOf(started.url, 'killed'), TOTAL_NANOS)
  }
  started.program.kill('SIGKILL')
  await started.program.exited
  await assertNothingLeft(dataDir)
})

/** A job that a process had when it was killed: put there by hand, because a real one runs for milliseconds. */
async function leaveRunningJob(dataDir: string, workerId: string): Promise<void> {
  const lines = (await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n')
  const password = (await readFile(join(dataDir, 'postgres/password'), 'utf8')).trim()
  const sql = createSql({
    url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${lines[3]}/postgres`,
    maxConnections: 1,
  })
  await sql`insert into jobs (state, level, size_bytes, rank, epoch, holder, expires_at, failures)
    values ('running', 1, 1, 1, 1, ${workerId}, now() + interval '1 hour', 2)`
  await sql.end()
}

test("kill -9 during a compaction: the next process takes the job at once, and it is nobody's failure", async () => {
  const dataDir = join(base, 'killed-worker')
  await prepareCluster(dataDir)
  const killed = await startUp({ CINDER_DATA_DIR: dataDir })
  await leaveRunningJob(dataDir, 'all-in-one-dead')
  await leaveRunningJob(dataDir, 'another')
  killed.program.killGroup('SIGKILL')
  await killed.program.exited
  const next = await startUp({ CINDER_DATA_DIR: dataDir })
  assert.match(next.program.output(), /"event":"jobs of dead workers queued again","jobs":1/)
  next.program.kill('SIGTERM')
  assert.equal((await next.program.exited).code, 0)
})

test('the database dies: the process says so and ends, it does not linger', async () => {
  const dataDir = join(base, 'database-dies')
  await prepareCluster(dataDir)
  const started = await startUp({ CINDER_DATA_DIR: dataDir })
  const [pid] = (await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n')
  process.kill(Number(pid), 'SIGKILL')
  const { code } = await started.program.exited
  assert.equal(code, 1)
  assert.match(started.program.stderr(), /^cinder: .*Postgres has ended/m)
  await assertNothingLeft(dataDir)
})

test('SIGTERM during the very first start leaves no process', async () => {
  const dataDir = join(base, 'interrupted')
  const program = run({ CINDER_DATA_DIR: dataDir })
  // The lock is there before the database is.
  await waitUntil('the process has begun', () =>
    readdir(dataDir).then(
      (names) => names.includes('cinder.lock'),
      () => false,
    ),
  )
  program.kill('SIGTERM')
  const { code } = await program.exited
  assert.equal(code, 0, program.output())
  await assertNothingLeft(dataDir)
  const started = await startUp({ CINDER_DATA_DIR: dataDir })
  started.program.kill('SIGTERM')
  assert.equal((await started.program.exited).code, 0)
})

/** One sentence on standard error, exit code 1, nothing like a stack. */
async function assertRefused(settings: Readonly<Record<string, string>>, sentence: RegExp): Promise<void> {
  const program = run(settings)
  const { code } = await program.exited
  assert.equal(code, 1, program.output())
  assert.match(program.stderr(), sentence)
  assert.equal(program.stderr().trimEnd().split('\n').length, 1, program.stderr())
}

test('what cannot start says why in one sentence', async () => {
  const dataDir = join(base, 'wrong')
  const file = join(base, 'a-file')
  await writeFile(file, '')
  await assertRefused({ PORT: 'http' }, /^cinder: setting PORT is "http": a port is a number/)
  await assertRefused({ CINDER_DATADIR: 'x' }, /^cinder: unknown setting CINDER_DATADIR; known are CINDER_DATA_DIR/)
  await assertRefused({ STORAGE_URL: 'gs://bucket' }, /^cinder: STORAGE_URL has the scheme gs/)
  await assertRefused({ CINDER_LIMITS: '{"maxSample":1}' }, /^cinder: unknown limit "maxSample"/)
  await assertRefused({ CINDER_DATA_DIR: file }, /^cinder: data directory .* is not a directory; set CINDER_DATA_DIR/)
  await assertRefused(
    { CINDER_DATA_DIR: '/proc/none' },
    /^cinder: data directory \/proc\/none: it cannot be written to/,
  )
  const unreachable = { CINDER_DATA_DIR: dataDir, DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/x' }
  await assertRefused(
    unreachable,
    /^cinder: (?!.*secret).*Postgres at 127\.0\.0\.1:1\/x \(DATABASE_URL\): .*ECONNREFUSED/,
  )
})

test('a port in use is one sentence, before a database is made', async () => {
  const dataDir = join(base, 'port')
  const squatter = createServer()
  const port = await new Promise<number>((resolve) => {
    squatter.listen(0, '127.0.0.1', () => resolve((squatter.address() as { port: number }).port))
  })
  const settings = { CINDER_DATA_DIR: dataDir, PORT: String(port) }
  await assertRefused(settings, new RegExp(`^cinder: port ${port} on 127.0.0.1 is in use; .* set PORT`))
  assert.deepEqual(await readdir(dataDir), [])
  squatter.close()
})

test('a second instance on the same data is refused and the first goes on', async () => {
  const dataDir = join(base, 'shared')
  await prepareCluster(dataDir)
  const first = await startUp({ CINDER_DATA_DIR: dataDir })
  await assertRefused(
    { CINDER_DATA_DIR: dataDir },
    new RegExp(`^cinder: .* is in use by process ${first.program.pid}; stop it`),
  )
  await waitForHttp(`${first.url}/ready`)
  assert.notEqual(await identifyProcess(first.program.pid), undefined)
  first.program.kill('SIGTERM')
  assert.equal((await first.program.exited).code, 0)
})
