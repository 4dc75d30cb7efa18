/** A migration whose connection is lost says so and changes nothing; the next start does all of it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { migrate, readMigrations, SCHEMA_VERSION } from '#db/migrate.ts'
import { openPool, type Pool } from '#db/pool.ts'
import { createPacedSocket } from '#platform/postgres/paced-socket.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { waitUntil } from '../support/process.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const LAST = { version: SCHEMA_VERSION + 1, name: 'last', text: 'alter table tombstones add column last int' }
const ALL = [...readMigrations(), LAST]
/** It waits for a lock once, and for its next turn until the connection is gone. */
const PATIENCE = { lockWaitMs: 20, pauseMs: 4_000, attemptsMax: 1_000 }
let database: TestDatabase
let proxy: TcpProxy

before(async () => {
  database = await withDatabase()
  proxy = await startTcpProxy(Number(new URL(database.env.DATABASE_URL).port))
})
after(async () => {
  proxy.close()
  await database.close()
})

function openMigrator(): Pool {
  const url = proxy.urlOf(database.env.DATABASE_URL)
  return openPool({ url, name: 'migration', maxConnections: 1, socket: createPacedSocket() })
}

async function until(query: string): Promise<void> {
  const watching = database.connect({ maxConnections: 1 })
  await waitUntil(`the migration is at ${query}`, async () => {
    const there = await watching`select from pg_stat_activity
      where application_name = 'cinderblock migration' and state = 'active' and query like ${`%${query}%`}`
    return there.length === 1
  })
}

const terminate = () =>
  database.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cinderblock migration'`

for (const [how, cut] of [
  ['its session is ended', terminate],
  ['the network resets', async () => proxy.cut()],
] as const)
  test(`${how} while it waits for another migrator, and while it pauses for a lock: an error, and nothing changed (H27)`, async () => {
    const pool = openMigrator()
    for (const at of ['pg_advisory_xact_lock', 'pg_sleep']) {
      const failing = await database.sql.begin(async (tx) => {
        if (at === 'pg_sleep') await tx`lock table tombstones in access share mode`
        else await tx`select pg_advisory_xact_lock(7210331)`
        const running = migrate(pool.sql, ALL, PATIENCE).then(
          (versions) => versions,
          (error: unknown) => error,
        )
        await until(at)
        await cut()
        return { running }
      })
      const error = await failing.running
      assert.ok(error instanceof CinderError, String(error))
      assert.deepEqual([error.kind, error.outcome], ['unavailable', 'unknown'], error.message)
      assert.equal((await database.sql`select from schema_migrations where version = ${LAST.version}`).length, 0)
    }
    await pool.end()
  })

test('the next one does it, once', async () => {
  const pool = openMigrator()
  assert.deepEqual(await migrate(pool.sql, ALL), [LAST.version])
  assert.deepEqual(await migrate(pool.sql, ALL), [])
  await pool.end()
})
