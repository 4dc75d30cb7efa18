/** `apps/all-in-one` as a process of its own, on a free port and a data directory that is removed afterwards. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface OwnServer {
  readonly url: string
  readonly pid: number
  readonly dataDir: string
  /** From exec to the first answer. */
  readonly readyMs: number
  stop(): Promise<void>
}

export const ROOT = join(import.meta.dirname, '..', '..')

/** First start makes a database cluster: 3 s here, several times that on a loaded machine. */
const READY_DEADLINE_MS = 60_000
/** What is in flight is flushed; beyond it something hangs, and a bench must end. */
const STOP_DEADLINE_MS = 20_000
/** The corpus is a day old and arrives in seconds; a query may end in the past day. */
export const BENCH_LIMITS = { ingestionRateBytes: 0, ingestionBurstBytes: 0, rejectOlderThan: 0, maxQueryLookback: 0 }

/** `more`: settings beside those that every bench needs. */
export async function startOwnServer(more: Readonly<Record<string, string>> = {}): Promise<OwnServer> {
  const dataDir = makeDataDir()
  const remove = () => rmSync(dataDir, { recursive: true, force: true })
  const server = await startServerIn(dataDir, more).catch((error: unknown) => {
    remove()
    throw error
  })
  return { ...server, stop: () => server.stop().finally(remove) }
}

export function makeDataDir(): string {
  return mkdtempSync(join(tmpdir(), 'cinder-bench-'))
}

/** On a directory that stays: to start again on what an earlier process left. */
export async function startServerIn(dataDir: string, more: Readonly<Record<string, string>> = {}): Promise<OwnServer> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(CINDER_|DATABASE_URL|STORAGE_URL|PORT|HOST)/.test(name),
  )
  const settings = { PORT: '0', CINDER_DATA_DIR: dataDir, CINDER_LIMITS: JSON.stringify(BENCH_LIMITS), ...more }
  const startMs = performance.now()
  const child = spawn(process.execPath, [join(ROOT, 'apps', 'all-in-one', 'main.ts')], {
    cwd: dataDir,
    env: { ...Object.fromEntries(inherited), ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
    await ended
    clearTimeout(timer)
  }
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    const look = (chunk: unknown) => {
      // Only the first lines count; a server that is ready may log for ever.
      if (output.length < 100_000) output += String(chunk)
      const found = /"event":"ready","url":"([^"]+)"/.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    const timer = setTimeout(() => reject(new Error(`the server is not ready:\n${output}`)), READY_DEADLINE_MS)
    void ended.then(() => {
      clearTimeout(timer)
      reject(new Error(`the server ended:\n${output}`))
    })
  }).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { url, pid: child.pid!, dataDir, readyMs: performance.now() - startMs, stop }
}
