/**
 * An edge app as a real process of each runtime that it is shipped for: Bun and Deno run the sources, workerd runs the
 * bundle of `main.edge.ts` by a configuration as small as it can be. All three come from the lock file.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleEdge } from './bundle.ts'
import { type Program, startProgram, waitForHttp } from '../support/process.ts'
import { type Send, sendTo } from '../support/server-client.ts'
import { cleanEnv, ROOT } from '../support/server-process.ts'

export const RUNTIMES = ['bun', 'deno', 'workerd'] as const
export type Runtime = (typeof RUNTIMES)[number]

export type EdgeApp = 'distributor' | 'query-frontend'
export type EdgeSettings = Readonly<Record<string, string>>

export interface EdgeProcess {
  readonly url: string
  readonly send: Send
  readonly program: Program
  stop(): Promise<void>
}

/** The newest behaviour that the workerd of the lock file knows and that the documents of the platform describe. */
const COMPATIBILITY_DATE = '2026-11-01'

/**
 * Of the JavaScript heap, where a runtime can bound it: buffers of bodies lie beside it. A worker's 128 MB hold both;
 * `memory.test.ts` measures both.
 */
const HEAP_MIB_MAX = 64

/** The packages put the real binary in place of their launcher when that first runs: once, before anything else. */
export function prepareRuntimes(): void {
  for (const name of ['deno', 'workerd']) {
    const ran = spawnSync(binary(name), ['--version'], { encoding: 'utf8' })
    if (ran.status !== 0) throw new Error(`${name} --version ended with ${ran.status}: ${ran.stderr}${ran.error ?? ''}`)
  }
}

export async function startEdge(runtime: Runtime, app: EdgeApp, settings: EdgeSettings): Promise<EdgeProcess> {
  if (runtime === 'workerd') return startWorkerd(app, settings)
  const env = cleanEnv(settings)
  const program = startProgram({ command: commandOf(runtime, app), cwd: ROOT, env })
  const url = (await program.waitFor(/"event":"[^"]+ ready","url":"([^"]+)"/))[1]!
  return edgeProcess(program, url)
}

function commandOf(runtime: 'bun' | 'deno', app: EdgeApp): [string, ...string[]] {
  if (runtime === 'bun') return [process.execPath, `apps/${app}/main.ts`]
  // Nothing is looked up outside node_modules, and nothing is asked of a person.
  const offline = ['--no-prompt', '--no-check', '--cached-only', '--node-modules-dir=manual']
  const heap = `--v8-flags=--max-old-space-size=${HEAP_MIB_MAX}`
  return [binary('deno'), 'run', ...offline, '--allow-env', '--allow-net', heap, `apps/${app}/main.deno.ts`]
}

async function startWorkerd(app: EdgeApp, settings: EdgeSettings): Promise<EdgeProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'cinder-workerd-'))
  const { code } = await bundleEdge(`apps/${app}/main.edge.ts`)
  await writeFile(join(directory, 'worker.js'), code)
  await writeFile(join(directory, 'config.capnp'), workerdConfig(settings))
  const command: [string, ...string[]] = [binary('workerd'), 'serve', '--control-fd=1', join(directory, 'config.capnp')]
  const program = startProgram({ command, cwd: directory, env: cleanEnv({}) })
  const port = (await program.waitFor(/"event":"listen","socket":"http","port":(\d+)/))[1]!
  const edge = edgeProcess(program, `http://127.0.0.1:${port}`)
  await waitForHttp(`${edge.url}/ready`)
  return {
    ...edge,
    async stop() {
      await edge.stop()
      await rm(directory, { recursive: true, force: true })
    },
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

function edgeProcess(program: Program, url: string): EdgeProcess {
  return {
    url,
    send: sendTo(url),
    program,
    async stop() {
      program.kill('SIGTERM')
      await program.exited
    },
  }
}
