/** DATABASE_URL with several hosts: the one that takes writes is found, also after they have changed their roles. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createSql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { createMetastore } from '../../../apps/metastore/app.ts'
import { type Database, openDatabase } from '../../../apps/metastore/database.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { HOUR_MS, makeSegment } from '../../support/metastore-requests.ts'
import { startOwnPostgres, type OwnPostgres } from '../../support/own-postgres.ts'
import { waitUntil } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const PASSWORD = 'same-on-both'
const clock = new HandClock(1_000)
let servers: OwnPostgres[] = []
let database: Database

const run = async (server: OwnPostgres, ...texts: string[]) => {
  const url = new URL(server.url)
  url.password = PASSWORD
  const sql = createSql({ url: url.href, maxConnections: 1 })
  for (const text of texts) await sql.unsafe(text)
  await sql.end({ timeout: 1 })
}
const makeStandby = (server: OwnPostgres) =>
  run(server, 'alter system set default_transaction_read_only = on', 'select pg_reload_conf()')
const makePrimary = (server: OwnPostgres) =>
  run(server, 'alter system reset default_transaction_read_only', 'select pg_reload_conf()')

before(async () => {
  servers = await Promise.all([startOwnPostgres(), startOwnPostgres()])
  for (const server of servers) {
    const sql = createSql({ url: server.url, maxConnections: 1 })
    await migrate(sql)
    await sql.unsafe(`alter role cinder password '${PASSWORD}'`)
    await sql.end({ timeout: 1 })
  }
  await makeStandby(servers[0]!)
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const url = `postgres://cinder:${PASSWORD}@${hosts}/postgres`
  database = await openDatabase({ url }, { clock, log: createSilentLog() })
})
after(async () => {
  await database.stop()
  await Promise.all(servers.map((server) => server.close()))
})

test('reads go where writes go: a query after an acknowledgement sees the data, before and after a failover (H34)', async () => {
  const metastore = createMetastore({
    sql: database.sql,
    clock,
    log: createSilentLog(),
    settings: defaultSettings('hosts'),
  })
  const range = { tenants: ['anonymous'], services: [], startMs: HOUR_MS, endMs: HOUR_MS }
  const found = async () => (await metastore.planQuery(range)).objects.map(({ objectId }) => objectId)
  const portOf = async () => (await database.sql`select inet_server_port() as port`)[0]!.port as number
  for (let i = 0; i < 20; i++) {
    await metastore.commitSegment(makeSegment(`here-${i}`, [{ profiles: [i + 1] }]))
    assert.ok((await found()).includes(`here-${i}`))
  }
  assert.equal(await portOf(), servers[1]!.port)
  await makePrimary(servers[0]!)
  await makeStandby(servers[1]!)
  await waitUntil('the other one is found', async () => {
    clock.advance(500)
    return (await portOf().catch(() => 0)) === servers[0]!.port
  })
  await waitUntil('all is well', () => {
    clock.advance(500)
    return database.health().state === 'ok'
  })
  for (let i = 0; i < 20; i++) {
    await metastore.commitSegment(makeSegment(`there-${i}`, [{ profiles: [i + 101] }]))
    assert.ok((await found()).includes(`there-${i}`))
  }
})
