/**
 * The database goes away, stands still, moves, takes no writes: what people are told, what becomes of writes, and the
 * way back without a restart. Servers are real and stopped for real; only the clock of the process is moved by hand.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CinderError } from '#core/errors.ts'
import { createSql, type Sql } from '#db/client.ts'
import { connectionsAtOnceMax } from '#db/connection-slots.ts'
import { migrate } from '#db/migrate.ts'
import { createMetastore, type RunningMetastore } from '../../../apps/metastore/app.ts'
import { type Database, openDatabase } from '../../../apps/metastore/database.ts'
import { type DatabaseState, STATE_TEXT } from '../../../apps/metastore/database-health.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { HOUR_MS, makeSegment } from '../../support/metastore-requests.ts'
import { startOwnPostgres, type OwnPostgres } from '../../support/own-postgres.ts'
import { idle } from '../../support/manual-clock.ts'
import { waitUntil } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'

const clock = new HandClock(1_000_000)
const log = createSilentLog()
const settings = defaultSettings('outage')
let server: OwnPostgres
let other: OwnPostgres | undefined
let proxy: TcpProxy
let admin: Sql
let database: Database
let metastore: RunningMetastore
let dutyRuns = 0
let made = 0

before(async () => {
  server = await startOwnPostgres()
  admin = createSql({ url: server.url, maxConnections: 2 })
  await migrate(admin)
  proxy = await startTcpProxy(server.port)
  database = await openDatabase({ url: proxy.urlOf(server.url) }, { clock, log })
  const duty = { name: 'counted', intervalMs: 1_000, run: async () => void dutyRuns++ }
  metastore = createMetastore({ sql: database.sql, database, clock, log, settings, duties: [duty] })
  await metastore.start()
})
after(async () => {
  proxy.release()
  const stopping = metastore.stop()
  await until(
    'the metastore has stopped',
    async () => (await Promise.race([stopping.then(() => true), tick()])) === true,
  )
  await database.stop()
  await admin.end({ timeout: 1 })
  proxy.close()
  await Promise.all([server.close(), other?.close()])
})

const tick = async () => {
  await idle()
  return false
}
/** Time passes, about 25 times as fast as outside, until the condition holds. */
const until = (what: string, condition: () => boolean | Promise<boolean>) =>
  waitUntil(what, async () => {
    if (await condition()) return true
    clock.advance(500)
    return false
  })
const untilState = (state: DatabaseState) => until(`the state is ${state}`, () => database.health().state === state)
const segment = () => makeSegment(`outage-${++made}`, [{ profiles: [made] }])
const profilesOf = async (of: RunningMetastore) => {
  const { objects } = await of.planQuery({ tenants: ['anonymous'], services: [], startMs: HOUR_MS, endMs: HOUR_MS })
  return objects.map((object) => object.objectId).sort()
}
/** Settles while time passes. */
const settled = async <T>(running: Promise<T>): Promise<T | CinderError> => {
  let result: { value: T | CinderError } | undefined
  running.then(
    (value) => (result = { value }),
    (error: CinderError) => (result = { value: error }),
  )
  await until('it is answered', () => result !== undefined)
  return result!.value
}
/**
 * Within two lease periods of the moment that the database answers again, by the database's time: a run whose end could
 * not be written is due again after 5 s of it, and a look comes at least once a lease.
 */
const assertDutiesResume = async () => {
  const startedMs = performance.now()
  const runs = dutyRuns
  await until('duties go on', () => dutyRuns > runs)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs <= 2 * settings.leaseTtlMs, `duties went on after ${tookMs} ms`)
}

test('Postgres is restarted: retryable errors meanwhile, then all goes on by itself (H27)', async () => {
  await metastore.commitSegment(segment())
  await until('it listens', () => database.health().isListening)
  await server.stop()
  const refused = (await settled(metastore.commitSegment(segment()))) as CinderError
  assert.equal(refused.kind, 'unavailable')
  // What closes without a word looks like a server that is silent; one that refuses is unreachable.
  await until('it is told', () => ['unreachable', 'stalled'].includes(database.health().state))
  const { state, sinceMs, text, lastError } = database.health()
  assert.ok(sinceMs <= clock.nowMs() && text === STATE_TEXT[state] && lastError !== undefined)
  await server.start()
  await untilState('ok')
  assert.deepEqual((await metastore.commitSegment(segment())).verdict, 'committed')
  await assertDutiesResume()
  await until('it listens again', () => database.health().isListening)
  const events = log.events.map(({ event }) => event)
  assert.ok(events.includes('database is not well') && events.includes('database is well again'))
  // It fails in one way, recovers and may fail once more while the server starts: not twice a second.
  for (const event of ['planning failed', 'duties wait: the database was not asked'])
    assert.ok(events.filter((each) => each === event).length <= 3, event)
})

test('Postgres stands still: a commit is unknown in time, its repeat counts once, duties resume (H27)', async () => {
  server.freeze()
  const request = segment()
  const late = (await settled(metastore.commitSegment(request))) as CinderError
  assert.deepEqual([late.kind, late.outcome], ['unavailable', 'unknown'])
  await untilState('stalled')
  server.thaw()
  await untilState('ok')
  const { verdict } = await metastore.commitSegment(request)
  assert.ok(verdict === 'committed' || verdict === 'replayed', verdict)
  const known = await profilesOf(metastore)
  assert.equal(new Set(known).size, known.length)
  assert.equal(known.filter((id) => id === request.objectId).length, 1)
  await assertDutiesResume()
})

test('the network drops everything without a word: new connections, as soon as there is a way (H27)', async () => {
  const runs = dutyRuns
  proxy.hold()
  const late = (await settled(metastore.commitSegment(segment()))) as CinderError
  assert.equal(late.kind, 'unavailable')
  await untilState('stalled')
  proxy.release()
  await untilState('ok')
  assert.equal((await metastore.commitSegment(segment())).verdict, 'committed')
  await until('duties go on', () => dutyRuns > runs)
})

test('a server that takes no writes: queries work, commits are not applied, until it is a primary again (H27)', async () => {
  await admin.unsafe('alter system set default_transaction_read_only = on')
  await admin`select pg_reload_conf()`
  await untilState('read-only')
  assert.equal(database.health().text, STATE_TEXT['read-only'])
  const refused = (await settled(metastore.commitSegment(segment()))) as CinderError
  assert.deepEqual([refused.kind, refused.outcome], ['unavailable', 'not-applied'])
  assert.ok((await profilesOf(metastore)).length > 0)
  await admin.unsafe('alter system reset default_transaction_read_only')
  await admin`select pg_reload_conf()`
  await untilState('ok')
  assert.equal((await metastore.commitSegment(segment())).verdict, 'committed')
})

test('a full disk is told at once, and is over when a transaction finds new space (H27)', async () => {
  await admin.unsafe(`
    create function full_disk() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger full_disk before insert on objects execute function full_disk()`)
  const refused = (await settled(metastore.commitSegment(segment()))) as CinderError
  assert.deepEqual([refused.kind, refused.outcome], ['unavailable', 'not-applied'])
  assert.equal(database.health().state, 'disk-full')
  assert.match(database.health().lastError!, /No space left/)
  await admin.unsafe('drop trigger full_disk on objects; drop function full_disk()')
  await untilState('ok')
  assert.equal((await metastore.commitSegment(segment())).verdict, 'committed')
  assert.equal((await admin`select 1 from pg_class where relname = 'cinder_space'`).length, 0)
})

test('a deadlock or a serialisation failure is repeated at once, three times at most', async () => {
  await admin.unsafe(`
    create sequence attempts;
    create function conflict() returns trigger language plpgsql as
      $$ begin if nextval('attempts') <= 2 then raise exception 'on purpose' using errcode = '40001'; end if; return new; end $$;
    create trigger conflict before insert on objects for each row execute function conflict()`)
  assert.equal((await metastore.commitSegment(segment())).verdict, 'committed')
  await admin`alter sequence attempts restart`
  await admin.unsafe(`create or replace function conflict() returns trigger language plpgsql as
    $$ begin perform nextval('attempts'); raise exception 'on purpose' using errcode = '40P01'; end $$`)
  const refused = (await settled(metastore.commitSegment(segment()))) as CinderError
  assert.deepEqual([refused.kind, refused.outcome], ['unavailable', 'not-applied'])
  assert.equal((await admin`select last_value::int as tries from attempts`)[0]!.tries, 3)
  await admin.unsafe('drop trigger conflict on objects; drop function conflict()')
  assert.equal(database.health().state, 'ok', 'conflicts say nothing of the server')
})

test('five hundred callers at once stay within the pools, and a segment is one transaction (H33)', async () => {
  const seen = new Map<string, number>()
  const watch = async () => {
    const rows = await admin<{ name: string; count: number }[]>`
      select application_name as name, count(*)::int as count from pg_stat_activity
      where application_name like 'cinderblock _%' group by 1`
    for (const { name, count } of rows) seen.set(name, Math.max(seen.get(name) ?? 0, count))
  }
  const commits = async () => {
    return (await admin<{ n: number }[]>`select count(*)::int as n from objects`)[0]!.n
  }
  const before = await commits()
  const progress = { isOver: false }
  const running = Promise.all(Array.from({ length: 500 }, () => metastore.commitSegment(segment()))).finally(() => {
    progress.isOver = true
  })
  while (!progress.isOver) await watch()
  assert.ok((await running).every(({ verdict }) => verdict === 'committed'))
  assert.equal((await commits()) - before, 500)
  const maxima = new Map(
    database.health().pools.map(({ name, maxConnections }) => [`cinderblock ${name}`, maxConnections]),
  )
  // Earlier tests took the server away: what waited then may still have places of its own.
  for (const [name, count] of seen)
    assert.ok(count <= connectionsAtOnceMax(maxima.get(name)!), `${name} had ${count} connections`)
  assert.ok(seen.get('cinderblock hot')! > 1)
  const asked: string[] = []
  const counted = new Proxy(database.sql, {
    apply: (target, self, args: [TemplateStringsArray]) => {
      if (args[0].raw !== undefined) asked.push('statement')
      return Reflect.apply(target, self, args) as unknown
    },
    get: (target, property) => {
      if (property === 'begin') asked.push('transaction')
      return Reflect.get(target, property) as unknown
    },
  })
  await createMetastore({ sql: counted, clock, log, settings }).commitSegment(segment())
  assert.deepEqual(asked, ['statement'], 'a segment costs one statement, which is its own transaction')
})

test('the address moves to another server while connections of the old one never answer (H27, H30)', async () => {
  other = await startOwnPostgres()
  // The password is the first server's: the second one stands for its restored copy.
  const copy = createSql({ url: other.url, maxConnections: 1 })
  await copy.unsafe(`alter role cinder password '${new URL(server.url).password}'`)
  await copy.end({ timeout: 1 })
  const onCopy = createSql({ url: proxyless(other), maxConnections: 1 })
  await migrate(onCopy)
  const lost = await profilesOf(metastore)
  assert.ok(lost.length > 500)
  proxy.moveTo(other.port)
  await untilState('stalled')
  await untilState('ok')
  const request = segment()
  assert.equal(((await settled(metastore.commitSegment(request))) as { verdict: string }).verdict, 'committed')
  // Nothing remembered of the old database is mixed into answers of the new one: they are those of a cold reader.
  const cold = createMetastore({ sql: onCopy, clock, log, settings: defaultSettings('cold') })
  assert.deepEqual(await profilesOf(metastore), [request.objectId])
  assert.deepEqual(await profilesOf(cold), [request.objectId])
  const labels = { tenants: ['anonymous'], startMs: HOUR_MS, endMs: HOUR_MS, names: [], namesOnly: false }
  assert.deepEqual(await metastore.labelSets(labels), await cold.labelSets(labels))
  await assertDutiesResume()
  await onCopy.end({ timeout: 1 })
})

function proxyless(other: OwnPostgres): string {
  const url = new URL(server.url)
  url.port = String(other.port)
  return url.href
}
