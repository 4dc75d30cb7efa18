/** The contract of placement on Postgres and on the twin; what only Postgres has; and the table over HTTP. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createPlacement } from '../../../apps/metastore/placement.ts'
import { knownTags, mountPlacement } from '../../../apps/metastore/placement-routes.ts'
import { readPlacementStatus } from '../../../apps/metastore/placement-status.ts'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import { parsePlacementTable } from '#core/placement/table.ts'
import { readPlacementState, placementStateJson } from '#core/placement/state-json.ts'
import { selectRates } from '#db/sql/placement-pass.ts'
import { acquireLease, releaseLease } from '#db/sql/leases.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createPlacementClient } from '#platform/connect/placement-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { placementContract, type PlacementHarness } from '../../contract/placement.ts'
import { PlacementTwin } from '../../support/metastore-twin/placement.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

type PostgresHarness = PlacementHarness & Awaited<ReturnType<typeof openPostgres>>

/** Waits for what it waits for, however busy the machine is: a wait of more than a moment ends with its signal alone. */
function patientClock(): Clock {
  const clock = createClock()
  return {
    nowMs: () => clock.nowMs(),
    sleep: (durationMs, signal) =>
      durationMs < 100
        ? clock.sleep(durationMs, signal)
        : new Promise((resolve) => {
            signal?.addEventListener('abort', () => resolve())
          }),
  }
}

async function openPostgres(database: TestDatabase) {
  const sql = database.connect()
  const log = createSilentLog()
  const deps = { sql, clock: patientClock(), log, holder: randomUUID() }
  return { sql, log, placement: createPlacement(deps) }
}

async function createPostgres(): Promise<PostgresHarness> {
  const database = await withDatabase()
  const opened = await openPostgres(database)
  const { sql, placement } = opened
  return {
    ...opened,
    service: placement.service,
    async pass() {
      const lease = { name: 'placement', holder: randomUUID(), epoch: undefined, ttlMs: 60_000 }
      let term = await acquireLease(sql, lease)
      // A pass that a registration began may still run.
      while (term === undefined) term = await acquireLease(sql, lease)
      await placement.pass.run(term)
      await sql`update leases set expires_at = now()`
    },
    async age(durationMs) {
      await sql`update writers set expires_at = expires_at - ${durationMs}::float8 * interval '1 millisecond'`
      const [row] = await sql<{ content: string; state: string }[]>`select content, state from placement`
      const state = readPlacementState(row!.state, parsePlacementTable(JSON.parse(row!.content)))
      const aged = {
        ...state,
        balancedMs: state.balancedMs - durationMs,
        writers: state.writers.map((writer) => ({ ...writer, sinceMs: writer.sinceMs - durationMs })),
        services: state.services.map((service) => ({ ...service, windowStartMs: service.windowStartMs - durationMs })),
      }
      await sql`update placement set state = ${placementStateJson(aged)}`
    },
    async clear() {
      await sql`delete from writers`
      await sql`delete from writer_rates`
      await sql`delete from tenant_demands`
      await sql`delete from placement`
      await sql`delete from placement_tenants`
    },
    close: () => database.close(),
  }
}

placementContract('Postgres', createPostgres)

placementContract('in memory', async () => {
  let nowMs = 1_750_000_000_000
  let twin = new PlacementTwin(() => nowMs)
  return {
    service: {
      registerWriter: (request) => twin.registerWriter(request),
      deregisterWriter: (request) => twin.deregisterWriter(request),
      getPlacement: (request) => twin.getPlacement(request),
      setTenantWidth: (request) => twin.setTenantWidth(request),
    },
    pass: async () => twin.pass(),
    async age(durationMs) {
      nowMs += durationMs
    },
    async clear() {
      twin = new PlacementTwin(() => nowMs)
    },
    close: async () => undefined,
  }
})

let harness: PostgresHarness
before(async () => {
  harness = await createPostgres()
})
after(() => harness.close())

const registration = (writerId: string) => ({
  writerId,
  instanceId: `life of ${writerId}`,
  epoch: 0,
  address: `http://${writerId}`,
  state: 'serving',
  ttlMs: 60_000,
  rates: [{ tenant: 't', service: 's', bytesPerSecond: 0.5, profilesPerSecond: 1e-9 }],
  restBytesPerSecond: 0,
  restProfilesPerSecond: 0,
  demands: [],
})

async function tableNow() {
  return parsePlacementTable(JSON.parse((await harness.service.getPlacement({ etag: '' })).json))
}

function overHttp() {
  const app = new Hono()
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  mountPlacement(app, harness.service, options)
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(app.request(url, init))
  const placement = createPlacementClient('http://metastore', { fetch: fetch as typeof globalThis.fetch })
  const get = (tags?: string) =>
    app.request('/api/v1/placement', { headers: tags === undefined ? {} : { 'If-None-Match': tags } })
  return { placement, get }
}

test('writers register by Connect, and edges read the table with its tag', async () => {
  await harness.clear()
  const { placement, get } = overHttp()
  const { epoch, verdict } = await placement.registerWriter(registration('a'))
  assert.deepEqual([verdict, epoch], ['registered', 1])
  const answer = await get()
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.equal(answer.headers.get('cache-control'), 'private, no-cache')
  const etag = answer.headers.get('etag')!
  assert.match(etag, /^"[0-9a-f]{32}"$/)
  assert.deepEqual(parsePlacementTable(await answer.json()), await tableNow())
  for (const tags of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const unchanged = await get(tags)
    assert.deepEqual([unchanged.status, unchanged.headers.get('etag'), await unchanged.text()], [304, etag, ''])
  }
  await placement.setTenantWidth({ tenant: 't', width: 8 })
  assert.equal((await placement.deregisterWriter({ ...registration('a'), epoch })).deregistered, true)
  const changed = await get(etag)
  assert.equal(changed.status, 200)
  assert.notEqual(changed.headers.get('etag'), etag)
})

test('tags of If-None-Match', () => {
  assert.deepEqual(knownTags(undefined), [])
  assert.deepEqual(knownTags('*'), [])
  assert.deepEqual(knownTags('"a", W/"b"'), ['a', 'b'])
})

test('an answer that is no table says why', async () => {
  const app = new Hono()
  const options = { bodyLimitBytes: 1_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  const failing = {
    ...harness.service,
    getPlacement: () => Promise.reject(new CinderError('unavailable', 'the database is away')),
  }
  mountPlacement(app, failing, options)
  const answer = await app.request('/api/v1/placement')
  assert.equal(answer.status, 503)
  assert.match(await answer.text(), /the database is away/)
})

test('a pass whose lease moved writes nothing', async () => {
  await harness.clear()
  const { sql, placement } = harness
  await placement.service.registerWriter(registration('a'))
  const lease = { name: 'placement', epoch: undefined, ttlMs: 60_000 }
  const old = await acquireLease(sql, { ...lease, holder: 'old' })
  await releaseLease(sql, old!)
  const held = await acquireLease(sql, { ...lease, holder: 'new' })
  await sql`update writers set state = 'leaving'`
  assert.equal(await placement.pass.run(old!), undefined)
  assert.equal((await tableNow()).writers[0]!.state, 'serving')
  assert.notEqual(await placement.pass.run(held!), undefined)
  assert.equal((await tableNow()).writers[0]!.state, 'leaving')
  await releaseLease(sql, held!)
})

test('a pass that changes nothing writes no row', async () => {
  await harness.clear()
  const { sql } = harness
  await harness.service.registerWriter(registration('a'))
  await harness.age(31_000)
  await harness.pass()
  const version = async () => (await sql`select xmin::text, ctid::text from placement`)[0]
  const before = await version()
  await harness.pass()
  assert.deepEqual(await version(), before)
})

test('rates that move a little write no row, and what is small at a writer is looked at when loads are', async () => {
  await harness.clear()
  const { sql } = harness
  const told = (busy: number) => ({
    ...registration('a'),
    rates: [
      { tenant: 't', service: 'busy', bytesPerSecond: 1, profilesPerSecond: busy },
      { tenant: 't', service: 'small', bytesPerSecond: 1, profilesPerSecond: 3 },
    ],
  })
  await harness.service.registerWriter(told(300))
  await harness.pass()
  await harness.pass()
  const version = async () => (await sql`select xmin::text, ctid::text from placement`)[0]
  const before = await version()
  await harness.service.registerWriter({ ...told(305), epoch: 1 })
  await harness.pass()
  assert.deepEqual(await version(), before)
  await harness.service.registerWriter({ ...told(700), epoch: 1 })
  await harness.pass()
  assert.notDeepEqual(await version(), before)
  assert.equal((await tableNow()).widths.services[0]!.width, 12)
  const units = { servicesMax: 10, unitBytes: 1_000_000, unitProfiles: 100 }
  const read = async (loadMinAtWriter: number, loadMin: number) =>
    (await selectRates(sql, { ...units, loadMinAtWriter, loadMin })).rates.map(({ service }) => service)
  assert.deepEqual(await read(0, 0), ['busy', 'small'])
  assert.deepEqual(await read(1 / 32, 0), ['busy'])
  assert.deepEqual(await read(0, 7), ['busy'])
  assert.deepEqual(await read(0, 7.1), [])
})

test('while somebody else makes the table a writer is answered all the same, and the duty is due', async () => {
  await harness.clear()
  const { sql } = harness
  const term = await acquireLease(sql, { name: 'placement', holder: 'other', epoch: undefined, ttlMs: 60_000 })
  await sql`insert into duties (name, holder, epoch, due_at, failures)
    values ('placement', 'other', 1, now() + interval '1 hour', 0)
    on conflict (name) do update set due_at = excluded.due_at`
  const hasty = createPlacement({ sql, clock: createClock(), log: createSilentLog(), holder: 'hasty' })
  const { verdict, generation } = await hasty.service.registerWriter(registration('a'))
  assert.deepEqual([verdict, generation], ['registered', 0])
  const [duty] = await sql`select due_at <= now() as due from duties where name = 'placement'`
  assert.equal(duty!['due'], true)
  await releaseLease(sql, term!)
  await harness.pass()
  assert.deepEqual(
    (await tableNow()).writers.map(({ writerId }) => writerId),
    ['a'],
  )
})

test('many writers of two replicas at once are all in the table, and none waits for its own pass', async () => {
  await harness.clear()
  const { sql } = harness
  const other = createPlacement({ sql, clock: patientClock(), log: createSilentLog(), holder: 'second replica' })
  const ids = Array.from({ length: 60 }, (_, i) => `w-${i}`)
  const answers = await Promise.all(
    ids.map((id, i) => (i % 2 === 0 ? harness.service : other.service).registerWriter(registration(id))),
  )
  assert.ok(answers.every(({ verdict }) => verdict === 'registered'))
  await harness.pass()
  const { writers } = await tableNow()
  assert.deepEqual(writers.map(({ writerId }) => writerId).sort(), ids.sort())
  assert.ok(writers.every(({ state }) => state === 'serving'))
})

test('past the writers that a table holds nobody new is taken in, and who is known goes on', async () => {
  await harness.clear()
  const { sql } = harness
  await sql`insert into writers (writer_id, address, epoch, expires_at)
    select 'old-' || i, 'http://old', 1, now() + interval '1 minute' from generate_series(1, 1023) i`
  const { epoch } = await harness.service.registerWriter(registration('a'))
  await assert.rejects(
    harness.service.registerWriter(registration('b')),
    (error) => error instanceof CinderError && error.kind === 'resource_exhausted' && /1024/.test(error.message),
  )
  assert.equal((await harness.service.registerWriter({ ...registration('a'), epoch })).verdict, 'registered')
  const again = await harness.service.registerWriter({ ...registration('a'), instanceId: 'second life' })
  assert.deepEqual([again.verdict, again.epoch], ['registered', 2])
})

test('a table that begins anew has a generation above the one that was lost', async () => {
  await harness.clear()
  const { generation } = await harness.service.registerWriter(registration('a'))
  assert.ok(generation > 1_700_000_000)
})

test('the status report has writers with what they take in, and services that are spread', async () => {
  await harness.clear()
  assert.deepEqual(await readPlacementStatus(harness.sql), { writers: [] })
  const rates = [
    { tenant: 't', service: 'busy', bytesPerSecond: 1_000, profilesPerSecond: 700 },
    { tenant: 't', service: 'calm', bytesPerSecond: 500, profilesPerSecond: 1 },
  ]
  await harness.service.registerWriter({
    ...registration('a'),
    rates,
    restBytesPerSecond: 25,
    restProfilesPerSecond: 2,
  })
  await harness.service.registerWriter({ ...registration('b'), state: 'leaving' })
  await harness.pass()
  const { writers, placement } = await readPlacementStatus(harness.sql)
  assert.deepEqual(
    writers.map(({ writerId, state, slots, bytesPerSecond, profilesPerSecond }) => [
      writerId,
      state,
      slots,
      Math.round(bytesPerSecond),
      Math.round(profilesPerSecond),
    ]),
    [
      ['a', 'serving', 1_024, 1_525, 703],
      ['b', 'leaving', 0, 1, 0],
    ],
  )
  const [busy, ...rest] = placement!.services
  assert.deepEqual([busy!.service, busy!.width, busy!.writers, rest.length], ['busy', 12, 1, 0])
  await harness.age(61_000)
  assert.equal((await readPlacementStatus(harness.sql)).writers[0]!.state, 'away')
})
