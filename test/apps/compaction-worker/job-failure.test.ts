import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blame, blameOf, JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { CinderError } from '#core/errors.ts'

const CULPRITS = [{ objectId: 'x', index: 2 }]

test('blame keeps kind, reason and message of what failed', () => {
  const cause = new CinderError('data_loss', 'section frames: bad', { reason: 'corrupt_block' })
  const failure = blame(cause, { failure: 'corrupt-source', culprits: CULPRITS })
  assert.ok(failure instanceof JobFailure && failure instanceof CinderError)
  assert.deepEqual(
    [failure.kind, failure.reason, failure.message],
    ['data_loss', 'corrupt_block', 'section frames: bad'],
  )
  const { failure: kind, culprits } = blameOf(failure)
  assert.deepEqual([kind, culprits], ['corrupt-source', CULPRITS])
})

test('any other error names nobody', () => {
  assert.deepEqual(blameOf(new Error('x')), { failure: 'error', culprits: [] })
  const { kind, reason } = blame('text', { failure: 'error', culprits: [] })
  assert.deepEqual([kind, reason], ['internal', 'merge_failed'])
})
