import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureKindOf, JOB_FAILURE_KINDS } from '#core/compaction/job-failure.ts'

test('kinds are themselves, and what is absent or unknown is an error', () => {
  for (const kind of JOB_FAILURE_KINDS) assert.equal(failureKindOf(kind), kind)
  for (const text of [undefined, '', 'Error', 'tired', 'toString']) assert.equal(failureKindOf(text), 'error')
})
