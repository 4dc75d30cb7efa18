/** The whole contract through a real PgBouncer in transaction mode, how it is found out, and what is lost behind it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import { createSql } from '#db/client.ts'
import { detectPooler } from '#db/pooler.ts'
import { readMigrations } from '#db/migrate.ts'
import { acquireLease } from '#db/sql/leases.ts'
import { type Database, openDatabase } from '../../../apps/metastore/database.ts'
import { metastoreContract } from '../../contract/metastore.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { waitUntil } from '../../support/process.ts'
import { pgbouncerAbsent, startPgBouncer, type PgBouncer } from '../../support/servers/pgbouncer.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

const open = (url: string, directUrl?: string, log = createSilentLog()) =>
  openDatabase({ url, directUrl }, { clock: createClock(), log })
const SESSION_SETTINGS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'jit']

describe('through PgBouncer', { skip: pgbouncerAbsent() }, () => {
  const bouncers: PgBouncer[] = []
  const bounce = async (url: string, options = {}) => {
    const bouncer = await startPgBouncer(url, options)
    bouncers.push(bouncer)
    return bouncer.url
  }
  let database: TestDatabase
  const opened: Database[] = []
  const openHere = async (...args: Parameters<typeof open>) => {
    const made = await open(...args)
    opened.push(made)
    return made
  }
  before(async () => {
    database = await withDatabase()
  })
  after(async () => {
    await Promise.all(opened.map((each) => each.stop()))
    await database.close()
    await Promise.all(bouncers.map((bouncer) => bouncer.stop()))
  })

  metastoreContract('PgBouncer in transaction mode', () =>
    createSqlMetastore({}, async ({ env }) => open(await bounce(env.DATABASE_URL))),
  )

  test('a pooler is found out at the start, whether it refuses or swallows settings; none is not suspected (H28)', async () => {
    const { DATABASE_URL: url } = database.env
    assert.equal(await detectPooler({ url }), undefined)
    assert.match((await detectPooler({ url: await bounce(url) }))!, /refused/)
    const swallowing = await bounce(url, { ignoredSettings: SESSION_SETTINGS })
    assert.match((await detectPooler({ url: swallowing }))!, /another process id/)
    const log = createSilentLog()
    const found = await openHere(swallowing, undefined, log)
    assert.match(found.health().pooler!, /another process id/)
    assert.match(String(log.events[0]?.fields.advice), /alter role/)
    found.listen('anything', () => assert.fail('nobody listens through a pooler'))
    assert.equal(found.health().isListening, false)
  })

  test('a lease behind it is a row with an epoch: no session holds it, and none can lose it (H28)', async () => {
    const through = await openHere(await bounce(database.env.DATABASE_URL))
    const request = { name: 'pooled', ttlMs: 60_000, epoch: undefined }
    const holders = Array.from({ length: 12 }, (_, i) => `h${i}`)
    const terms = await Promise.all(holders.map((holder) => acquireLease(through.sql, { ...request, holder })))
    const held = terms.filter((term) => term !== undefined)
    assert.equal(held.length, 1)
    const [pids] = await through.sql<{ locks: number }[]>`
      select count(*)::int as locks from pg_locks where locktype = 'advisory' and database =
        (select oid from pg_database where datname = current_database())`
    assert.equal(pids!.locks, 0, 'an acquire leaves no lock behind')
    // From any session of the pool, and from a direct one, the term counts the same.
    for (let i = 0; i < 12; i++) assert.deepEqual(await acquireLease(through.sql, { ...request, ...held[0]! }), held[0])
    assert.deepEqual(await acquireLease(database.sql, { ...request, ...held[0]! }), held[0])
    assert.equal(await acquireLease(database.sql, { ...request, holder: 'other' }), undefined)
  })

  test('migrations go through it, and once only; with a direct address LISTEN goes past it (H28)', async () => {
    const empty = await withDatabase({ empty: true })
    const { DATABASE_URL: url } = empty.env
    const through = await bounce(url)
    const [one, two] = [await open(through), await open(through, url)]
    const applied = await Promise.all([one.migrate(), two.migrate()])
    assert.equal(applied.flat().length, readMigrations().length)
    let wakes = 0
    two.listen('news', () => wakes++)
    await waitUntil('it listens', () => two.health().isListening)
    const before = wakes
    await one.sql`select pg_notify('news', '')`
    await waitUntil('it woke', () => wakes > before)
    await Promise.all([one.stop(), two.stop()])
    await empty.close()
  })

  test('statements with values and without, and transactions, of many at once are all answered', async () => {
    for (let round = 0; round < 3; round++) {
      const url = await bounce(database.env.DATABASE_URL)
      const clients = [1, 4, 4].map((maxConnections) => createSql({ url, isPooled: true, maxConnections }))
      const ask = async (asker: number): Promise<number> => {
        const sql = clients[asker % clients.length]!
        let answered = 0
        for (let n = 0; n < 15; n++) {
          if (asker % 6 === 0) await sql.begin((tx) => [tx`select ${n}::int`, tx`select ${'x'}::text, pg_sleep(0.002)`])
          else if (asker % 5 === 0) await sql`select 1`
          else await sql`select ${n}::int, ${'y'.repeat(asker * 20)}::text`
          answered++
        }
        return answered
      }
      const answered = await Promise.all(Array.from({ length: 24 }, (_, asker) => ask(asker)))
      assert.deepEqual(new Set(answered), new Set([15]))
      await Promise.all(clients.map((sql) => sql.end({ timeout: 1 })))
    }
  })

  test('what a session would have is indeed lost behind it: this suite would notice a pooler that shares nothing', async () => {
    const sql = createSql({ url: await bounce(database.env.DATABASE_URL), isPooled: true, maxConnections: 12 })
    const pids = await Promise.all(
      Array.from({ length: 40 }, () => sql<{ pid: number }[]>`select pg_backend_pid() as pid, pg_sleep(0.01)`),
    )
    const distinct = new Set(pids.map(([row]) => row!.pid))
    assert.ok(distinct.size <= 3, `12 connections of ours share 3 of the server, not ${distinct.size}`)
    await sql.end({ timeout: 1 })
  })
})
