import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MissingDataset } from '#core/query/plan-missing.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { callMetrics, openGuards } from '../../../apps/query-frontend/frontend-metrics.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

test('what waits, what is helped out, and what answers lack', async () => {
  const registry = new Registry()
  const log = createSilentLog()
  const { admission, onMissing } = openGuards(new HandClock(), registry, log)
  const calls = callMetrics(registry)
  calls.retry?.('http://a')
  calls.hedge?.('http://b')
  const heavy = { tenant: 't', bytes: 2 ** 30, atOnceBytes: 2 ** 29 }
  const leave = await admission.enter(heavy, new AbortController().signal)
  const gone = new AbortController()
  const waiting = admission.enter(heavy, gone.signal)
  onMissing([
    { objectId: 'o1', fault: 'gone', reason: 'no such object' },
    { objectId: 'o2', fault: 'damaged', reason: 'checksum' },
  ] as MissingDataset[])
  const text = await registry.render()
  for (const line of [
    'cinder_query_call_retries_total{backend="http://a"} 1',
    'cinder_query_call_hedges_total{backend="http://b"} 1',
    'cinder_query_admission_running{class="heavy"} 1',
    'cinder_query_admission_waiting{class="heavy"} 1',
    'cinder_query_admission_waiting{class="light"} 0',
    `cinder_query_admission_memory_bytes{class="heavy"} ${2 ** 29}`,
    'cinder_query_missing_datasets_total{fault="gone"} 1',
    'cinder_query_missing_datasets_total{fault="damaged"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`)
  assert.deepEqual(
    log.events.map(({ level, event }) => [level, event]),
    [['warn', 'query answered without datasets']],
  )
  gone.abort()
  await assert.rejects(waiting)
  leave()
})
