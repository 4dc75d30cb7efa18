import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connectionsAtOnceMax } from '#db/connection-slots.ts'
import { openPool, type Pool } from '#db/pool.ts'
import { codeOf } from '#db/errors.ts'
import { untilBlocked } from '../support/blocked-statement.ts'
import { createPacedSocket } from '#platform/postgres/paced-socket.ts'
import { idle } from '../support/manual-clock.ts'
import { waitUntil } from '../support/process.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let pool: Pool
const errors: string[] = []
before(async () => {
  database = await withDatabase()
  const { DATABASE_URL: url } = database.env
  const settings = { url, maxConnections: 2, statementTimeoutMs: 30_000, lockTimeoutMs: 1_000 }
  pool = openPool({ ...settings, name: 'tried', onError: (error) => void errors.push(codeOf(error)) })
})
after(async () => {
  await pool.end()
  await database.close()
})

test('people see the name of the pool, and its limits hold', async () => {
  const [row] = await pool.sql`select current_setting('application_name') as name,
    current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
    current_setting('idle_in_transaction_session_timeout') as idle, current_setting('jit') as jit`
  assert.deepEqual({ ...row }, { name: 'cinderblock tried', statement: '30s', lock: '1s', idle: '30s', jit: 'off' })
})

test('a lock that is held longer than allowed is an error that names it', async () => {
  await database.sql`insert into object_ids (id) values ('held')`
  await database.sql.begin(async (tx) => {
    await tx`select 1 from object_ids where id = 'held' for update`
    await assert.rejects(pool.sql`select 1 from object_ids where id = 'held' for update`, { code: '55P03' })
  })
})

test('every error is shown once: of statements, of raw text, of transactions; fragments do not run by being watched', async () => {
  errors.length = 0
  await assert.rejects(pool.sql`select * from sheep`)
  await assert.rejects(pool.sql.unsafe('select 1 / 0'))
  await assert.rejects(pool.sql.begin((tx) => tx`select 'x'::int`))
  assert.deepEqual(errors, ['42P01', '22012', '22P02'])
  const fragment = pool.sql`where id = ${'none'}`
  assert.equal((await pool.sql`select 1 from object_ids ${fragment}`).length, 0)
  assert.equal(errors.length, 3)
})

test('destroyed: what runs has an unknown end, and the next statement has a new connection', async () => {
  const pidOf = async () => (await pool.sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid
  const before = await pidOf()
  await database.sql.begin(async (tx) => {
    await tx`lock table tombstones in access exclusive mode`
    const running = pool.sql`select 1 from tombstones`
    running.catch(() => undefined)
    await untilBlocked(database.connect({ maxConnections: 1 }))
    pool.recycle('destroy')
    await assert.rejects(running, { code: 'CONNECTION_DESTROYED' })
  })
  assert.notEqual(await pidOf(), before)
})

// Without a socket of ours, as over TLS and for several hosts, only the statement that fails tells of it.
for (const socket of [createPacedSocket(), undefined])
  test(`a connection that is lost is replaced: what ran fails, who asks again at once is answered, by another connection; ${socket === undefined ? 'by the statement' : 'by the socket'}`, async () => {
    const { DATABASE_URL: url } = database.env
    const own = openPool({ url, name: 'lost', maxConnections: 1, ...(socket === undefined ? {} : { socket }) })
    const { options } = own.sql
    const pidOf = async () => (await own.sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid
    const pid = await pidOf()
    await database.sql.begin(async (tx) => {
      await tx`lock table tombstones in access exclusive mode`
      const running = own.sql`select 1 from tombstones`
      // The client alone would answer with the error of the connection before.
      const again = running.then(() => 0, pidOf)
      await untilBlocked(database.connect({ maxConnections: 1 }))
      await tx`select pg_terminate_backend(${pid})`
      await assert.rejects(running, (error) => ['CONNECTION_CLOSED', '57P01'].includes(codeOf(error)))
      if (socket !== undefined) assert.notEqual(await again, pid)
      else await again.catch(() => undefined)
    })
    assert.notEqual(own.sql.options, options, 'another client')
    assert.notEqual(await pidOf(), pid)
    await own.end()
  })

test('drained: what runs may end, the next statement has a new connection', async () => {
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<number>()
  const running = pool.sql.begin(async (tx) => {
    begun.resolve((await tx<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid)
    await held.promise
    return (await tx<{ one: number }[]>`select 1 as one`)[0]!.one
  })
  const pid = await begun.promise
  pool.recycle('drain')
  assert.notEqual((await pool.sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid, pid)
  held.resolve()
  assert.equal(await running, 1)
})

/** Statements and transactions, more than there are connections; the codes of those that fail. */
async function askAll(own: Pool): Promise<string[]> {
  const asked = Array.from({ length: 24 }, (_, i) =>
    i % 2 === 0 ? own.sql`select from tombstones` : own.sql.begin((tx) => tx`select from tombstones`),
  )
  const settled = await Promise.allSettled(asked)
  return settled.flatMap((each) => (each.status === 'rejected' ? [codeOf(each.reason)] : []))
}

test('clients that are changed while all connections are busy, and lost, stay within the maximum and a quarter (H27)', async () => {
  const { sql } = database
  const max = 8
  // Three of the server's processes may be on their way out: without a bound there are 16.
  const limit = connectionsAtOnceMax(max) + 3
  const role = `tight_${process.pid}`
  await sql.unsafe(`create role ${role} login password 'tight' connection limit ${limit}`)
  await sql.unsafe(`grant select on tombstones to ${role}`)
  const url = new URL(database.env.DATABASE_URL)
  url.username = role
  url.password = 'tight'
  const watching = database.connect({ maxConnections: 1 })
  const own = openPool({ url: url.href, name: 'tight', maxConnections: max, socket: createPacedSocket() })
  const failed: string[] = []
  for (let round = 0; round < 3; round++) {
    const answers: Promise<string[]>[] = []
    await sql.begin(async (tx) => {
      await tx`lock table tombstones in access exclusive mode`
      answers.push(askAll(own))
      await waitUntil('all are busy', async () => {
        const blocked =
          await watching`select from pg_stat_activity where usename = ${role} and wait_event_type = 'Lock'`
        return blocked.length === max
      })
      own.recycle('drain')
      answers.push(askAll(own))
      for (let turn = 0; turn < 5; turn++) await idle()
      await watching`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`
    })
    for (const codes of await Promise.all(answers)) failed.push(...codes)
  }
  const lost = failed.filter((code) => ['57P01', 'CONNECTION_CLOSED', 'ECONNRESET'].includes(code))
  assert.deepEqual(failed, lost, 'nothing else happened to them, as 53300')
  assert.ok(lost.length >= 3 * max, `${lost.length} were lost`)
  assert.deepEqual(await askAll(own), [])
  await own.end()
  await sql.unsafe(`drop owned by ${role}`)
  await sql.unsafe(`drop role ${role}`)
})

test('ended: no connection stays, not even one that a drained client has opened for what waited in it', async () => {
  const { DATABASE_URL: url } = database.env
  const own = openPool({ url, name: 'left', maxConnections: 1, socket: createPacedSocket() })
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const running = own.sql.begin(async (tx) => {
    await tx`select 1`
    begun.resolve()
    await held.promise
  })
  await begun.promise
  const waiting = own.sql<{ one: number }[]>`select 1 as one`.execute()
  // It is in the client's hands a turn later.
  await idle()
  own.recycle('drain')
  held.resolve()
  await running
  assert.equal((await waiting)[0]!.one, 1)
  await own.end()
  await waitUntil('no connection is left', async () => {
    const left = await database.sql`select 1 from pg_stat_activity where application_name = 'cinderblock left'`
    return left.length === 0
  })
})
