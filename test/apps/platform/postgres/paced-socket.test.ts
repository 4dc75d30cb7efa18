import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createSql } from '#db/client.ts'
import { createPacedSocket } from '#platform/postgres/paced-socket.ts'
import { withDatabase } from '../../../support/postgres.ts'
import { waitUntil } from '../../../support/process.ts'

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
  const url = `postgres://nobody@127.0.0.1:${port}/none`
  const sql = createSql({ url, maxConnections: 1, socket: createPacedSocket() })
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

test('a server that answers is reached at once by all connections, and one that is not there refuses', async () => {
  const database = await withDatabase({ empty: true })
  const sql = createSql({ url: database.env.DATABASE_URL, maxConnections: 8, socket: createPacedSocket() })
  const rows = await Promise.all(Array.from({ length: 8 }, () => sql`select pg_sleep(0.05), pg_backend_pid() as pid`))
  assert.equal(new Set(rows.map(([row]) => row!.pid)).size, 8)
  await sql.end({ timeout: 1 })
  await database.close()
  for (const address of [{ host: '/nonexistent' }, { url: 'postgres://x@127.0.0.1:1/x' }]) {
    const none = createSql({ ...address, user: 'x', database: 'x', maxConnections: 1, socket: createPacedSocket() })
    await assert.rejects(none`select 1`, { code: /ENOENT|ECONNREFUSED/ })
    await none.end({ timeout: 0 })
  }
})
