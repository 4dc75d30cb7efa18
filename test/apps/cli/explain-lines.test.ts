/** What a server tells beside an answer: always its warnings, and its report to who asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginRun, headerJson, type QueryReport } from '#core/query/plan-report.ts'
import { cinder, NOW_MS, startFakeServer } from './cli-support.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const run = beginRun('stacktraces', { startMs: NOW_MS - 3_600_000, endMs: NOW_MS })
Object.assign(run, {
  plans: 2,
  objects: 12,
  datasets: 40,
  planBytes: 5 << 20,
  calls: 3,
  backends: 2,
  levels: { 0: 10, 2: 2 },
})
Object.assign(run.read, {
  objects: 12,
  ranges: 14,
  bytes: 3 << 20,
  datasets: 40,
  profiles: 1_234,
  samples: 0,
  cacheHits: 7,
})
Object.assign(run.times, { planMs: 2, waitMs: 0.25, readMs: 31, mergeMs: 4, finishMs: 5 })
const REPORT: QueryReport = { id: '01', totalMs: 38.6, runs: [run], warnings: [] }

const server = startFakeServer({
  SelectMergeStacktraces: ({ headers, json }) => {
    const selector = String(json()['labelSelector'])
    const answer = {
      flamegraph: { names: ['total', 'main'], levels: [{ values: [0, 9, 0, 0] }, { values: [0, 9, 9, 1] }] },
    }
    return Response.json(answer, {
      headers: {
        ...(headers.get('x-pyroscope-collect-diagnostics') === 'true'
          ? { 'X-Cinderblock-Explain': headerJson(REPORT) }
          : {}),
        ...(selector.includes('partial')
          ? { 'X-Cinderblock-Warnings': headerJson(['not complete: ü\u0007', 'gone: o']) }
          : {}),
        ...(selector.includes('garbled')
          ? { 'X-Cinderblock-Warnings': 'something', 'X-Cinderblock-Explain': '{' }
          : {}),
      },
    })
  },
})

const ask = (selector: string, ...more: string[]) =>
  cinder(['query', 'flamegraph', '--url', server.url, '--type', TYPE, '--query', selector, ...more])

test('a report is lines on stderr, for who asks', async () => {
  const plain = await ask('{}')
  assert.equal(plain.err, '')
  const { code, out, err } = await ask('{}', '--explain')
  assert.deepEqual([code, out], [0, plain.out])
  assert.deepEqual(err.split('\n'), [
    'stacktraces  2026-11-21 12:00:00Z to 2026-11-21 13:00:00Z',
    '  plan      2.0 ms  12 objects (10 of level 0, 2 of level 2), 40 datasets, 5 MiB at most, planned 2 times',
    '  wait      0.3 ms  for other queries',
    '  read       31 ms  3 MiB in 14 ranges of 12 objects, 40 datasets; 3 calls to 2 query-backends',
    '                  profiles 1,234, samples 0, cacheHits 7',
    '  merge     4.0 ms  of these',
    '  finish    5.0 ms  cut and written',
    '    39 ms in all on the server',
  ])
})

test('what an answer lacks is always said, also beside JSON', async () => {
  for (const more of [[], ['--json'], ['--explain']]) {
    const { code, err } = await ask('{partial="x"}', ...more)
    assert.equal(code, 0)
    assert.match(err, /^warning: not complete: ü\?\nwarning: gone: o/)
  }
})

test('headers of another kind of server harm nothing', async () => {
  const { code, err } = await ask('{garbled="x"}', '--explain')
  assert.deepEqual([code, err], [0, 'warning: something'])
})
