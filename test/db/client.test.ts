import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createSql, parseInt8 } from '#db/client.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { waitUntil } from '../support/process.ts'

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
  const [settings] = await database.sql`
    select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle`
  assert.deepEqual({ ...settings }, { statement: '5s', idle: '30s' })
})

test('an address may be a url', async () => {
  const sql = createSql({ url: 'postgres://nobody@127.0.0.1:1/none' })
  await assert.rejects(sql`select 1`)
  await sql.end()
})

test('a proxy that closes without a word is not asked hundreds of times a second', async () => {
  let taken = 0
  const proxy = createServer((socket) => {
    taken++
    socket.on('error', () => undefined)
    socket.on('data', () => socket.end())
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  const { port } = proxy.address() as AddressInfo
  const sql = createSql({ url: `postgres://nobody@127.0.0.1:${port}/none`, maxConnections: 1 })
  const startedMs = performance.now()
  const asked = sql`select 1`
  asked.catch(() => undefined)
  await waitUntil('it came five times', () => taken === 5)
  // 40, 80, 160 and 320 ms between them.
  assert.ok(performance.now() - startedMs >= 590)
  await sql.end({ timeout: 0 })
  await assert.rejects(asked)
  proxy.close()
})
