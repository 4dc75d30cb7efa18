/** Verdicts of a writer become notes of the ledger, and the push notices nothing of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { PushCounts } from '#core/ingest/push-counts.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { explainPushes } from '#platform/ledger/explained-pushes.ts'
import { STORED } from '../../../support/verdicts.ts'

const NOW_MS = 1_764_000_000_000

function series(service: string | undefined, sizes: readonly number[]): WriteSeries {
  const labels = service === undefined ? [] : [{ name: 'service_name', value: service }]
  return { labels, profiles: sizes.map((size) => ({ bytes: new Uint8Array(size), clientId: '' })) }
}

async function countsOf(sent: WriteSeries[], answer: ProfileVerdict[] | Error) {
  const counts = new PushCounts()
  const inner = {
    write: async () => {
      if (answer instanceof Error) throw answer
      return { verdicts: answer }
    },
  }
  const writer = explainPushes(inner, counts, { nowMs: () => NOW_MS })
  const result = await writer.write({ tenant: 'team', series: sent }).catch((error: unknown) => error)
  const rows = counts
    .take(100)
    .map(({ service, outcome, reason, profiles, bytes }) => [service, outcome, reason, profiles, bytes])
  return { result, rows }
}

test('a verdict is counted at its service, with the bytes as sent', async () => {
  const verdicts = [
    STORED,
    { ...STORED, status: 'duplicate' },
    { ...STORED, status: 'rejected', kind: 'invalid_argument', reason: 'max_samples', message: 'too many' },
    { ...STORED, reason: 'clock_repaired' },
    { ...STORED, status: 'dropped', reason: 'dropped_by_sampling' },
  ]
  const { result, rows } = await countsOf([series('shop', [1, 2, 3]), series('cart', [4, 5])], verdicts)
  assert.deepEqual(result, { verdicts })
  assert.deepEqual(rows, [
    ['shop', 'stored', '', 1, 1],
    ['shop', 'duplicate', '', 1, 2],
    ['shop', 'refused', 'max_samples', 1, 3],
    ['cart', 'stored', '', 1, 4],
    ['cart', 'repaired', 'clock_repaired', 1, 4],
    ['cart', 'dropped', 'dropped_by_sampling', 1, 5],
  ])
})

test('a repaired clock is told in words', async () => {
  const counts = new PushCounts()
  const inner = { write: async () => ({ verdicts: [{ ...STORED, reason: 'clock_repaired' }] }) }
  await explainPushes(inner, counts, { nowMs: () => 0 }).write({ tenant: 'a', series: [series('shop', [1])] })
  const messages = counts.take(10).map(({ outcome, message }) => [outcome, message])
  assert.deepEqual(messages[0], ['stored', ''])
  assert.match(messages[1]!.join(' '), /^repaired its time was in 1970, .* the time of its arrival/)
})

test('what the rules of the tenant changed is told beside what is stored', async () => {
  const changes = [
    { reason: 'relabelled', message: 'labels' },
    { reason: 'reduced_to_totals_by_sampling', message: 'totals' },
  ]
  const { rows, result } = await countsOf([series('shop', [3])], [{ ...STORED, changes }])
  // Nobody behind it reads them, and 100,000 profiles may have a sentence each.
  assert.deepEqual(result, { verdicts: [STORED] })
  assert.deepEqual(rows, [
    ['shop', 'stored', '', 1, 3],
    ['shop', 'repaired', 'relabelled', 1, 3],
    ['shop', 'repaired', 'reduced_to_totals_by_sampling', 1, 3],
  ])
})

test('a profile without a service is stored under a name, which is a repair', async () => {
  const { rows } = await countsOf([series(undefined, [1])], [STORED])
  assert.equal(rows.length, 2)
  const [stored, repaired] = rows
  assert.deepEqual(stored!.slice(1), ['stored', '', 1, 1])
  assert.deepEqual(repaired!.slice(1), ['repaired', 'service_name_added', 1, 1])
  assert.notEqual(stored![0], '')
})

test('labels that are stored in another way are repairs, by kind, with a sentence', async () => {
  const { labels, profiles } = series('shop', [1])
  const changed = [...labels, { name: 'pod', value: '' }, { name: '__name__', value: 'godeltaprof_memory' }]
  const { rows } = await countsOf([{ labels: changed, profiles }], [{ ...STORED, reason: 'clock_repaired' }])
  assert.deepEqual(
    rows.map((row) => row.slice(1, 3)),
    [
      ['stored', ''],
      ['repaired', 'empty_label_dropped'],
      ['repaired', 'profile_name_replaced'],
      ['repaired', 'clock_repaired'],
    ],
  )
  const refused = { ...STORED, status: 'rejected', kind: 'invalid_argument', reason: 'max_samples' }
  assert.equal((await countsOf([{ labels: changed, profiles }], [refused])).rows.length, 1, 'nothing of it is stored')
})

test('a body with several profiles is counted where it was sent to', async () => {
  const { rows } = await countsOf([series('shop', [9])], [STORED, STORED])
  assert.deepEqual(rows, [['shop', 'stored', '', 2, 9]])
})

test('stacks in text are of the service that their application names, which is no repair', async () => {
  const form = { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0), format: 'lines' }
  const sent = [
    { ...series(undefined, [4]), ingest: { ...form, app: 'shop.cpu' } },
    { ...series(undefined, [5]), ingest: { ...form, app: 'what.ever' } },
    { ...series('cart', [6]), ingest: { ...form, app: 'shop.cpu' } },
  ]
  assert.deepEqual((await countsOf(sent, [STORED, STORED, STORED])).rows, [
    ['shop', 'stored', '', 1, 4],
    ['what.ever', 'stored', '', 1, 5],
    ['cart', 'stored', '', 1, 6],
  ])
})

test('an error is the outcome of every profile of the request, and goes on', async () => {
  const late = new CinderError('unavailable', 'late', { reason: 'write_deadline', outcome: 'unknown' })
  const { result, rows } = await countsOf([series('shop', [1, 2])], late)
  assert.equal(result, late)
  assert.deepEqual(rows, [['shop', 'unknown', 'write_deadline', 2, 3]])
  const shed = new CinderError('unavailable', 'full', { reason: 'memory_limit' })
  assert.deepEqual((await countsOf([series('shop', [1])], shed)).rows, [['shop', 'refused', 'memory_limit', 1, 1]])
  assert.deepEqual((await countsOf([series('shop', [1])], new Error('boom'))).rows, [
    ['shop', 'refused', 'internal', 1, 1],
  ])
})
