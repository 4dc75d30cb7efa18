/**
 * Every service as a process of its own: metastore, writer, worker, query-backend, distributor, query-frontend, over an
 * embedded Postgres and a real S3 (radosgw). Ports are free ones, data is removed afterwards.
 *
 * The writer has no budget of PUTs: its pace of four a second would hide in every push what others cost it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#platform/log.ts'
import { startPostgres } from '#platform/postgres/launcher.ts'
import { startRadosgw } from '../support/servers/radosgw.ts'
import { BENCH_LIMITS, ROOT } from './own-server.ts'

export interface OwnFleet {
  readonly distributorUrl: string
  readonly frontendUrl: string
  readonly metastoreUrl: string
  readonly pids: ReadonlyMap<string, number>
  stop(): Promise<void>
}

const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 20_000
/** Of a service that is ready only the first lines count. */
const OUTPUT_CHARS_MAX = 100_000

interface Service {
  readonly url: string
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

export async function startOwnFleet(): Promise<OwnFleet> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cinder-bench-fleet-'))
  const s3 = await startRadosgw()
  const storage = { ...s3.env, STORAGE_URL: `s3://${await s3.makeBucket()}/bench?endpoint=${s3.url}` }
  const log = createLog({ isTerminal: false, nowMs: () => Date.now(), write: () => undefined })
  const postgres = await startPostgres({ dataDir: join(dataDir, 'postgres'), log })
  const services = new Map<string, Service>()
  const start = async (app: string, settings: Readonly<Record<string, string>>): Promise<string> => {
    const service = await startService(app, { cwd: dataDir, settings })
    services.set(app, service)
    return service.url
  }
  const stop = async () => {
    for (const { child, ended } of [...services.values()].toReversed()) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      await ended
      clearTimeout(timer)
    }
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  try {
    const metastoreUrl = await start('metastore', { DATABASE_URL: postgres.url })
    const metastore = { METASTORE_URL: metastoreUrl }
    const limits = { CINDER_LIMITS: JSON.stringify(BENCH_LIMITS) }
    const writerSettings = { ...metastore, ...storage, ...limits, CINDER_PUTS_PER_SECOND: '0' }
    const writerUrl = await start('segment-writer', writerSettings)
    await start('compaction-worker', { ...metastore, ...storage })
    const backendUrl = await start('query-backend', storage)
    const distributorUrl = await start('distributor', { WRITER_URL: writerUrl, ...limits })
    const frontendUrl = await start('query-frontend', { ...metastore, QUERY_BACKEND_URL: backendUrl, ...limits })
    const pids = new Map([...services].map(([app, { child }]) => [app, child.pid!]))
    return { distributorUrl, frontendUrl, metastoreUrl, pids, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startService(
  app: string,
  { cwd, settings }: { readonly cwd: string; readonly settings: Readonly<Record<string, string>> },
): Promise<Service> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(CINDER_|DATABASE_URL|STORAGE_URL|PORT|HOST)/.test(name),
  )
  const child = spawn(process.execPath, [join(ROOT, 'apps', app, 'main.ts')], {
    cwd,
    env: { ...Object.fromEntries(inherited), PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${app} is not ready:\n${output}`))
    }, READY_DEADLINE_MS)
    const look = (chunk: unknown) => {
      if (output.length < OUTPUT_CHARS_MAX) output += String(chunk)
      const found = new RegExp(`"event":"${app} ready"(?:,"url":"([^"]+)")?`).exec(output)
      if (found === null) return
      clearTimeout(timer)
      resolve(found[1] ?? '')
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    void ended.then(() => {
      clearTimeout(timer)
      reject(new Error(`${app} ended:\n${output}`))
    })
  })
  return { url, child, ended }
}
