/**
 * What a type check found, for the next one: unchanged files are not checked again, 2.5 s of CPU instead of 8.
 *
 * 1. A run works on a copy of its own, because several runs may go on in one checkout.
 * 2. Only a run without errors puts its copy in place, whole, by a rename.
 *
 * Without a directory that can be written to everything is checked. It must not be used in continuous integration, which
 * believes nothing that it has not seen.
 */
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { removeLeftovers } from './leftovers.ts'

export interface TypeMemory {
  /** For the compiler; none without a memory. */
  readonly args: readonly string[]
  /** After a check without errors. */
  keep(): void
  drop(): void
}

export const NO_TYPE_MEMORY: TypeMemory = { args: [], keep: () => undefined, drop: () => undefined }

/** `run` tells this run from others beside it: its process. */
export function openTypeMemory(dir: string, { name, run }: { name: string; run: string }): TypeMemory {
  const kept = join(dir, `${name}.tsbuildinfo`)
  const own = join(dir, `${name}.${run}.tsbuildinfo`)
  try {
    mkdirSync(dir, { recursive: true })
    removeLeftovers({ parent: dir, pattern: /\.(\d+)\.tsbuildinfo$/ })
    // The compiler fails where it cannot write; a directory of another user is there all the same.
    writeFileSync(own, '')
    rmSync(own)
    ignoreAbsent(() => copyFileSync(kept, own))
  } catch {
    return NO_TYPE_MEMORY
  }
  return {
    args: ['--incremental', '--tsBuildInfoFile', own],
    keep: () => ignoreAbsent(() => renameSync(own, kept)),
    drop: () => rmSync(own, { force: true }),
  }
}

/** The first run finds nothing; one that could not write left nothing. */
function ignoreAbsent(act: () => void): void {
  try {
    act()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
