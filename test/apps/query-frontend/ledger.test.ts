/** Explanations of pushes and usage over REST: what is asked of the ledger, and how its rows are shown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { mountLedgerPages } from '../../../apps/query-frontend/ledger.ts'
import type { ExplainPushesRequest, IngestLedger, LedgerRow, TenantUsageRequest } from '#core/rpc/ingest-ledger.ts'
import { resolveTenants } from '#platform/http/tenant.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 13, 0, 30)
const MINUTE_MS = Date.UTC(2026, 10, 21, 12, 59)
const DAY_MS = 86_400_000

function row(fields: Partial<LedgerRow>): LedgerRow {
  const counts = { profiles: 1, bytes: 10, decompressedBytes: 30 }
  const where = { tenant: 'team', service: 'shop', minuteMs: MINUTE_MS }
  return { ...where, outcome: 'stored', reason: '', ...counts, message: '', ...fields }
}

function setUp(rows: LedgerRow[] = [], hasLedger = true) {
  const asked: (ExplainPushesRequest | TenantUsageRequest)[] = []
  const ledger: IngestLedger = {
    recordPushes: () => Promise.reject(new Error('nobody records here')),
    async explainPushes(request) {
      asked.push(request)
      return { rows }
    },
    async tenantUsage(request) {
      asked.push(request)
      const day = { profiles: 2, bytesIn: 20, decompressedBytes: 60 }
      const days = [
        { dayMs: request.fromMs, ...day },
        { dayMs: request.fromMs + DAY_MS, ...day },
      ]
      return { days, storedBytes: 1234, storedProfiles: 3 }
    },
  }
  const app = new Hono()
  const deps = { clock: new HandClock(NOW_MS), log: createSilentLog(), ledger: hasLedger ? ledger : undefined }
  mountLedgerPages(app, deps, { tenantsOf: (headers) => resolveTenants(headers, { multitenancy: true }) })
  const get = async (path: string, tenant = 'team') => {
    const response = await app.request(path, { headers: { 'X-Scope-OrgID': tenant } })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { get, asked, app }
}

test('a service is explained minute by minute, the most frequent reason first', async () => {
  const { get, asked } = setUp([
    row({ profiles: 5 }),
    row({ outcome: 'refused', reason: 'max_samples', message: 'too many' }),
    row({ outcome: 'refused', reason: 'not_in_ingestion_window', profiles: 3 }),
    row({ minuteMs: MINUTE_MS - 60_000, outcome: 'repaired', reason: 'clock_repaired' }),
  ])
  const { status, body } = await get('/api/v1/ingest/explain?service=shop')
  assert.equal(status, 200)
  assert.deepEqual(asked, [{ tenant: 'team', service: 'shop', sinceMs: NOW_MS - 3_600_000, rowsMax: 20_000 }])
  const refused = [
    { reason: 'not_in_ingestion_window', profiles: 3, message: '' },
    { reason: 'max_samples', profiles: 1, message: 'too many' },
  ]
  const none = {
    arrived: 0,
    stored: 0,
    duplicate: 0,
    empty: 0,
    unknown: 0,
    dropped: [],
    refused: [],
    repaired: [],
    bytes: 0,
  }
  const repaired = [{ reason: 'clock_repaired', profiles: 1, message: '' }]
  assert.deepEqual(body, {
    tenant: 'team',
    from: '2026-11-21T12:00:30.000Z',
    until: '2026-11-21T13:00:30.000Z',
    truncated: false,
    service: 'shop',
    total: { ...none, arrived: 9, stored: 5, refused, repaired, bytes: 30 },
    minutes: [
      { minute: '2026-11-21T12:59:00.000Z', ...none, arrived: 9, stored: 5, refused, bytes: 30 },
      { minute: '2026-11-21T12:58:00.000Z', ...none, repaired },
    ],
  })
})

test('without a service all of them are listed with their last minute', async () => {
  const { get, asked } = setUp([row({}), row({ service: 'cart', minuteMs: MINUTE_MS - 60_000 })])
  const { body } = await get('/api/v1/ingest/explain')
  assert.equal((asked[0] as ExplainPushesRequest).service, undefined)
  assert.deepEqual(
    (body.services as { service: string; lastMinute: string; stored: number }[]).map((each) => [
      each.service,
      each.lastMinute.slice(11, 16),
      each.stored,
    ]),
    [
      ['cart', '12:58', 1],
      ['shop', '12:59', 1],
    ],
  )
})

test('usage is of whole days, up to the day of the end; the default is a month', async () => {
  const { get, asked } = setUp()
  const { status, body } = await get('/api/v1/usage?from=2026-11-20T18:00:00Z&until=2026-11-21T06:00:00Z')
  assert.equal(status, 200)
  const fromMs = Date.UTC(2026, 10, 20)
  assert.deepEqual(asked, [{ tenant: 'team', fromMs, untilMs: fromMs + 2 * DAY_MS }])
  const day = { profiles: 2, bytesIn: 20, decompressedBytes: 60 }
  assert.deepEqual(body, {
    tenant: 'team',
    from: '2026-11-20T00:00:00.000Z',
    until: '2026-11-21T06:00:00.000Z',
    received: { profiles: 4, bytesIn: 40, decompressedBytes: 120 },
    stored: { profiles: 3, bytes: 1234 },
    days: [
      { day: '2026-11-20', ...day },
      { day: '2026-11-21', ...day },
    ],
  })
  await get('/api/v1/usage')
  assert.equal((asked[1] as TenantUsageRequest).fromMs, Date.UTC(2026, 9, 21))
})

test('what cannot be meant is the fault of the client, and says what is allowed', async () => {
  const { get, asked, app } = setUp()
  for (const query of ['from=yesterday', 'from=now&until=now-2d', 'from=now-401d']) {
    const { status, body } = await get(`/api/v1/usage?${query}`)
    assert.deepEqual([status, body.code], [400, 'invalid_argument'], query)
  }
  assert.equal((await get('/api/v1/usage', 'a|b')).status, 400)
  assert.equal((await app.request('/api/v1/ingest/explain')).status, 401)
  assert.deepEqual(asked, [])
  assert.equal((await setUp([], false).get('/api/v1/usage')).body.code, 'unimplemented')
})
