import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startListener } from '#db/listener.ts'
import { HandClock } from '../support/hand-clock.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { waitUntil } from '../support/process.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase({ empty: true })
})
after(() => database.close())

const listen = (url: string) => {
  const clock = new HandClock()
  const heard = { wakes: 0 }
  const listener = startListener({ client: { url }, channel: 'news', clock, onWake: () => void heard.wakes++ })
  return { clock, heard, listener }
}
const notify = () => database.sql`select pg_notify('news', '')`

test('it wakes on a notification, and once for what it may have missed before it listened', async () => {
  const { heard, listener } = listen(database.env.DATABASE_URL)
  await waitUntil('it listens', () => listener.isListening())
  assert.equal(heard.wakes, 1)
  await notify()
  await waitUntil('it woke', () => heard.wakes === 2)
  await listener.stop()
  assert.equal(listener.isListening(), false)
})

test('its connection is killed, and it listens again', async () => {
  const { clock, heard, listener } = listen(database.env.DATABASE_URL)
  await waitUntil('it listens', () => listener.isListening())
  await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cinderblock listener'`
  await waitUntil('it noticed', () => !listener.isListening())
  clock.advance(1_000)
  await waitUntil('it listens again', () => {
    clock.advance(1_000)
    return listener.isListening()
  })
  const before = heard.wakes
  assert.ok(before >= 2, 'woken for what was lost')
  await notify()
  await waitUntil('it woke', () => heard.wakes > before)
  await listener.stop()
})

test('a connection that is silent for ever is noticed by a question', async () => {
  const port = Number(new URL(database.env.DATABASE_URL).port)
  const proxy = await startTcpProxy(port)
  const { clock, heard, listener } = listen(proxy.urlOf(database.env.DATABASE_URL))
  await waitUntil('it listens', () => listener.isListening())
  // The same server, but not by the old connection.
  proxy.moveTo(port)
  await waitUntil('it noticed', () => {
    clock.advance(1_000)
    return !listener.isListening()
  })
  await waitUntil('it listens again', () => {
    clock.advance(500)
    return listener.isListening()
  })
  const before = heard.wakes
  await notify()
  await waitUntil('it woke', () => heard.wakes > before)
  await listener.stop()
  proxy.close()
})
