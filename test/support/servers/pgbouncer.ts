/**
 * A real PgBouncer in transaction mode before a test's Postgres, with so few server connections that clients must share
 * them. It ends with the process that started it.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { spawnSupervised } from '#platform/postgres/supervised.ts'
import { freePort } from '../tcp-proxy.ts'
import { waitUntil } from '../process.ts'

export interface PgBouncer {
  /** The same database, through it. */
  readonly url: string
  stop(): Promise<void>
}

/** Fewer than any pool of ours. */
const SERVER_CONNECTIONS = 3
const NOBODY = { uid: 65_534, gid: 65_534 }

function findProgram(): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return directories.map((directory) => join(directory, 'pgbouncer')).find((path) => existsSync(path))
}

/** Why there is none here, as the reason of a skip; false if there is one. */
export function pgbouncerAbsent(): string | false {
  return findProgram() === undefined ? 'pgbouncer not found (Debian: apt-get install pgbouncer)' : false
}

/** `ignoredSettings`: what it takes at the start of a session and forgets, instead of refusing the session. */
export async function startPgBouncer(
  databaseUrl: string,
  options: { readonly ignoredSettings?: readonly string[] } = {},
): Promise<PgBouncer> {
  const target = new URL(databaseUrl)
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'cinder-bouncer-'))
  chmodSync(dir, 0o755)
  const password = target.password === '' ? '' : ` password=${decodeURIComponent(target.password)}`
  const ignored = options.ignoredSettings ?? []
  const config = join(dir, 'pgbouncer.ini')
  writeFileSync(
    config,
    `[databases]
* = host=${target.hostname} port=${target.port} user=${target.username}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${SERVER_CONNECTIONS}
max_client_conn = 200
server_fast_close = 1
${ignored.length === 0 ? '' : `ignore_startup_parameters = ${ignored.join(',')}`}
`,
  )
  chmodSync(config, 0o644)
  const logPath = join(dir, 'log')
  const outputFd = openSync(logPath, 'a')
  // It refuses to be root.
  const user = process.getuid?.() === 0 ? NOBODY : undefined
  const child = spawnSupervised({ command: [findProgram()!, config], stopSignal: 'INT', user, cwd: dir, outputFd })
  closeSync(outputFd)
  await waitUntil('pgbouncer is up', () => {
    const log = readFileSync(logPath, 'utf8')
    if (child.hasExited()) throw new Error(`pgbouncer ended: ${log}`)
    return /process up/.test(log)
  })
  const url = new URL(databaseUrl)
  url.port = String(port)
  return {
    url: url.href,
    async stop() {
      child.stop()
      await child.exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
