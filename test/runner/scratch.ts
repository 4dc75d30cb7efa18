/**
 * The temporary directory of a run's suites: in memory where there is enough of it, gone with the run.
 *
 * Clusters of Postgres and data of servers cost a fifth of their CPU and half of their time only to reach a disk. In
 * continuous integration they do: it has the time, and a store of its suites needs a disk. Such a directory promises half of
 * a machine's memory whoever has it: what is free counts too. What a killed run has left there goes with a later one.
 */
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { removeLeftovers } from './leftovers.ts'

export interface Scratch {
  /** For the environment of suites; empty where the system's own directory must do. */
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

export const NO_SCRATCH: Scratch = { env: {}, remove: () => undefined }

/** Four processes of suites with ten clusters each, 50 MB a cluster, and as much again. */
const FREE_MIN_BYTES = 4 * 1024 ** 3

export interface ScratchPlace {
  readonly parent?: string
  readonly freeMinBytes?: number
  /** Of memory, as the machine or the container has it. */
  readonly freeMemoryBytes?: number
}

export function openScratch(place: ScratchPlace = {}): Scratch {
  const { parent = '/dev/shm', freeMinBytes = FREE_MIN_BYTES, freeMemoryBytes = memoryLeft() } = place
  try {
    removeLeftovers({ parent, pattern: /^cinder-tmp-(\d+)-/ })
    const { bavail, bsize } = statfsSync(parent)
    if (Math.min(bavail * bsize, freeMemoryBytes) < freeMinBytes) return NO_SCRATCH
    const dir = mkdtempSync(join(parent, `cinder-tmp-${process.pid}-`))
    const scratch = { env: { TMPDIR: dir }, remove: () => removeAll(dir) }
    // As open as /tmp: some suites have programs of other users.
    chmodSync(dir, 0o1777)
    if (canRunPrograms(dir)) return scratch
    scratch.remove()
  } catch {
    // Not Linux, or not ours to write to.
  }
  return NO_SCRATCH
}

/** A container may have less than its machine, which counts what lies in such a directory as its own. */
function memoryLeft(): number {
  const limitBytes = process.constrainedMemory()
  return limitBytes > 0 ? Math.min(freemem(), limitBytes - process.memoryUsage.rss()) : freemem()
}

/** Containers often forbid it there. */
function canRunPrograms(dir: string): boolean {
  const path = join(dir, 'probe')
  writeFileSync(path, '#!/bin/sh\nexit 7\n', { mode: 0o755 })
  const { status } = spawnSync(path)
  rmSync(path)
  return status === 7
}

/** A server of a suite that was killed may be ending in it still, and removes what it has itself. */
function removeAll(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  } catch (error) {
    console.log(`${dir} is not removed: ${String(error)}`)
  }
}
