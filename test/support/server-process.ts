/** `apps/all-in-one` as a real process on a free port and a data directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { findByWorkingDir } from '#platform/postgres/process-identity.ts'
import { type Program, startProgram, waitUntil } from './process.ts'
import { type Send, sendTo } from './server-client.ts'

export const ROOT = join(import.meta.dirname, '..', '..')

export interface ServerProcess {
  readonly program: Program
  readonly url: string
  readonly send: Send
}

/** Removed when the suite ends, after the servers in it have. */
export async function makeDataDir(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cinder-e2e-'))
  after(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

/** Our own environment without settings of a server. */
export function cleanEnv(settings: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(CINDER_|DATABASE_URL|STORAGE_URL|PORT|HOST)/.test(name),
  )
  return { ...Object.fromEntries(inherited), PORT: '0', ...settings }
}

/** Resolves when it is ready. `main`: the program to run instead of the product's. */
export async function startServer(
  dataDir: string,
  options: { settings?: Readonly<Record<string, string>>; main?: string } = {},
): Promise<ServerProcess> {
  const env = cleanEnv({ CINDER_DATA_DIR: dataDir, ...options.settings })
  const main = options.main ?? join(ROOT, 'apps', 'all-in-one', 'main.ts')
  const program = startProgram({ command: [process.execPath, main], cwd: dataDir, env })
  const url = (await program.waitFor(/"event":"ready","url":"([^"]+)"/))[1]!
  return { program, url, send: sendTo(url) }
}

/** SIGTERM, a clean end, and no database left behind. */
export async function stopServer(server: ServerProcess, dataDir: string): Promise<void> {
  server.program.kill('SIGTERM')
  const { code } = await server.program.exited
  if (code !== 0) throw new Error(`the server ended with ${code}:\n${server.program.output()}`)
  await waitUntilNoDatabase(dataDir)
}

export function waitUntilNoDatabase(dataDir: string): Promise<void> {
  return waitUntil('no process works in the cluster', async () => {
    return (await findByWorkingDir(join(dataDir, 'postgres', 'cluster'))).length === 0
  })
}
