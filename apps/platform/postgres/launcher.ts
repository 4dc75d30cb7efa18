/**
 * The embedded Postgres: started below `dataDir`, gone when we are gone.
 *
 * 1. Find the binaries, decide as whom to run (runner.ts), create the cluster once (cluster.ts).
 * 2. Stop what an earlier life left running in it.
 * 3. Start under a watchdog (supervised.ts) on 127.0.0.1 and the port of last time, or a free one if that is taken.
 * 4. Ready when `postmaster.pid` says `ready` (as pg_ctl does it; needs no connection).
 * Measured: first start 0.5 to 1.2 s in all, later ones 0.05 s, stop 0.02 s.
 *
 * Durable as any Postgres (fsync and synchronous commit on). It must not open a Unix socket, listen on other addresses,
 * or read the user's PG* variables. One process per `dataDir`: the caller holds a lock.
 */
import { chmod, chown, cp, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import { type Binaries, findBinaryPackage, prepareBinaries } from './binaries.ts'
import {
  CLUSTER_NAME,
  clearEarlierLife,
  ensureCluster,
  postgresFailed,
  readPostmasterFile,
  readTail,
  SUPERUSER,
} from './cluster.ts'
import { sendSignal } from './process-identity.ts'
import { gatherRunnerFacts, planRunner, type Runner, STAGED_NOTE } from './runner.ts'
import { type Supervised, spawnSupervised } from './supervised.ts'

export interface PostgresOptions {
  /** Holds the cluster, its password, its log. Made if absent. */
  readonly dataDir: string
  readonly log: Log
  /** Server settings on top of ours (tests: `fsync=off`). */
  readonly settings?: Readonly<Record<string, string>>
  /** Default true; false runs as on a system without user namespaces. Matters to root alone. */
  readonly allowNamespace?: boolean
  /** Parent of what must be copied out of a closed directory. */
  readonly stagingRoot?: string
}

export interface EmbeddedPostgres {
  readonly url: string
  /** One line for the start block. */
  readonly describe: string
  /** The process that accepts connections. */
  readonly pid: number
  /** Settles when Postgres has gone, asked or not. */
  readonly exited: Promise<void>
  /** Fast shutdown, immediate after a bound; returns when the process is gone. A second call waits for the first. */
  stop(): Promise<void>
}

/**
 * Small: a laptop runs this beside its work. Fifty connections are three pools of ten and room for a person. JIT and
 * parallel plans cost more than they give on queries of milliseconds. wal_level minimal: there is no replica.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '50',
  shared_buffers: '64MB',
  synchronous_commit: 'on',
  fsync: 'on',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '256MB',
  io_method: 'sync',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  log_checkpoints: 'off',
  log_min_messages: 'warning',
}

/** Recovery after a crash replays at most max_wal_size: seconds. A minute covers slow disks. */
const READY_TIMEOUT_MS = 60_000
const READY_POLL_MS = 10
/** A port may be taken between the choice and the bind; three in a row is no accident. */
const START_ATTEMPTS_MAX = 3
/** The whole process has 5 s to stop: 3.5 s leave room for the rest. Immediate means recovery at the next start. */
const FAST_STOP_MS = 3_500
const IMMEDIATE_STOP_MS = 700
const LOG_BYTES_MAX = 8 * 1024 * 1024

export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const found = await findBinaryPackage(process.platform, process.arch)
  await mkdir(options.dataDir, { recursive: true })
  const dataDir = await realpath(options.dataDir)
  const runner = planRunner(
    await gatherRunnerFacts({
      dataDir,
      clusterName: CLUSTER_NAME,
      binariesDir: join(found.dir, 'native', 'bin'),
      allowNamespace: options.allowNamespace ?? true,
      stagingRoot: options.stagingRoot,
    }),
  )
  await openBaseDir(dataDir, runner)
  const binaries = await prepareBinaries(found, { stagingDir: runner.baseDir, mustStage: runner.mustStageBinaries })
  const server = new Server(runner, binaries, options)
  // Before a new cluster is made: the last process of its initdb may still be ending there, and is no earlier life.
  await clearEarlierLife(server.clusterDir, options.log)
  const password = await ensureCluster(runner.baseDir, runner, binaries)
  const { port, pid, child } = await server.start()
  const where = runner.note === '' ? `in ${server.clusterDir}` : runner.note
  let stopping: Promise<void> | undefined
  return {
    url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/postgres`,
    describe: `embedded Postgres ${found.version} on 127.0.0.1:${port}, ${where}`,
    pid,
    exited: child.exited.then(() => undefined),
    stop() {
      stopping ??= stopServer(child, pid)
      return stopping
    },
  }
}

/**
 * The base directory, open to the user who will work in it; a cluster that moves to a staged place is copied there.
 * The data directory then says so: without that file a staged cluster belongs to data that was deleted since, and is
 * put aside.
 */
async function openBaseDir(dataDir: string, runner: Runner): Promise<void> {
  const { baseDir, user } = runner
  await mkdir(baseDir, { recursive: true, mode: 0o755 })
  if (user === undefined) return
  await chmod(baseDir, 0o755)
  await chown(baseDir, user.uid, user.gid)
  const note = join(dataDir, STAGED_NOTE)
  if (baseDir === dataDir || (await exists(note))) return
  const from = join(dataDir, CLUSTER_NAME)
  const to = join(baseDir, CLUSTER_NAME)
  if (await exists(to)) {
    await rm(`${to}.abandoned`, { recursive: true, force: true })
    await rename(to, `${to}.abandoned`)
  }
  const isMoving = await exists(from)
  if (isMoving) {
    await cp(join(dataDir, 'password'), join(baseDir, 'password'))
    await rm(`${to}.copy`, { recursive: true, force: true })
    await cp(from, `${to}.copy`, { recursive: true, verbatimSymlinks: true })
    await rename(`${to}.copy`, to)
  }
  await writeFile(note, `${baseDir}\n`)
  if (isMoving) await rename(from, `${from}.moved`)
}

class Server {
  readonly clusterDir: string
  readonly #runner: Runner
  readonly #binaries: Binaries
  readonly #options: PostgresOptions

  constructor(runner: Runner, binaries: Binaries, options: PostgresOptions) {
    this.clusterDir = join(runner.baseDir, CLUSTER_NAME)
    this.#runner = runner
    this.#binaries = binaries
    this.#options = options
  }

  async start(): Promise<{ port: number; pid: number; child: Supervised }> {
    const portFile = join(this.#runner.baseDir, 'port')
    let wanted = Number(await readFile(portFile, 'utf8').catch(() => '0'))
    for (let attempt = 1; ; attempt++) {
      const port = await pickPort(wanted)
      const child = await this.#spawn(port)
      const pid = await this.#waitReady(child)
      if (pid !== undefined) {
        await writeFile(portFile, `${port}\n`)
        return { port, pid, child }
      }
      const output = await readTail(this.#logPath())
      const isPortTaken = output.includes('could not bind') || output.includes('could not create any TCP/IP sockets')
      if (!isPortTaken || attempt === START_ATTEMPTS_MAX) {
        throw postgresFailed(`postgres ended with code ${await child.exited}`, output)
      }
      wanted = 0
    }
  }

  #logPath(): string {
    return join(this.#runner.baseDir, 'postgres.log')
  }

  async #spawn(port: number): Promise<Supervised> {
    const settings = { ...SETTINGS, ...this.#options.settings, port: String(port) }
    const command = [
      ...this.#runner.prefix,
      this.#binaries.postgres,
      '-D',
      this.clusterDir,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]
    const size = await stat(this.#logPath()).then(
      (found) => found.size,
      () => 0,
    )
    if (size > LOG_BYTES_MAX) await rename(this.#logPath(), `${this.#logPath()}.1`)
    const output = await open(this.#logPath(), 'a', 0o600)
    try {
      const { user } = this.#runner
      return spawnSupervised({ command, stopSignal: 'INT', user, cwd: this.#runner.baseDir, outputFd: output.fd })
    } finally {
      await output.close()
    }
  }

  /** The postmaster's id; undefined if it ended before it was ready. */
  async #waitReady(child: Supervised): Promise<number | undefined> {
    for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS; waitedMs += READY_POLL_MS) {
      if (child.hasExited()) return undefined
      const file = await readPostmasterFile(this.clusterDir)
      if (file?.status === 'ready') return file.pid
      await sleep(READY_POLL_MS)
    }
    child.stop()
    await child.exited
    throw new CinderError(
      'unavailable',
      `the embedded Postgres was not ready after ${READY_TIMEOUT_MS / 1000} s; its log is ${this.#logPath()}`,
    )
  }
}

async function stopServer(child: Supervised, pid: number): Promise<void> {
  child.stop()
  if (await endsWithin(child, FAST_STOP_MS)) return
  sendSignal(pid, 'SIGQUIT')
  if (await endsWithin(child, IMMEDIATE_STOP_MS)) return
  sendSignal(pid, 'SIGKILL')
  await child.exited
}

async function endsWithin(child: Supervised, timeoutMs: number): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => timeout.resolve(false), timeoutMs)
  const isOver = await Promise.race([child.exited.then(() => true), timeout.promise])
  clearTimeout(timer)
  return isOver
}

/** The wanted port if it is free on 127.0.0.1, else any free one. */
async function pickPort(wanted: number): Promise<number> {
  const isPort = Number.isInteger(wanted) && wanted > 0 && wanted < 65_536
  return (isPort ? await tryPort(wanted) : undefined) ?? (await tryPort(0)) ?? 0
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      const bound = typeof address === 'object' && address !== null ? address.port : undefined
      server.close(() => resolve(bound))
    })
  })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
