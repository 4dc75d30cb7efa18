/** `apps/all-in-one` as a real process on a free port and a data directory of its own. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { findByWorkingDir } from '#platform/postgres/process-identity.ts'
import { takePreparedCluster } from './prepared-cluster.ts'
import { EXIT_DEADLINE_MS, inTime, type Program, startProgram, waitUntil } from './process.ts'
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
  await prepareCluster(dataDir)
  const env = cleanEnv({ CINDER_DATA_DIR: dataDir, ...options.settings })
  const main = options.main ?? join(ROOT, 'apps', 'all-in-one', 'main.ts')
  const program = startProgram({ command: [process.execPath, main], cwd: dataDir, env })
  const url = (await program.waitFor(/"event":"ready","url":"([^"]+)"/))[1]!
  return { program, url, send: sendTo(url) }
}

/** A first start with the cluster of a second one: initdb is a second of CPU, and not what these suites are about. */
export async function prepareCluster(dataDir: string): Promise<void> {
  const postgresDir = join(dataDir, 'postgres')
  if (existsSync(postgresDir)) return
  await mkdir(postgresDir, { recursive: true })
  if (!(await takePreparedCluster(postgresDir))) await rm(postgresDir, { recursive: true })
}

/** SIGTERM, a clean end, and no database left behind. */
export async function stopServer(server: ServerProcess, dataDir: string): Promise<void> {
  server.program.kill('SIGTERM')
  const { program } = server
  const { code } = await inTime(program.exited, EXIT_DEADLINE_MS, 'the server ends').catch((error: unknown) => {
    throw new Error(`${String(error)}:\n${program.output()}`)
  })
  if (code !== 0) throw new Error(`the server ended with ${code}:\n${server.program.output()}`)
  await waitUntilNoDatabase(dataDir)
}

export function waitUntilNoDatabase(dataDir: string): Promise<void> {
  return waitUntil('no process works in the cluster', async () => {
    return (await findByWorkingDir(join(dataDir, 'postgres', 'cluster'))).length === 0
  })
}
