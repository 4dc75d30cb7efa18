import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginContexts, CONTEXT_WORDS, contextOf } from '#core/ingest/jfr/contexts.ts'
import { CONTEXT_ID, EVENT_SLOTS, SPAN_ID, TRACE_ID_LOW } from '#core/ingest/jfr/event-types.ts'
import { Captured } from '#core/ingest/jfr/layout.ts'
import { TupleRows } from '#core/ingest/jfr/tuple-rows.ts'

test('a sample of which nothing is said has context 0; equal ones are one row', () => {
  const contexts = new TupleRows()
  beginContexts(contexts)
  const captured = new Captured(EVENT_SLOTS)
  assert.equal(contextOf(contexts, captured), 0)
  captured.lo[CONTEXT_ID] = 7
  assert.equal(contextOf(contexts, captured), 1)
  captured.hi[SPAN_ID] = 1
  assert.equal(contextOf(contexts, captured), 2)
  captured.hi[SPAN_ID] = 0
  assert.equal(contextOf(contexts, captured), 1)
  captured.lo[CONTEXT_ID] = 0
  captured.hi[TRACE_ID_LOW] = 9
  assert.equal(contextOf(contexts, captured), 3)
  const at = 3 * CONTEXT_WORDS
  assert.deepEqual([...contexts.values.array.subarray(at, at + CONTEXT_WORDS)], [0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
  beginContexts(contexts)
  assert.equal(contexts.count, 1)
})
