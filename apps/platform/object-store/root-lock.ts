/**
 * Keeps local files to one process: each clears what it finds half written when it opens them, and remembers which
 * directories are durable. The lock is `~lock` in the root (no key can hold `~`); it is kept until the process ends, and
 * a dead owner's is recovered. Opening the same root again in one process is fine.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import { type LockOutcome, lockFile } from '../process-lock.ts'

export async function lockRoot(root: string): Promise<void> {
  const outcome = await lock(root)
  if (outcome.kind === 'locked' || outcome.pid === process.pid) return
  throw new CinderError(
    'failed_precondition',
    `the objects in ${root} are in use by process ${outcome.pid}, and local files serve one process: run all services in it (npm start), or give them a store that they can share, such as STORAGE_URL=s3://bucket/prefix`,
    { reason: 'store_in_use' },
  )
}

async function lock(root: string): Promise<LockOutcome> {
  try {
    await mkdir(root, { recursive: true })
    return await lockFile(join(root, '~lock'))
  } catch (error) {
    if (error instanceof CinderError) throw error
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is not a directory' : `it cannot be written to (${code})`
    throw new CinderError('failed_precondition', `cannot keep objects in ${root}: ${why}`, { cause: error })
  }
}
