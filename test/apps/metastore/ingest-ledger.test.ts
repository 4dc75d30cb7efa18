/** The ledger of pushes from writers to Postgres and back, by Connect on both sides. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { addStoredMetrics, createIngestLedger } from '../../../apps/metastore/ingest-ledger.ts'
import { CinderError } from '#core/errors.ts'
import type { LedgerRow, UsageDay } from '#core/rpc/ingest-ledger.ts'
import { listTables } from '#db/sql/backup-tables.ts'
import { createCodec } from '#platform/codec.ts'
import { createLedgerClient, mountLedger } from '#platform/connect/ledger-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

function setUp() {
  const sql = database.connect()
  const app = new Hono()
  const { service, duties } = createIngestLedger({ sql })
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  mountLedger(app, service, options)
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(app.request(url, init))
  const ledger = createLedgerClient('http://metastore', { fetch: fetch as typeof globalThis.fetch })
  return { ledger, duties, sql }
}

function row(tenant: string, fields: Partial<LedgerRow> = {}): LedgerRow {
  const counts = { profiles: 1, bytes: 10, decompressedBytes: 30 }
  return { tenant, service: 'shop', minuteMs: 60_000, outcome: 'stored', reason: '', ...counts, message: '', ...fields }
}

const ALL = { sinceMs: 0, rowsMax: 100 }

test('rows of several writers are added up, and the latest message stays', async () => {
  const { ledger } = setUp()
  const refused = { outcome: 'refused', reason: 'max_samples', message: 'largest 16000' }
  const first = [row('sums', { profiles: 3 }), row('sums', refused), row('sums', { service: 'cart' })]
  assert.equal((await ledger.recordPushes({ source: 'a', sequence: 1, rows: first })).recorded, true)
  const second = [row('sums'), row('sums', { ...refused, message: '' }), row('sums', { minuteMs: 120_000 })]
  await ledger.recordPushes({ source: 'b', sequence: 1, rows: second })
  const { rows } = await ledger.explainPushes({ tenant: 'sums', service: 'shop', ...ALL })
  assert.deepEqual(rows.map((each) => [each.minuteMs, each.outcome, each.profiles, each.bytes, each.message]).sort(), [
    [120_000, 'stored', 1, 10, ''],
    [60_000, 'refused', 2, 20, 'largest 16000'],
    [60_000, 'stored', 4, 20, ''],
  ])
  assert.equal((await ledger.explainPushes({ tenant: 'sums', ...ALL })).rows.length, 4)
  assert.equal((await ledger.explainPushes({ tenant: 'sums', ...ALL, sinceMs: 60_001 })).rows.length, 1)
  const [newest, ...others] = (await ledger.explainPushes({ tenant: 'sums', sinceMs: 0, rowsMax: 1 })).rows
  assert.equal(newest!.minuteMs, 120_000)
  assert.equal(others.length, 0)
  assert.deepEqual((await ledger.explainPushes({ tenant: 'nobody', ...ALL })).rows, [])
})

test('a batch that is sent again counts once, in explanations and in usage', async () => {
  const { ledger } = setUp()
  const batch = { source: 'again', sequence: 7, rows: [row('once')] }
  const answers = await Promise.all([1, 2, 3, 4].map(() => ledger.recordPushes(batch)))
  assert.equal(answers.filter(({ recorded }) => recorded).length, 1)
  assert.equal((await ledger.recordPushes({ ...batch, sequence: 6 })).recorded, false)
  assert.equal((await ledger.recordPushes({ ...batch, sequence: 8 })).recorded, true)
  const { rows } = await ledger.explainPushes({ tenant: 'once', ...ALL })
  assert.deepEqual(
    rows.map(({ profiles }) => profiles),
    [2],
  )
  const { days } = await ledger.tenantUsage({ tenant: 'once', fromMs: 0, untilMs: DAY_MS })
  const [{ dayMs, profiles, bytesIn, decompressedBytes }, ...more] = days as [UsageDay]
  assert.deepEqual([dayMs, profiles, bytesIn, decompressedBytes, more.length], [0, 2, 20, 60, 0])
})

test('writers that count the same services at once neither deadlock nor lose a count', async () => {
  const { ledger } = setUp()
  const services = Array.from({ length: 50 }, (_, i) => row('many', { service: `s${i}` }))
  const writers = Array.from({ length: 8 }, (_, w) => `many-${w}`)
  await Promise.all(
    writers.map(async (source, w) => {
      const rows = w % 2 === 0 ? services : [...services].reverse()
      for (let sequence = 1; sequence <= 5; sequence++) await ledger.recordPushes({ source, sequence, rows })
    }),
  )
  const { rows } = await ledger.explainPushes({ tenant: 'many', ...ALL })
  assert.deepEqual([rows.length, ...new Set(rows.map(({ profiles }) => profiles))], [50, 40])
})

test('usage is of stored profiles, by day (UTC)', async () => {
  const { ledger } = setUp()
  const rows = [
    row('used', { minuteMs: DAY_MS - 1 }),
    row('used', { minuteMs: DAY_MS, profiles: 4 }),
    row('used', { minuteMs: DAY_MS, outcome: 'repaired', reason: 'clock_repaired' }),
    row('used', { minuteMs: DAY_MS, outcome: 'refused', reason: 'max_samples' }),
    row('refused only', { minuteMs: DAY_MS, outcome: 'refused', reason: 'max_samples' }),
  ]
  await ledger.recordPushes({ source: 'used', sequence: 1, rows })
  const { days, storedBytes } = await ledger.tenantUsage({ tenant: 'used', fromMs: 0, untilMs: 10 * DAY_MS })
  assert.deepEqual(
    days.map(({ dayMs, profiles }) => [dayMs, profiles]),
    [
      [0, 1],
      [DAY_MS, 4],
    ],
  )
  assert.equal(storedBytes, 0)
  const first = await ledger.tenantUsage({ tenant: 'used', fromMs: 0, untilMs: DAY_MS })
  assert.equal(first.days.length, 1)
  assert.deepEqual((await ledger.tenantUsage({ tenant: 'refused only', fromMs: 0, untilMs: 10 * DAY_MS })).days, [])
})

test('text that Postgres cannot hold is stored all the same, numbers that are none are refused', async () => {
  const { ledger } = setUp()
  await ledger.recordPushes({ source: 'odd', sequence: 1, rows: [row('odd', { service: 'a\0b', message: '"{,}\\' })] })
  const { rows } = await ledger.explainPushes({ tenant: 'odd', ...ALL })
  assert.deepEqual([rows[0]!.service, rows[0]!.message], ['a\uFFFDb', '"{,}\\'])
  for (const profiles of [-1, 0.5, Number.NaN]) {
    const request = { source: 'odd', sequence: 2, rows: [row('odd', { profiles })] }
    await assert.rejects(ledger.recordPushes(request), (error: unknown) => {
      assert.ok(error instanceof CinderError)
      return error.kind === 'invalid_argument'
    })
  }
})

test('the duty forgets what is older than two hours, and nothing younger', async () => {
  const { ledger, duties, sql } = setUp()
  const [time] = await sql<{ ms: number }[]>`select floor(extract(epoch from now()) * 1000)::float8 as ms`
  const rows = [100, 119, 121, 600].map((minutes) => row('old', { minuteMs: time!.ms - minutes * MINUTE_MS }))
  await ledger.recordPushes({ source: 'old', sequence: 1, rows })
  await duties[0]!.run({ name: 'ingest ledger', holder: 'test', epoch: 1 }, new AbortController().signal)
  const left = await ledger.explainPushes({ tenant: 'old', ...ALL })
  assert.equal(left.rows.length, 2)
  const { days } = await ledger.tenantUsage({ tenant: 'old', fromMs: 0, untilMs: time!.ms + DAY_MS })
  assert.equal(
    days.reduce((sum, { profiles }) => sum + profiles, 0),
    4,
  )
})

test('a backup has the usage, not the ledger', async () => {
  const tables = (await listTables(database.sql)).map(({ name }) => name)
  assert.ok(tables.includes('tenant_usage'))
  assert.ok(!tables.includes('ingest_ledger') && !tables.includes('ledger_sources'))
})

test('what is stored is read again after five minutes, not at every scrape', async () => {
  const clock = new HandClock(1_764_000_000_000)
  const registry = new Registry()
  const sql = database.connect()
  addStoredMetrics(registry, { sql, clock })
  await sql`
    insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
      min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    values ('o', 0, 1, 5000, 'big', 'shop', 0, 3600000, 0, 1, 0, 4321, 10, 7, 70)`
  const read = async () => /cinder_tenant_stored_bytes\{tenant="big"\} (\d+)/.exec(await registry.render())?.[1]
  assert.equal(await read(), '4321')
  await sql`update datasets set size_bytes = 99 where tenant = 'big'`
  assert.equal(await read(), '4321')
  clock.advance(5 * MINUTE_MS)
  assert.equal(await read(), '99')
})
