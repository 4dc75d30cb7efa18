import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createSql, parseInt8 } from '#db/client.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase({ empty: true })
})
after(() => database.close())

test('int8 is a number while it is exact, a bigint beyond', async () => {
  assert.equal(parseInt8('9007199254740991'), Number.MAX_SAFE_INTEGER)
  assert.equal(parseInt8('-9007199254740993'), -9_007_199_254_740_993n)
  const [row] = await database.sql`select 2::bigint ^ 0 as f, 7::bigint as small, ${2n ** 62n}::bigint as large`
  assert.deepEqual({ ...row }, { f: 1, small: 7, large: 2n ** 62n })
})

test('bytes and bitmaps come back as they went', async () => {
  const [row] =
    await database.sql`select ${Uint8Array.of(0, 255, 7)}::bytea as bytes, B'101' as fixed, '0110'::bit varying as bits`
  assert.deepEqual([...row!.bytes], [0, 255, 7])
  assert.equal(row!.bits, '0110')
})

test('a statement that takes too long is aborted by the server', async () => {
  // Those of a test have a limit of their own.
  const sql = createSql({ url: database.env.DATABASE_URL, maxConnections: 1 })
  const [settings] = await sql`
    select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle`
  await sql.end()
  assert.deepEqual({ ...settings }, { statement: '5s', idle: '30s' })
})

test('an address may be a url', async () => {
  const sql = createSql({ url: 'postgres://nobody@127.0.0.1:1/none' })
  await assert.rejects(sql`select 1`)
  await sql.end()
})
