/** What one edge answered, by status. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerCounts } from '../../../apps/distributor/answer-counts.ts'

test('answers to what was sent are counted by status since the first request, looks are not', async () => {
  let nowMs = 0
  const counts = new AnswerCounts({ nowMs: () => nowMs })
  const statuses = [503, 200, 429, 200, 200]
  const serve = counts.watch(() => new Response(null, { status: statuses.shift()! }))
  nowMs = Date.UTC(2026, 0, 1)
  await serve(new Request('http://edge/push', { method: 'POST' }))
  nowMs += 60_000
  for (const method of ['POST', 'POST', 'POST', 'GET']) await serve(new Request('http://edge/push', { method }))
  assert.deepEqual(counts.report(), { since: '2026-01-01T00:00:00.000Z', answers: { 200: 2, 429: 1, 503: 1 } })
})

test('a request that failed without an answer is a 500, and fails as it did', async () => {
  const counts = new AnswerCounts({ nowMs: () => 0 })
  const serve = counts.watch(() => Promise.reject(new Error('gone')))
  await assert.rejects(async () => await serve(new Request('http://edge/push', { method: 'POST' })), /gone/)
  assert.deepEqual(counts.report().answers, { 500: 1 })
})
