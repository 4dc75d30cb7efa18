/**
 * A real Postgres for tests, the one that the product brings: nothing has to be installed, and any user may run it.
 *
 * 1. One server per test process, started on first use by the product's launcher (root, namespaces, closed
 *    directories), without fsync; with POSTGRES_BIN set, the server of those binaries instead.
 *    Its cluster is a copy of one that was prepared once (prepared-cluster.ts).
 * 2. One migrated template database in it, cloned per caller in about 15 ms of CPU: as a copy of its files, which the log of
 *    writes does not repeat (the default, 40 ms), and by connections that prove no password (3 of their 10 ms each). Nothing
 *    is truncated and no test depends on another.
 * 3. When this process ends, however it ends, the launcher's watchdog stops the server and a shell that waits on a pipe
 *    from us removes its directory. What is left because both were killed, 75 to 120 MB of memory, a later process removes.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql, type Sql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { readPostmasterFile } from '#platform/postgres/cluster.ts'
import { startPostgres } from '#platform/postgres/launcher.ts'
import { gatherRunnerFacts, planRunner } from '#platform/postgres/runner.ts'
import { spawnSupervised } from '#platform/postgres/supervised.ts'
import { removeLeftovers } from '../runner/leftovers.ts'
import { keepPreparedCluster, takePreparedCluster } from './prepared-cluster.ts'
import { waitUntil } from './process.ts'
import { createSilentLog } from './silent-log.ts'

export interface TestDatabase {
  readonly sql: Sql
  readonly name: string
  /** What another process needs in its environment to connect. */
  readonly env: Readonly<Record<'DATABASE_URL', string>>
  /** Another pool on the same database. Closed with it. */
  connect(settings?: { maxConnections?: number }): Sql
  close(): Promise<void>
}

interface Server {
  /** Of the database `postgres`. */
  readonly url: string
  readonly pid: number
}

interface AdministeredServer extends Server {
  /** One connection, kept: `bun test` ends with its last test, whatever is open. */
  readonly admin: Sql
}

const TEMPLATE = 'cinder_template'
/**
 * More connections than the product needs: suites open pools of their own. Nothing here must survive a power cut. Cloning
 * a database makes a checkpoint, after which every page would go into the log whole. A vacuum of its own accord would be
 * noise in what statements are seen to read.
 */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', autovacuum: 'off', max_connections: '60' }
const TRUST = 'host all all 127.0.0.1/32 trust\n'
/** Two servers at a time with their WAL stay far below it; a container's default of 64 MiB would not hold one. */
const MEMORY_DISK_FREE_MIN_BYTES = 1024 ** 3
/** The product's 5 s are too few to fill a table on a machine that has ten times its work. */
const STATEMENT_TIMEOUT_MS = 30_000
/** A loaded machine needs about two seconds. */
const READY_TIMEOUT_MS = 60_000

let starting: Promise<AdministeredServer> | undefined
let created = 0

/** A database of its own with the newest schema, or an empty one. */
export async function withDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  starting ??= startServer()
  const server = await starting
  const name = `test_${process.pid}_${++created}`
  const template = options.empty === true ? 'template1' : TEMPLATE
  await server.admin.unsafe(`create database ${name} template ${template} strategy file_copy`)
  const url = databaseUrl(server, name)
  const pools: Sql[] = []
  const connect = (settings: { maxConnections?: number } = {}) => {
    const pool = createSql({ url, statementTimeoutMs: STATEMENT_TIMEOUT_MS, ...settings })
    pools.push(pool)
    return pool
  }
  return {
    sql: connect(),
    name,
    env: { DATABASE_URL: url },
    connect,
    async close() {
      await Promise.all(pools.map((pool) => pool.end({ timeout: 2 })))
      await server.admin.unsafe(`drop database ${name} with (force)`)
    },
  }
}

async function startServer(): Promise<AdministeredServer> {
  const parent = parentDir()
  removeLeftovers({ parent, pattern: /^cinder-pg-(\d+)-/ })
  const dataDir = mkdtempSync(join(parent, `cinder-pg-${process.pid}-`))
  // Open, so that for root it stays here even where Postgres must run as `nobody`.
  chmodSync(dataDir, 0o755)
  const bin = process.env['POSTGRES_BIN'] ?? ''
  const server = bin === '' ? await startEmbedded(dataDir) : await startOther(bin, dataDir)
  removeAfter(server.pid, dataDir)
  if (bin !== '') await makeTemplate(server)
  return { ...server, admin: connectAdmin(server) }
}

/** From a cluster that an earlier process prepared, or one that is prepared for later ones. */
async function startEmbedded(dataDir: string): Promise<Server> {
  const options = { dataDir, log: createSilentLog(), settings: SETTINGS }
  if (!(await takePreparedCluster(dataDir))) {
    const first = await startPostgres(options)
    await makeTemplate(first)
    await first.stop()
    await keepPreparedCluster(dataDir)
  }
  writeFileSync(join(dataDir, 'cluster', 'pg_hba.conf'), TRUST)
  return await startPostgres(options)
}

async function makeTemplate(server: Server): Promise<void> {
  const admin = connectAdmin(server)
  await admin.unsafe(`create database ${TEMPLATE}`)
  await admin.end()
  const template = createSql({ url: databaseUrl(server, TEMPLATE), maxConnections: 1 })
  await migrate(template)
  await template.end()
}

/** Memory where there is enough of it. */
function parentDir(): string {
  const memory = '/dev/shm'
  if (!existsSync(memory)) return tmpdir()
  const { bavail, bsize } = statfsSync(memory)
  return bavail * bsize >= MEMORY_DISK_FREE_MIN_BYTES ? memory : tmpdir()
}

/** Any other version, by options that all of them know. */
async function startOther(bin: string, dataDir: string): Promise<Server> {
  if (!existsSync(join(bin, 'initdb'))) throw new Error(`POSTGRES_BIN is ${bin}, which has no initdb`)
  const query = { dataDir, clusterName: 'cluster', binariesDir: bin, allowNamespace: true, stagingRoot: undefined }
  const runner = planRunner(await gatherRunnerFacts(query))
  // Where root may not make a user namespace, the server is `nobody`.
  if (runner.user !== undefined) chownSync(dataDir, runner.user.uid, runner.user.gid)
  const cluster = join(dataDir, 'cluster')
  const logPath = join(dataDir, 'postgres.log')
  const start = (stopSignal: 'INT' | 'TERM', ...command: string[]) => {
    const outputFd = openSync(logPath, 'a')
    const child = spawnSupervised({
      command: [...runner.prefix, ...command],
      stopSignal,
      user: runner.user,
      cwd: dataDir,
      outputFd,
    })
    closeSync(outputFd)
    return child
  }
  const init = ['-D', cluster, '-U', 'cinder', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  const code = await start('TERM', join(bin, 'initdb'), ...init).exited
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${readFileSync(logPath, 'utf8')}`)
  const port = await freePort()
  const settings = { ...SETTINGS, listen_addresses: '127.0.0.1', unix_socket_directories: '', port: String(port) }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = start('INT', join(bin, 'postgres'), '-D', cluster, ...flags)
  const isReady = async () => {
    if (child.hasExited()) throw new Error(`postgres ended before it was ready: ${readFileSync(logPath, 'utf8')}`)
    return (await readPostmasterFile(cluster))?.status === 'ready'
  }
  await waitUntil(`the server of ${bin} is ready`, isReady, READY_TIMEOUT_MS)
  const { pid } = (await readPostmasterFile(cluster))!
  return { url: `postgres://cinder@127.0.0.1:${port}/postgres`, pid }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen({ port: 0, host: '127.0.0.1' }, () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}

/** The pipe closes with this process; then the server has 30 s to go before its files do. */
function removeAfter(pid: number, dataDir: string): void {
  const script = 'read -r _; n=300; while kill -0 "$0" 2>/dev/null && [ $n -gt 0 ]; do sleep 0.1; n=$((n - 1)); done'
  const child = spawn('/bin/sh', ['-c', `${script}; rm -rf "$1"`, String(pid), dataDir], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.unref()
  const pipe = child.stdin as unknown as { unref?: () => void } | null
  pipe?.unref?.()
}

function databaseUrl(server: Server, name: string): string {
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return url.href
}

function connectAdmin(server: Server): Sql {
  return createSql({ url: server.url, maxConnections: 1, statementTimeoutMs: STATEMENT_TIMEOUT_MS })
}
