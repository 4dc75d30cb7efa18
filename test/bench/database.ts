/**
 * A database with the newest schema on a server of its own, for benches of statements, not of disks: without fsync. Both are
 * gone when the bench is over, however it ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '#core/ports/log.ts'
import { type ClientSettings, createSql, type Sql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { startPostgres } from '#platform/postgres/launcher.ts'
import { createSilentLog } from '../support/silent-log.ts'

export interface BenchDatabase {
  readonly sql: Sql
  /** Another pool on it. */
  connect(settings?: Pick<ClientSettings, 'maxConnections'>): Sql
  /** The process of Postgres that accepts connections. */
  readonly pid: number
  readonly log: Log
}

export async function withBenchDatabase<Result>(
  run: (database: BenchDatabase) => Promise<Result>,
  options: { readonly settings?: Readonly<Record<string, string>>; readonly statementTimeoutMs?: number } = {},
): Promise<Result> {
  const { settings = {}, ...pool } = options
  const dataDir = mkdtempSync(join(tmpdir(), 'cinder-bench-'))
  const log = createSilentLog()
  const postgres = await startPostgres({ dataDir, log, settings: { fsync: 'off', ...settings } })
  const pools: Sql[] = []
  const connect = (more: Pick<ClientSettings, 'maxConnections'> = {}): Sql => {
    const sql = createSql({ url: postgres.url, ...pool, ...more })
    pools.push(sql)
    return sql
  }
  try {
    const sql = connect()
    await migrate(sql)
    return await run({ sql, connect, pid: postgres.pid, log })
  } finally {
    await Promise.all(pools.map((sql) => sql.end({ timeout: 2 })))
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
