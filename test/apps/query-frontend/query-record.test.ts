/** What goes out beside an answer: bounded, printable, and shown again to its own tenants alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Diagnostics } from '../../../apps/query-frontend/diagnostics.ts'
import { isExplainAsked, QueryRecord, QueryRecorder } from '../../../apps/query-frontend/query-record.ts'
import { HandClock } from '../../support/hand-clock.ts'

const RANGE = { startMs: 1, endMs: 2 }

test('asked for by a parameter or by the header of other clients', () => {
  const asks = (url: string, headers: Record<string, string> = {}) => isExplainAsked(url, new Headers(headers))
  assert.equal(asks('http://h/p'), false)
  assert.equal(asks('http://h/p?explain=1'), true)
  assert.equal(asks('/p?a=b&explain=true'), true)
  assert.equal(asks('http://h/p?explain=0'), false)
  assert.equal(asks('http://h/p', { 'X-Pyroscope-Collect-Diagnostics': 'true' }), true)
  assert.equal(asks('http://h/p', { 'X-Pyroscope-Collect-Diagnostics': 'false' }), false)
})

test('nothing to tell, no headers; warnings without being asked, each once', () => {
  const record = new QueryRecord('', { isExplained: false, nowMs: 0 })
  record.begin('series', RANGE)
  assert.deepEqual(record.headersAt(1), [])
  record.warn(['a', 'b'])
  record.warn(['a', 'c'])
  assert.deepEqual(record.headersAt(1), [['X-Cinderblock-Warnings', '["a","b","c"]']])
})

test('work on answers counts for the last query', () => {
  const record = new QueryRecord('id', { isExplained: true, nowMs: 0 })
  record.noteWork('finishMs', 9)
  const runs = [record.begin('series', RANGE), record.begin('stacktraces', RANGE)]
  for (const [stage, ms] of [
    ['mergeMs', 1],
    ['finishMs', 2],
    ['finishMs', 3],
  ] as const)
    record.noteWork(stage, ms)
  assert.deepEqual(
    runs.map(({ times }) => [times.mergeMs, times.finishMs]),
    [
      [0, 0],
      [1, 5],
    ],
  )
})

test('headers stay below what servers take, the summary first', () => {
  const record = new QueryRecord('id', { isExplained: true, nowMs: 0 })
  record.warn(['summary', ...Array.from({ length: 40 }, (_, i) => `${i} ${'ü'.repeat(300)}`)])
  assert.equal(record.warnings.length, 16)
  for (let i = 0; i < 60; i++) record.begin('series', RANGE)
  const headers = new Map(record.headersAt(7))
  const warnings = headers.get('X-Cinderblock-Warnings')!
  assert.ok(warnings.length <= 4_096)
  assert.equal((JSON.parse(warnings) as string[])[0], 'summary')
  assert.equal(headers.get('X-Pyroscope-Diagnostics-Id'), 'id')
  assert.equal(headers.has('X-Cinderblock-Explain'), false, 'too long: by its id alone')
})

test('reports are kept for those who asked, the newest two hundred', () => {
  const clock = new HandClock(1_764_000_000_000)
  const recorder = new QueryRecorder(clock)
  const record = recorder.begin('http://h/p?explain=1', new Headers())
  record.begin('heatmap', RANGE)
  clock.advance(25)
  const headers = new Map(recorder.end(record, ['a', 'b']))
  const { id, totalMs, runs } = JSON.parse(headers.get('X-Cinderblock-Explain')!)
  assert.deepEqual([id, totalMs, runs.length], [record.id, 25, 1])
  assert.equal(recorder.diagnostics.find(['a', 'b'], id)!.totalMs, 25)
  assert.equal(recorder.diagnostics.find(['a'], id), undefined)
  assert.equal(recorder.begin('http://h/p', new Headers()).id, '')

  const kept = new Diagnostics()
  for (let i = 0; i < 201; i++) kept.keep(['t'], { id: String(i), totalMs: 0, runs: [], warnings: [] })
  assert.equal(kept.find(['t'], '0'), undefined)
  assert.equal(kept.find(['t'], '200')!.id, '200')
})
