/**
 * The database as a metastore uses it: who stands between, a pool for each purpose, its health, and a listener.
 *
 * 1. One probing connection finds out whether a pooler stands between (db/pooler.ts). Behind one nothing of a session is
 *    relied on, and LISTEN goes to the direct address if there is one; else polling does alone.
 * 2. Pools, each with a name in pg_stat_activity and a maximum: `hot` for commits, claims and queries; `reads`, one connection
 *    that queries prefer because it knows their statements (db/read-lane.ts); `duties` for work that may take long, so that
 *    it never stands before a commit.
 * 3. One monitor watches them (database-health.ts).
 * The schema is brought up to date through the direct address too: a migration is one long transaction.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { sqlErrorText } from '#db/errors.ts'
import { type Listener, startListener } from '#db/listener.ts'
import { migrate } from '#db/migrate.ts'
import { openPool } from '#db/pool.ts'
import { detectPooler } from '#db/pooler.ts'
import { createPacedSocket } from '#platform/postgres/paced-socket.ts'
import { type DatabaseHealth, DatabaseMonitor, STATE_TEXT } from './database-health.ts'

export interface DatabaseSettings {
  readonly url: string
  /** Past a pooler: for LISTEN and migrations. */
  readonly directUrl?: string | undefined
}

export interface Database {
  /** Commits, claims, queries: statements of milliseconds. */
  readonly sql: Sql
  /** One connection, for who finds it free. */
  readonly readSql: Sql
  /** Duties: statements of seconds, and what may wait. */
  readonly dutySql: Sql
  health(): DatabaseHealth
  /** Calls back on every notification, and when some may have been lost. Behind a pooler without a direct address: never. */
  listen(channel: string, onWake: () => void): void
  /** Versions applied. */
  migrate(): Promise<number[]>
  stop(): Promise<void>
}

/** A commit holds a connection for about 5 ms: ten carry 2,000 commits a second. */
const HOT_CONNECTIONS_MAX = 10
/** Short of the statement's 5 s, so that the error names the lock. */
const HOT_LOCK_TIMEOUT_MS = 4 * MS_PER_SECOND
/** Duties run side by side, but most wait for an object store or for their time. */
const DUTY_CONNECTIONS_MAX = 4
const DUTY_STATEMENT_TIMEOUT_MS = 60 * MS_PER_SECOND
/** A duty that waits for a strong lock makes every commit wait behind it. */
const DUTY_LOCK_TIMEOUT_MS = 2 * MS_PER_SECOND

export async function openDatabase(
  settings: DatabaseSettings,
  deps: { readonly clock: Clock; readonly log: Log },
): Promise<Database> {
  const { url } = settings
  const { clock, log } = deps
  const pooler = await detectPooler({ url, socket: createPacedSocket() }).catch((cause: unknown) => {
    // For the operator who starts it: with the address.
    throw new CinderError('unavailable', `connect: ${sqlErrorText(cause)}`, { reason: 'metastore_database', cause })
  })
  const isPooled = pooler !== undefined
  const listenUrl = isPooled ? settings.directUrl : url
  if (isPooled) {
    const advice =
      "give its user limits of its own: alter role … set statement_timeout = '5s', lock_timeout = '4s', jit = off"
    log.warn('a connection pooler stands before the database', { how: pooler, listen: listenUrl !== undefined, advice })
  }
  const shared = { url, isPooled, onError: (error: unknown) => monitor.observe(error) }
  const hot = openPool({
    ...shared,
    socket: createPacedSocket(),
    name: 'hot',
    maxConnections: HOT_CONNECTIONS_MAX,
    lockTimeoutMs: HOT_LOCK_TIMEOUT_MS,
  })
  const duties = openPool({
    ...shared,
    socket: createPacedSocket(),
    name: 'duties',
    maxConnections: DUTY_CONNECTIONS_MAX,
    statementTimeoutMs: DUTY_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: DUTY_LOCK_TIMEOUT_MS,
  })
  const reads = openPool({ ...shared, socket: createPacedSocket(), name: 'reads', maxConnections: 1 })
  const pools = [hot, reads, duties]
  const recycle = (how: 'destroy' | 'drain') => {
    for (const pool of pools) pool.recycle(how)
  }
  const monitor = new DatabaseMonitor({ sql: hot.sql, clock, log, recycle })
  monitor.start()
  const listeners: Listener[] = []
  return {
    sql: hot.sql,
    readSql: reads.sql,
    dutySql: duties.sql,
    health() {
      const { seen } = monitor
      const listed = pools.map(({ name, maxConnections }) => ({ name, maxConnections }))
      if (listeners.length > 0) listed.push({ name: 'listener', maxConnections: listeners.length })
      const isListening = listeners.some((listener) => listener.isListening())
      return { ...seen, text: STATE_TEXT[seen.state], pooler, isListening, pools: listed }
    },
    listen(channel, onWake) {
      if (listenUrl === undefined) return
      listeners.push(startListener({ client: { url: listenUrl, socket: createPacedSocket() }, channel, clock, onWake }))
    },
    migrate: () => migrateBy(settings.directUrl ?? url, settings.directUrl === undefined && isPooled),
    async stop() {
      await Promise.all(listeners.map((listener) => listener.stop()))
      await monitor.stop()
      await Promise.all(pools.map((pool) => pool.end()))
    },
  }
}

/** By a pool, for what the client remembers of a lost connection (db/pool.ts): a start must fail, and not hang. */
async function migrateBy(url: string, isPooled: boolean): Promise<number[]> {
  const pool = openPool({ url, isPooled, name: 'migration', maxConnections: 1, socket: createPacedSocket() })
  try {
    return await migrate(pool.sql)
  } finally {
    await pool.end()
  }
}
