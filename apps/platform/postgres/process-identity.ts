/**
 * Who a process id belongs to. An id alone proves nothing: after a crash it may be another program's.
 *
 * - `startedAt` and `command` by /proc on Linux, by `ps` elsewhere; equal id and start mean the same process;
 * - `findByWorkingDir`: on Linux every process of a Postgres works in its data directory, the postmaster's children too.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; differs between two processes that had the same id. */
  readonly startedAt: string
  /** Arguments joined by spaces. */
  readonly command: string
}

const POLL_MS = 20

/** Undefined if there is no such process (a zombie is none). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return process.platform === 'linux' ? identifyByProc(pid) : identifyByPs(pid)
}

async function identifyByProc(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const [stat, cmdline] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    // The name in parentheses may hold spaces; state is field 3, start (ticks since boot) field 22 (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()
    return { pid, startedAt: `${boot}:${fields[19]}`, command: cmdline.replaceAll('\0', ' ').trim() }
  } catch {
    return undefined
  }
}

async function identifyByPs(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const env = { PATH: process.env['PATH'] ?? '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' }
    const args = ['-ww', '-p', String(pid), '-o', 'stat=,lstart=,command=']
    const { stdout } = await promisify(execFile)('ps', args, { env })
    // lstart is five words: Mon Jan  2 15:04:05 2006.
    const match = /^\s*(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/.exec(stdout.trimEnd())
    if (match === null || match[1]?.startsWith('Z') === true) return undefined
    return { pid, startedAt: match[2] as string, command: match[3] as string }
  } catch {
    return undefined
  }
}

/** Processes that work in `dir`, where the system lets us see it (Linux); empty elsewhere. */
export async function findByWorkingDir(dir: string): Promise<number[]> {
  if (process.platform !== 'linux') return []
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => undefined)
    if (cwd === dir) found.push(Number(name))
  }
  return found
}

/** Sends a signal; a process that has gone or is not ours is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** Polls until `isGone` says so; false when the time is up. For processes that are not our children. */
export async function waitUntilGone(isGone: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += POLL_MS) {
    if (await isGone()) return true
    await sleep(POLL_MS)
  }
  return isGone()
}
