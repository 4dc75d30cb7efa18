/**
 * `npm run bench -- --profile [path…]`: flame graphs of our own hot paths, taken and shown with our own product.
 *
 * 1. Run each path of test/bench/hot-paths.ts under Bun's profiler, in a process of its own.
 * 2. Turn its .cpuprofile into a pprof, push it into a Cinderblock started for it.
 * 3. Print what `cinder query flamegraph` shows.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { encodePprof } from '#core/pprof/encode.ts'
import { cpuprofileSchema, pprofOfCpuprofile } from './cpuprofile.ts'
import { HOT_PATHS, isHotPath } from './hot-paths.ts'
import { type OwnServer, ROOT, startOwnServer } from './own-server.ts'

const ROOT_FUNCTION = 'runHotPath'
const LINES = '17'
/** What is narrower is summed up in a line of its parent. */
const MIN_PERCENT = '5'

function bun(...argv: string[]): string {
  return execFileSync(process.execPath, argv, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function recordPath(path: string, directory: string): string {
  const name = `${path}.cpuprofile`
  const script = join('test', 'bench', 'hot-paths.ts')
  bun('--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}`, script, path)
  const recorded = v.parse(cpuprofileSchema, JSON.parse(readFileSync(join(directory, name), 'utf8')))
  const model = pprofOfCpuprofile(recorded, ROOT_FUNCTION)
  const file = join(directory, `${path}.pprof`)
  writeFileSync(file, encodePprof({ ...model, timeNanos: BigInt(Date.now()) * 1_000_000n }))
  return file
}

function show(path: string, file: string, server: OwnServer): void {
  const cinder = join('apps', 'cli', 'main.ts')
  const service = `cinder-${path}`
  bun(cinder, 'push', file, '--service', service, '--url', server.url)
  const query = ['--query', `{service_name="${service}"}`, '--type', 'process_cpu:cpu:nanoseconds:cpu:nanoseconds']
  const limits = ['--lines', LINES, '--min-percent', MIN_PERCENT, '--url', server.url]
  process.stdout.write(`\n${bun(cinder, 'query', 'flamegraph', ...query, ...limits)}`)
}

/** All of them if none is asked for. The exit code: 2 for an unknown path. */
export async function profileHotPaths(asked: readonly string[]): Promise<number> {
  const unknown = asked.find((path) => !isHotPath(path))
  if (unknown !== undefined) {
    console.error(`bench: unknown hot path ${unknown}; known: ${Object.keys(HOT_PATHS).join(', ')}`)
    return 2
  }
  const directory = mkdtempSync(join(tmpdir(), 'cinder-profile-'))
  const server = await startOwnServer()
  try {
    const paths = asked.length > 0 ? asked : Object.keys(HOT_PATHS)
    for (const path of paths) show(path, recordPath(path, directory), server)
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  return 0
}
