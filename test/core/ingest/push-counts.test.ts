/** Counts of pushes: one row per tenant, service, minute, outcome and reason, in bounded memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MESSAGE_CHARS_MAX,
  PushCounts,
  type PushNote,
  ROWS_MAX,
  SERVICES_PER_TENANT_MAX,
} from '#core/ingest/push-counts.ts'

const MINUTE_MS = 1_764_000_000_000

const NOTE: PushNote = {
  tenant: 'team',
  service: 'shop',
  nowMs: MINUTE_MS + 12_345,
  outcome: 'stored',
  reason: '',
  bytes: 10,
  decompressedBytes: 30,
  message: '',
}

test('equal notes add up, and the last message stays', () => {
  const counts = new PushCounts()
  counts.note(NOTE)
  counts.note({ ...NOTE, nowMs: MINUTE_MS + 59_999 })
  const refused = { ...NOTE, outcome: 'refused', reason: 'max_samples' }
  counts.note({ ...refused, message: 'first' })
  counts.note({ ...refused, message: 'x'.repeat(MESSAGE_CHARS_MAX + 1) })
  counts.note({ ...refused, message: '' })
  const row = { tenant: 'team', service: 'shop', minuteMs: MINUTE_MS }
  assert.deepEqual(counts.take(10), [
    { ...row, outcome: 'stored', reason: '', profiles: 2, bytes: 20, decompressedBytes: 60, message: '' },
    {
      ...row,
      outcome: 'refused',
      reason: 'max_samples',
      profiles: 3,
      bytes: 30,
      decompressedBytes: 90,
      message: 'x'.repeat(MESSAGE_CHARS_MAX),
    },
  ])
  assert.deepEqual(counts.take(10), [])
})

test('each minute, tenant, service and reason has a row of its own; the oldest are taken first', () => {
  const counts = new PushCounts()
  counts.note(NOTE)
  counts.note({ ...NOTE, nowMs: NOTE.nowMs + 60_000 })
  counts.note({ ...NOTE, tenant: 'other' })
  counts.note({ ...NOTE, service: 'other' })
  counts.note({ ...NOTE, outcome: 'dropped', reason: 'dropped_by_sampling' })
  assert.equal(counts.rowCount, 5)
  assert.deepEqual(
    counts.take(2).map(({ minuteMs }) => minuteMs),
    [MINUTE_MS, MINUTE_MS + 60_000],
  )
  assert.equal(counts.rowCount, 3)
})

test('a name per push is counted together past the limit, other tenants and the next minute are not touched', () => {
  const counts = new PushCounts()
  for (let i = 0; i < SERVICES_PER_TENANT_MAX + 7; i++) counts.note({ ...NOTE, service: `s${i}` })
  counts.note({ ...NOTE, service: 's3' })
  counts.note({ ...NOTE, tenant: 'other', service: 'late' })
  counts.note({ ...NOTE, nowMs: NOTE.nowMs + 60_000, service: 'late' })
  counts.note({ ...NOTE, nowMs: NOTE.nowMs + 60_000, service: 'n'.repeat(10_000) })
  const rows = counts.take(ROWS_MAX)
  assert.equal(rows.length, SERVICES_PER_TENANT_MAX + 4)
  const of = (service: string) => rows.filter((row) => row.service === service).map(({ profiles }) => profiles)
  assert.deepEqual(of(''), [7, 1])
  assert.deepEqual(of('s3'), [2])
  assert.deepEqual(of('late'), [1, 1])
})

test('memory is bounded: past so many rows known ones grow and the rest is counted as lost', () => {
  const counts = new PushCounts()
  for (let i = 0; i < ROWS_MAX + 5; i++) counts.note({ ...NOTE, tenant: `t${i}` })
  counts.note({ ...NOTE, tenant: 't0' })
  assert.equal(counts.rowCount, ROWS_MAX)
  assert.equal(counts.lost, 5)
  assert.equal(counts.take(1)[0]!.profiles, 2)
  counts.note({ ...NOTE, tenant: 'fits again' })
  assert.equal(counts.lost, 5)
})
