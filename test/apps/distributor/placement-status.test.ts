/** What an edge says of its writers, to people and to scrapes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { CLOSED_BREAKER } from '#core/placement/breaker.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { meterWriters, mountEdgeStatus } from '../../../apps/distributor/placement-status.ts'
import { openWriters, type Writers } from '../../../apps/distributor/placement-writers.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = 1_000_000
const STATUS = { generation: 3, writers: 2, ageMs: 500, refreshes: 7, failures: 1, failure: '' }
const clock = { nowMs: () => NOW_MS }

/** With one writer that answers and one that does not. */
function placedWriters(): Writers {
  const fixed = openWriters(
    { kind: 'fixed', url: 'http://w0' },
    {
      client: {},
      clock: createManualClock(NOW_MS),
      random: { bytes: (count) => new Uint8Array(count) },
      log: createSilentLog(),
      sharesRefreshes: true,
    },
  )
  const open = { ...CLOSED_BREAKER, state: 'open' as const, failures: 3, trips: 1, untilMs: NOW_MS + 800 }
  const states = [
    { writerId: 'w0', address: 'http://w0', state: 'serving', breaker: CLOSED_BREAKER },
    { writerId: 'w1', address: 'http://w1', state: 'leaving', breaker: open },
  ]
  const placed = { tableUrl: 'http://table', source: { status: () => STATUS }, routed: { states: () => states } }
  return { ...fixed, where: 'http://table', placed: placed as unknown as NonNullable<Writers['placed']> }
}

const ANSWERS = { since: '2026-01-01T00:00:00.000Z', answers: { 200: 3, 429: 1 } }

function statusApp(writers: Writers, tokens: readonly string[] = [], host = '127.0.0.1'): Hono {
  const app = new Hono()
  mountEdgeStatus(app, { writers, answers: { report: () => ANSWERS }, clock, host }, tokens)
  return app
}

async function statusOf(writers: Writers): Promise<unknown> {
  return (await statusApp(writers).request('/status')).json()
}

test('the status names the table, its age, and each writer with what becomes of calls to it', async () => {
  const common = { breaker: 'closed', calls: 'free', failuresInARow: 0 }
  assert.deepEqual(await statusOf(placedWriters()), {
    ...ANSWERS,
    placement: { url: 'http://table', ...STATUS },
    writers: [
      { writerId: 'w0', address: 'http://w0', state: 'serving', ...common },
      { writerId: 'w1', address: 'http://w1', state: 'leaving', breaker: 'open', calls: 'shut', failuresInARow: 3 },
    ],
  })
})

test('a fixed address has a status too', async () => {
  const fixed = { ...placedWriters(), where: 'http://w0', placed: undefined }
  assert.deepEqual(await statusOf(fixed), { ...ANSWERS, writers: [{ address: 'http://w0' }] })
})

test('a token guards the status: it names addresses', async () => {
  const app = statusApp(placedWriters(), ['a-token-of-16-chars'])
  assert.equal((await app.request('/status')).status, 401)
  const headers = { Authorization: 'Bearer a-token-of-16-chars' }
  assert.equal((await app.request('/status', { headers })).status, 200)
})

test('strangers hear of states and ages, never where our writers are', async () => {
  const hidden = 'addresses are told where CINDER_INTERNAL_TOKEN is set'
  const { failure: _, ...placement } = STATUS
  const common = { breaker: 'closed', calls: 'free', failuresInARow: 0 }
  const fixed = { ...placedWriters(), where: 'http://w0', placed: undefined }
  for (const host of ['', '0.0.0.0', 'edge.example']) {
    const app = statusApp(placedWriters(), [], host)
    assert.deepEqual(await (await app.request('/status')).json(), {
      ...ANSWERS,
      hidden,
      placement,
      writers: [
        { state: 'serving', ...common },
        { state: 'leaving', breaker: 'open', calls: 'shut', failuresInARow: 3 },
      ],
    })
    const ofFixed = await (await statusApp(fixed, [], host).request('/status')).json()
    assert.deepEqual(ofFixed, { ...ANSWERS, hidden, writers: [{}] })
  }
  const headers = { Authorization: 'Bearer a-token-of-16-chars' }
  const guarded = await statusApp(fixed, ['a-token-of-16-chars'], '0.0.0.0').request('/status', { headers })
  assert.deepEqual(await guarded.json(), { ...ANSWERS, writers: [{ address: 'http://w0' }] })
})

test('metrics count calls by writer and outcome, and show breakers and the age of the table', async () => {
  const registry = new Registry()
  const { on, watch } = meterWriters(registry)
  watch(placedWriters())
  on.call!('w0', 'answered')
  for (let i = 0; i < 3; i++) on.call!('w1', 'no-answer')
  on.elsewhere!('w1')
  const text = await registry.render()
  const lines = [
    'cinder_edge_writer_calls_total{writer="w0",outcome="answered"} 1',
    'cinder_edge_writer_calls_total{writer="w1",outcome="no_answer"} 3',
    'cinder_edge_writer_elsewhere_total{writer="w1"} 1',
    'cinder_edge_writer_breaker{writer="w0"} 0',
    'cinder_edge_writer_breaker{writer="w1"} 2',
    'cinder_edge_placement_age_seconds 0.5',
    'cinder_edge_placement_generation 3',
    'cinder_edge_placement_refreshes_total 7',
    'cinder_edge_placement_failures_total 1',
  ]
  for (const line of lines) assert.ok(text.includes(line), `${line} in\n${text}`)
})
