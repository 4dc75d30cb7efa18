/** The lock of a data directory, `cinder.lock` in it: one process at a time (apps/platform/process-lock.ts). */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import { type LockOutcome, lockFile } from '#platform/process-lock.ts'

export interface DataLock {
  release(): Promise<void>
}

export async function lockDataDir(dataDir: string): Promise<DataLock> {
  const outcome = await lock(dataDir)
  if (outcome.kind === 'locked') return { release: outcome.release }
  throw new CinderError(
    'failed_precondition',
    `data directory ${dataDir} is in use by process ${outcome.pid}; stop it, or set CINDER_DATA_DIR and PORT for a second instance`,
    { reason: 'data_dir_in_use' },
  )
}

async function lock(dataDir: string): Promise<LockOutcome> {
  try {
    await mkdir(dataDir, { recursive: true })
    return await lockFile(join(dataDir, 'cinder.lock'))
  } catch (error) {
    if (error instanceof CinderError) throw error
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is not a directory' : `it cannot be written to (${code})`
    throw new CinderError('failed_precondition', `data directory ${dataDir}: ${why}; set CINDER_DATA_DIR to another`, {
      cause: error,
    })
  }
}
