/** Rows of the ledger as people read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainAll, explainMinutes, explainServices } from '#core/ingest/explain.ts'
import type { LedgerRow } from '#core/rpc/ingest-ledger.ts'

function row(fields: Partial<LedgerRow>): LedgerRow {
  const sizes = { bytes: 10, decompressedBytes: 30 }
  const where = { tenant: 'team', service: 'shop', minuteMs: 60_000 }
  return { ...where, outcome: 'stored', reason: '', profiles: 1, ...sizes, message: '', ...fields }
}

const ROWS: readonly LedgerRow[] = [
  row({ minuteMs: 120_000, outcome: 'refused', reason: 'max_samples', profiles: 2, message: 'new' }),
  row({ profiles: 5 }),
  row({ outcome: 'repaired', reason: 'clock_repaired', profiles: 3 }),
  row({ outcome: 'refused', reason: 'max_samples', profiles: 1, message: 'old' }),
  row({ outcome: 'dropped', reason: 'dropped_by_sampling', profiles: 4 }),
  row({ outcome: 'duplicate', service: 'cart' }),
  row({ outcome: 'empty', service: 'cart' }),
  row({ outcome: 'unknown', service: 'cart', message: 'late' }),
]

test('every profile that arrived has one outcome, repairs are beside them', () => {
  const { arrived, stored, duplicate, empty, unknown, dropped, refused, repaired } = explainAll(ROWS)
  const sum = (reasons: readonly { profiles: number }[]) => reasons.reduce((total, { profiles }) => total + profiles, 0)
  assert.equal(arrived, 15)
  assert.equal(stored + duplicate + empty + unknown + sum(dropped) + sum(refused), arrived)
  assert.equal(sum(repaired), 3)
})

test('minutes come newest first', () => {
  const minutes = explainMinutes(ROWS)
  assert.deepEqual(
    minutes.map(({ minuteMs, arrived }) => [minuteMs, arrived]),
    [
      [120_000, 2],
      [60_000, 13],
    ],
  )
  assert.deepEqual(minutes[0]!.refused, [{ reason: 'max_samples', profiles: 2, message: 'new' }])
  assert.deepEqual(minutes[1]!.dropped, [{ reason: 'dropped_by_sampling', profiles: 4, message: '' }])
})

test('services come by name with their last minute, and the newest message of a reason', () => {
  const services = explainServices(ROWS)
  assert.deepEqual(
    services.map(({ service, arrived, lastMinuteMs }) => [service, arrived, lastMinuteMs]),
    [
      ['cart', 3, 60_000],
      ['shop', 12, 120_000],
    ],
  )
  assert.deepEqual(services[1]!.refused, [{ reason: 'max_samples', profiles: 3, message: 'new' }])
})
