/**
 * A cluster of the embedded Postgres with the newest schema in it, made once and copied by every test process: sixty of
 * them would each spend most of a second on initdb and migrations.
 *
 * It lies in `node_modules/.cache`, named by what it was made of (migrations and versions of packages), and appears there by
 * a rename, whole or not at all. A process that cannot read or write it does without.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readMigrations } from '#db/migrate.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..', '..')
const CACHE = join(ROOT, 'node_modules', '.cache', 'cinder-cluster')
/** What the launcher keeps of a cluster; its port is every server's own. */
const KEPT = ['cluster', 'password']
/**
 * Half of it is a log that is empty so far: as holes it costs nothing to copy, 40 of 110 ms of CPU. Not every `cp` makes
 * them, every one keeps them or fills them.
 */
const COPIES = [['-a', '--sparse=always'], ['-a']]
const FORMAT = 'with holes'
/** Of what other migrations made: a run that copies it is over by then. */
const STALE_MS = 3_600_000

async function cachePath(): Promise<string> {
  const hash = createHash('sha256')
  hash.update(FORMAT)
  hash.update(await readFile(join(ROOT, 'package.json')))
  for (const { version, text } of readMigrations()) hash.update(`${version}\n${text}\n`)
  return join(CACHE, hash.digest('hex').slice(0, 16))
}

/** True if `dataDir` has a cluster now, with the migrated template in it. */
export async function takePreparedCluster(dataDir: string): Promise<boolean> {
  try {
    const source = await cachePath()
    await run('cp', ['-a', ...KEPT.map((name) => join(source, name)), dataDir])
    return true
  } catch {
    // Half a copy would be taken for a cluster.
    for (const name of KEPT) await rm(join(dataDir, name), { recursive: true, force: true })
    return false
  }
}

/** For the processes after this one. The server in `dataDir` must have stopped. */
export async function keepPreparedCluster(dataDir: string): Promise<void> {
  try {
    await mkdir(CACHE, { recursive: true })
    const made = await mkdtemp(join(CACHE, 'new-'))
    await copyFirst(COPIES, [...KEPT.map((name) => join(dataDir, name)), made])
    // Fails if another process was first: theirs is as good.
    await rename(made, await cachePath()).catch(() => rm(made, { recursive: true, force: true }))
    for (const name of await readdir(CACHE)) {
      const path = join(CACHE, name)
      const ageMs = Date.now() - (await stat(path)).mtimeMs
      if (path !== (await cachePath()) && ageMs > STALE_MS) await rm(path, { recursive: true, force: true })
    }
  } catch {
    // A directory that cannot be written: every process makes its own.
  }
}

async function copyFirst(ways: readonly (readonly string[])[], paths: readonly string[]): Promise<void> {
  const [way = [], ...others] = ways
  try {
    await run('cp', [...way, ...paths])
  } catch (error) {
    if (others.length === 0) throw error
    await copyFirst(others, paths)
  }
}
