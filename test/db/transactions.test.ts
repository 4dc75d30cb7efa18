/** Transactions whose connection dies under them, on a real Postgres and through a proxy that resets. */
import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { createSql, type Sql, type SqlSession } from '#db/client.ts'
import { isConnectionGone } from '#db/transactions.ts'
import { waitUntil } from '../support/process.ts'
import { idle } from '../support/manual-clock.ts'
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const TRANSACTIONS = 8
let postgres: OwnPostgres
let proxy: TcpProxy
let admin: Sql
const uncaught: unknown[] = []
const note = (error: unknown): void => void uncaught.push(error)

before(async () => {
  postgres = await startOwnPostgres()
  proxy = await startTcpProxy(postgres.port)
  admin = createSql({ url: postgres.url, maxConnections: 1 })
  process.on('uncaughtException', note)
})
after(async () => {
  process.off('uncaughtException', note)
  await admin.end({ timeout: 1 })
  proxy.close()
  await postgres.close()
})

async function during(kill: () => unknown): Promise<void> {
  const sql = createSql({ url: proxy.urlOf(postgres.url), maxConnections: TRANSACTIONS, name: 'doomed' })
  try {
    const running = Array.from({ length: TRANSACTIONS }, () => sql.begin((tx) => tx`select pg_sleep(60)`))
    const settled = Promise.allSettled(running)
    await waitUntil('all sleep', async () => {
      const sleeping =
        await admin`select from pg_stat_activity where application_name = 'cinderblock doomed' and query like '%pg_sleep(60)%'`
      return sleeping.length === TRANSACTIONS
    })
    await kill()
    for (const outcome of await settled) {
      assert.equal(outcome.status, 'rejected')
      if (outcome.status === 'rejected') assert.ok(isConnectionGone(outcome.reason), String(outcome.reason))
    }
    // What the client wrote to nobody would be heard of by now.
    for (let turn = 0; turn < 5; turn++) await idle()
    assert.deepEqual(uncaught, [])
  } finally {
    await sql.end({ timeout: 0 })
  }
}

test('a server that ends its sessions, and a network that resets, fail the transactions and nothing else (H27)', async () => {
  await during(
    () => admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cinderblock doomed'`,
  )
  await during(() => proxy.cut())
})

test('a statement that fails rolls back, with options or without; what is returned unawaited runs', async () => {
  const sql = createSql({ url: postgres.url, maxConnections: 1 })
  await sql`create table kept (n int primary key)`
  await assert.rejects(
    sql.begin(async (tx) => {
      await tx`insert into kept values (1)`
      await tx`insert into kept values (1)`
    }),
    /duplicate key/,
  )
  await assert.rejects(
    sql.begin('read only', (tx) => tx`insert into kept values (2)`),
    /read-only transaction/,
  )
  await sql.begin((tx) => [tx`insert into kept values (3)`, tx`insert into kept values (4)`])
  const rows = await sql<{ n: number }[]>`select n from kept order by n`
  assert.deepEqual(
    rows.map(({ n }) => n),
    [3, 4],
  )
  await sql.end()
})

test("a dead connection is told by its code, and by whose it was: another's reset is no reason to wait", () => {
  const codes = ['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', '57P01', '57P03', '08006', '40001', '57014', '23505', '']
  const gone = (more: object) =>
    codes.filter((code) => isConnectionGone(Object.assign(new Error('x'), { code, ...more })))
  const ofStatement = { query: 'select 1', parameters: [] }
  assert.deepEqual(gone(ofStatement), ['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', '57P01', '57P03', '08006'])
  assert.deepEqual(gone({}), ['CONNECTION_CLOSED'])
})

test('a call in a transaction that fails like a socket rolls it back at once: its locks are not held', async () => {
  const sql = createSql({ url: postgres.url, maxConnections: 1 })
  await sql`create table held (n int primary key)`
  const waits = mock.method(globalThis, 'setTimeout')
  const failing = sql.begin(async (tx) => {
    await tx`insert into held values (1)`
    throw Object.assign(new Error('the store hung up'), { code: 'ECONNRESET' })
  })
  await assert.rejects(failing, /hung up/)
  waits.mock.restore()
  assert.deepEqual(
    waits.mock.calls.map(({ arguments: [, durationMs] }) => durationMs).filter((durationMs) => durationMs === 5_000),
    [],
  )
  assert.deepEqual([...(await sql`select from held`)], [])
  await sql.end()
})

/** An older transaction waits for a store while its connection dies; what it does then meets a younger one on the same connection. */
async function meetYounger(act: (tx: SqlSession) => Promise<unknown>): Promise<unknown[]> {
  const sql = createSql({ url: postgres.url, maxConnections: 1 })
  await admin`create table if not exists met (n int)`
  const stored = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<number>()
  const acted = Promise.withResolvers<unknown>()
  const older = sql.begin(async (tx) => {
    begun.resolve((await tx<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid)
    await stored.promise
    await act(tx).then(acted.resolve, acted.resolve)
  })
  const pid = await begun.promise
  const inserted = Promise.withResolvers<void>()
  const younger = sql.begin(async (tx) => {
    await tx`insert into met values (2)`
    inserted.resolve()
    await acted.promise
    // Behind whatever the older one sends when its callback has ended.
    for (let turn = 0; turn < 5; turn++) await idle()
    await tx`insert into met values (3)`
    throw new Error('undone')
  })
  const undone = assert.rejects(younger, /undone/)
  await admin`select pg_terminate_backend(${pid})`
  await assert.rejects(older, isConnectionGone)
  await inserted.promise
  stored.resolve()
  await undone
  const outcome = await acted.promise
  const rows = await admin<{ n: number }[]>`select n from met`
  await sql.end({ timeout: 1 })
  return [outcome, ...rows.map(({ n }) => n)]
}

test('a transaction that lost its connection ends nothing and writes nothing on the next one of it', async () => {
  assert.deepEqual(await meetYounger(async () => 'returned'), ['returned'])
  const writes = [
    await meetYounger((tx) => tx`insert into met values (1)`.execute()),
    await meetYounger((tx) => tx.unsafe('insert into met values (1)').execute()),
  ]
  for (const [error, ...rows] of writes) {
    assert.ok(isConnectionGone(error), String(error))
    assert.deepEqual(rows, [])
  }
})
