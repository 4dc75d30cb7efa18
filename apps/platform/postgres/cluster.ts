/**
 * The cluster on disk: created whole or not at all, and cleared of an earlier life before a start.
 *
 * - `initdb` works in `cluster.new-<pid>` and the result is renamed, so that a crash leaves no half cluster.
 * - `postmaster.pid` of an earlier life: its process is stopped only if it is a Postgres of this very cluster (its
 *   command line names it, or it works in it); a foreign process that got the id is left alone and the file removed.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { Binaries } from './binaries.ts'
import { findByWorkingDir, identifyProcess, sendSignal, waitUntilGone } from './process-identity.ts'
import type { Runner, UserId } from './runner.ts'
import { spawnSupervised } from './supervised.ts'

export const CLUSTER_NAME = 'cluster'
export const SUPERUSER = 'cinder'

/** The watchdog of the earlier life gives it 10 s, then kills: this must be longer. */
const OLD_STOP_MS = 12_000
const OLD_KILL_MS = 3_000

export interface PostmasterFile {
  readonly pid: number
  readonly port: number
  /** `starting`, `ready`, `standby`, `stopping`; empty until written. */
  readonly status: string
}

/** Undefined if it is absent or empty (an empty one is of a crash; Postgres removes it by itself). */
export async function readPostmasterFile(clusterDir: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3] ?? 0), status: (lines[7] ?? '').trim() }
}

/** Makes the cluster if there is none; returns the superuser's password. */
export async function ensureCluster(baseDir: string, runner: Runner, binaries: Binaries): Promise<string> {
  const clusterDir = join(baseDir, CLUSTER_NAME)
  const passwordFile = join(baseDir, 'password')
  const isThere = await lstat(join(clusterDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  )
  if (isThere) {
    if (runner.user !== undefined) await giveTo(clusterDir, runner.user)
    return (await readFile(passwordFile, 'utf8')).trim()
  }
  for (const name of await readdir(baseDir)) {
    if (name.startsWith(`${CLUSTER_NAME}.new-`)) await rm(join(baseDir, name), { recursive: true, force: true })
  }
  const password = randomBytes(24).toString('base64url')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  await chmod(passwordFile, 0o600)
  const newDir = join(baseDir, `${CLUSTER_NAME}.new-${process.pid}`)
  await mkdir(newDir, { mode: 0o700 })
  if (runner.user !== undefined) {
    await chown(passwordFile, runner.user.uid, runner.user.gid)
    await chown(newDir, runner.user.uid, runner.user.gid)
  }
  await runInitdb({ baseDir, newDir, passwordFile, runner, binaries })
  await rm(clusterDir, { recursive: true, force: true })
  await rename(newDir, clusterDir)
  const dirHandle = await open(baseDir, 'r')
  await dirHandle.sync().finally(() => dirHandle.close())
  return password
}

interface InitdbJob {
  readonly baseDir: string
  readonly newDir: string
  readonly passwordFile: string
  readonly runner: Runner
  readonly binaries: Binaries
}

async function runInitdb(job: InitdbJob): Promise<void> {
  const outputPath = join(job.baseDir, 'initdb.log')
  const output = await open(outputPath, 'w')
  const command = [
    ...job.runner.prefix,
    job.binaries.initdb,
    `--pgdata=${job.newDir}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${job.passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Postgres' own C.UTF-8: the same order of text on every system, also where libc has no C.UTF-8 (macOS).
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ]
  const { user } = job.runner
  const child = spawnSupervised({ command, stopSignal: 'TERM', user, cwd: job.newDir, outputFd: output.fd })
  const code = await child.exited
  await output.close()
  if (code === 0) return
  await rm(job.newDir, { recursive: true, force: true })
  throw postgresFailed(`initdb ended with code ${code}`, await readTail(outputPath))
}

/** Stops what an earlier life left running in this cluster, and removes a pid file that would hinder the start. */
export async function clearEarlierLife(clusterDir: string, log: Log): Promise<void> {
  const file = await readPostmasterFile(clusterDir)
  const ours = new Set(await findByWorkingDir(clusterDir))
  if (file !== undefined) {
    const found = await identifyProcess(file.pid)
    const isOurs = found !== undefined && found.command.includes(clusterDir) && found.command.includes('postgres')
    if (isOurs) ours.add(file.pid)
  }
  if (ours.size > 0) {
    log.warn('stopping the database of an earlier run', { pids: [...ours].join(' ') })
    await stopAll(clusterDir, ours, file?.pid)
  }
  // What is left of it names nobody of ours; Postgres would refuse to start if the id is now another process'.
  await rm(join(clusterDir, 'postmaster.pid'), { force: true })
}

async function stopAll(clusterDir: string, pids: ReadonlySet<number>, postmaster: number | undefined): Promise<void> {
  const areGone = async () => {
    for (const pid of pids) if ((await identifyProcess(pid)) !== undefined) return false
    return (await findByWorkingDir(clusterDir)).length === 0
  }
  // SIGINT to a postmaster is a fast shutdown; its children end with it, and by themselves when it is dead.
  if (postmaster !== undefined && pids.has(postmaster)) sendSignal(postmaster, 'SIGINT')
  if (await waitUntilGone(areGone, OLD_STOP_MS)) return
  for (const pid of [...pids, ...(await findByWorkingDir(clusterDir))]) sendSignal(pid, 'SIGKILL')
  if (await waitUntilGone(areGone, OLD_KILL_MS)) return
  throw new CinderError(
    'failed_precondition',
    `a Postgres of an earlier run still works in ${clusterDir} (process ${[...pids].join(', ')}) and cannot be stopped`,
  )
}

async function giveTo(path: string, user: UserId): Promise<void> {
  const found = await lstat(path)
  if (found.uid === user.uid) return
  if (found.isDirectory()) for (const name of await readdir(path)) await giveTo(join(path, name), user)
  if (!found.isSymbolicLink()) await chown(path, user.uid, user.gid)
}

/** The last lines of a log, for an error message. */
export async function readTail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-4).join(' | ').slice(-600)
}

export function postgresFailed(what: string, output: string): CinderError {
  return new CinderError(
    'failed_precondition',
    `the embedded Postgres did not start: ${what}: ${output || 'no output'}; set DATABASE_URL to use a Postgres of your own`,
    { reason: 'postgres_failed' },
  )
}
