/**
 * How an edge app is run by each runtime that it is shipped for: Bun and Deno run the sources, workerd runs the bundle of
 * `main.edge.ts` by a configuration as small as it can be. All three come from the lock file.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleEdge, ROOT } from './bundle.ts'

export const RUNTIMES = ['bun', 'deno', 'workerd'] as const
export type Runtime = (typeof RUNTIMES)[number]

export type EdgeApp = 'distributor' | 'query-frontend'
export type EdgeSettings = Readonly<Record<string, string>>

export interface EdgeCommand {
  readonly command: [string, ...string[]]
  readonly cwd: string
  /** In addition to what the program inherits. */
  readonly env: Readonly<Record<string, string>>
  /** What it prints when it listens; the first group is the URL or the port. */
  readonly ready: RegExp
  /** Removes its files. */
  remove(): Promise<void>
}

/** The newest behaviour that the workerd of the lock file knows and that the documents of the platform describe. */
const COMPATIBILITY_DATE = '2026-11-01'

/**
 * Of the JavaScript heap, where a runtime can bound it: buffers of bodies lie beside it. A worker's 128 MB hold both;
 * `memory.test.ts` measures both.
 */
const HEAP_MIB_MAX = 64

/** As the README says for 128 MB: without it glibc keeps up to 20 MB of freed buffers. */
const DENO_MALLOC = { MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' }

/** The packages put the real binary in place of their launcher when that first runs: once, before anything else. */
export function prepareRuntimes(): void {
  for (const name of ['deno', 'workerd']) {
    const ran = spawnSync(binary(name), ['--version'], { encoding: 'utf8' })
    if (ran.status !== 0) throw new Error(`${name} --version ended with ${ran.status}: ${ran.stderr}${ran.error ?? ''}`)
  }
}

export async function edgeCommand(runtime: Runtime, app: EdgeApp, settings: EdgeSettings): Promise<EdgeCommand> {
  if (runtime === 'workerd') return workerdCommand(app, settings)
  return {
    command: sourceCommand(runtime, app),
    cwd: ROOT,
    env: { ...(runtime === 'deno' ? DENO_MALLOC : {}), PORT: '0', ...settings },
    ready: /"event":"[^"]+ ready","url":"([^"]+)"/,
    remove: async () => undefined,
  }
}

function sourceCommand(runtime: 'bun' | 'deno', app: EdgeApp): [string, ...string[]] {
  if (runtime === 'bun') return [process.execPath, `apps/${app}/main.ts`]
  // Nothing is looked up outside node_modules, and nothing is asked of a person.
  const offline = ['--no-prompt', '--no-check', '--cached-only', '--node-modules-dir=manual']
  const heap = `--v8-flags=--max-old-space-size=${HEAP_MIB_MAX}`
  return [binary('deno'), 'run', ...offline, '--allow-env', '--allow-net', heap, `apps/${app}/main.deno.ts`]
}

async function workerdCommand(app: EdgeApp, settings: EdgeSettings): Promise<EdgeCommand> {
  const directory = await mkdtemp(join(tmpdir(), 'cinder-workerd-'))
  const { code } = await bundleEdge(`apps/${app}/main.edge.ts`)
  await writeFile(join(directory, 'worker.js'), code)
  await writeFile(join(directory, 'config.capnp'), workerdConfig(settings))
  return {
    command: [
      binary('workerd'),
      'serve',
      '--control-fd=1',
      '--inspector-addr=127.0.0.1:0',
      join(directory, 'config.capnp'),
    ],
    cwd: directory,
    env: {},
    ready: /"event":"listen","socket":"http","port":(\d+)/,
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

function workerdConfig(settings: EdgeSettings): string {
  const bindings = Object.entries(settings).map(([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`)
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ["--max-old-space-size=${HEAP_MIB_MAX}"],
  services = [
    (name = "edge", worker = .edge),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  bindings = [${bindings.join(', ')}],
);
`
}

/** Cap'n Proto's strings are C's. */
function quote(text: string): string {
  return JSON.stringify(text)
}

function binary(name: string): string {
  return join(ROOT, 'node_modules', '.bin', name)
}
