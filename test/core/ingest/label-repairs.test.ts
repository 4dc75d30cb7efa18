import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LABEL_REPAIRS, labelRepairs } from '#core/ingest/label-repairs.ts'
import { seriesLabels } from '#core/pprof/series-labels.ts'

const pairs = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([name, value]) => ({ name, value }))

const BASE = { __name__: 'process_cpu', service_name: 'shop', region: 'eu' }

/** Labels, and what is said of them. */
const CASES: readonly (readonly [Readonly<Record<string, string>>, readonly string[]])[] = [
  [BASE, []],
  [{ ...BASE, pod: '' }, ['empty_label_dropped']],
  [{ ...BASE, __session_id__: '0011223344556677' }, ['session_id_reduced']],
  [{ ...BASE, __name__: 'godeltaprof_memory' }, ['profile_name_replaced']],
  [{ ...BASE, __name__: 'wall' }, []],
  [{ ...BASE, __name__: 'wall', __type__: 'cpu' }, ['profile_name_replaced']],
  [
    { pod: '', __session_id__: 'x', __name__: 'godeltaprof_mutex' },
    ['empty_label_dropped', 'session_id_reduced', 'profile_name_replaced'],
  ],
]

test('what is said to be changed is what is stored in another way, and nothing else', () => {
  for (const [labels, expected] of CASES) {
    assert.deepEqual(labelRepairs(pairs(labels)), expected)
    const sent = { ...labels }
    // Says how to read the push, and is no label of the series.
    delete sent['__type__']
    const stored = Object.fromEntries(seriesLabels(pairs(labels), 0).map(({ name, value }) => [name, value]))
    if (expected.length === 0) assert.deepEqual(stored, sent)
    else assert.notDeepEqual(stored, sent)
  }
})

test('an empty service is refused, not repaired; every kind has a sentence', () => {
  assert.deepEqual(labelRepairs(pairs({ service_name: '' })), [])
  for (const sentence of Object.values(LABEL_REPAIRS)) assert.ok(sentence.length > 20)
})
