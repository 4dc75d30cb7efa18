/**
 * Removes what earlier runs left in a directory that they share, because they were killed: nobody else would, and in memory it
 * would lie until the machine starts again.
 *
 * A name tells the process of its run. What is of a process that has gone and was not touched for an hour is removed: a
 * process of another container is not seen from here, but no run takes that long without a new file.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const UNTOUCHED_MS = 3_600_000

export interface Leftovers {
  readonly parent: string
  /** Of names; its first group is the process. */
  readonly pattern: RegExp
  readonly nowMs?: number
  readonly isRunning?: (pid: number) => boolean
}

export function removeLeftovers({ parent, pattern, nowMs = Date.now(), isRunning = isAlive }: Leftovers): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(pattern.exec(name)?.[1] ?? Number.NaN)
    if (!Number.isInteger(pid) || isRunning(pid)) continue
    const path = join(parent, name)
    try {
      if (nowMs - lstatSync(path).mtimeMs >= UNTOUCHED_MS) rmSync(path, { recursive: true, force: true })
    } catch {
      // Of another user, or removed by a run beside this one.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
