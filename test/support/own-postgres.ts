/** A Postgres for one suite alone, that it may stop, start again and freeze. The launcher ends it with this process, `close` before. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startPostgres } from '#platform/postgres/launcher.ts'
import { createSilentLog } from './silent-log.ts'

export interface OwnPostgres {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
  /** On the same port, with the same data. */
  start(): Promise<void>
  /** Every process of it stands still, until `thaw`. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

export async function startOwnPostgres(
  options: { readonly parentDir?: string; readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<OwnPostgres> {
  const dataDir = mkdtempSync(join(options.parentDir ?? tmpdir(), 'cinder-own-pg-'))
  const log = createSilentLog()
  const settings = { fsync: 'off', ...options.settings }
  const start = () => startPostgres({ dataDir, log, settings })
  let server: EmbeddedPostgres = await start()
  const url = server.url
  let frozen: number[] = []
  const signalAll = (pids: readonly number[], signal: 'SIGSTOP' | 'SIGCONT') => {
    for (const pid of pids) {
      try {
        process.kill(pid, signal)
      } catch {
        // A backend that ended meanwhile.
      }
    }
  }
  return {
    url,
    port: Number(new URL(url).port),
    stop: () => server.stop(),
    async start() {
      server = await start()
      if (server.url !== url) throw new Error(`it came back as ${server.url}, not ${url}`)
    },
    freeze() {
      // The postmaster first: it makes no more children then.
      signalAll([server.pid], 'SIGSTOP')
      const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim()
      frozen = [server.pid, ...(children === '' ? [] : children.split(' ').map(Number))]
      signalAll(frozen, 'SIGSTOP')
    },
    thaw() {
      signalAll(frozen, 'SIGCONT')
      frozen = []
    },
    async close() {
      signalAll(frozen, 'SIGCONT')
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
