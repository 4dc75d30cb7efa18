/**
 * A lock file: one process at a time, recovered after kill -9.
 *
 * 1. The file holds process id and start of its owner; it appears whole, by link(2), which fails if it is there.
 * 2. Taken: if the owner lives (same id and same start: ids come back after a crash), it is the answer.
 * 3. A dead owner's lock is moved aside and read again, so that of two that recover it only one deletes it; whoever
 *    moved a living lock in that race puts it back.
 * It must not be relied on between machines: the owner is looked up among the processes of this one.
 */
import { link, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { CinderError } from '#core/errors.ts'
import { identifyProcess } from '#platform/postgres/process-identity.ts'

export type LockOutcome =
  | { readonly kind: 'locked'; readonly release: () => Promise<void> }
  | { readonly kind: 'held'; readonly pid: number }

/** Each attempt but the last removed a dead owner's lock; more than a few mean that something else is wrong. */
const ATTEMPTS_MAX = 5

interface Owner {
  readonly pid: number
  readonly startedAt: string
}

/** The directory of `path` must exist. Faults of the file system are thrown as they come. */
export async function lockFile(path: string): Promise<LockOutcome> {
  const own = `${path}.${process.pid}`
  const self = await identifyProcess(process.pid)
  const content = `${JSON.stringify({ pid: process.pid, startedAt: self?.startedAt ?? '' } satisfies Owner)}\n`
  await writeFile(own, content)
  try {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (await linkOnce(own, path)) return { kind: 'locked', release: () => release(path, content) }
      const seen = await readFile(path, 'utf8').catch(() => undefined)
      if (seen === undefined) continue
      const owner = await livingOwner(seen)
      if (owner !== undefined) return { kind: 'held', pid: owner.pid }
      await removeDead(path, seen)
    }
    throw new CinderError('unavailable', `the lock ${path} changes hands too often; try again`)
  } finally {
    await rm(own, { force: true })
  }
}

async function linkOnce(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** An unreadable lock was cut off by a crash: it names nobody. */
async function livingOwner(content: string): Promise<Owner | undefined> {
  try {
    const owner = JSON.parse(content) as Owner
    const found = await identifyProcess(owner.pid)
    return found !== undefined && found.startedAt === owner.startedAt ? owner : undefined
  } catch {
    return undefined
  }
}

async function removeDead(path: string, seen: string): Promise<void> {
  const aside = `${path}.dead-${process.pid}`
  try {
    await rename(path, aside)
  } catch {
    // Another one was quicker.
    return
  }
  if ((await readFile(aside, 'utf8')) !== seen) await linkOnce(aside, path)
  await unlink(aside)
}

async function release(path: string, content: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')) === content) await rm(path, { force: true })
}
