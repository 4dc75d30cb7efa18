/** One answer from many verdicts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { errorOfVerdicts } from '../../../apps/distributor/verdicts.ts'

const STORED: ProfileVerdict = {
  status: 'stored',
  kind: '',
  reason: '',
  message: '',
  retryAfterMs: 0,
  decompressedBytes: 0,
}
const BAD: ProfileVerdict = { ...STORED, status: 'rejected', kind: 'invalid_argument', reason: 'bad', message: 'bad' }

test('the first rejection decides, all are told, and the longest time counts', () => {
  const full = { ...BAD, kind: 'unavailable', reason: 'full', message: 'full', retryAfterMs: 700 }
  assert.equal(errorOfVerdicts([STORED, { ...STORED, status: 'duplicate' }]), undefined)
  const error = errorOfVerdicts([STORED, BAD, full, BAD])!
  assert.deepEqual([error.kind, error.reason, error.message], ['invalid_argument', 'bad', 'bad\nfull'])
  assert.deepEqual([error.retryAfterMs, error.outcome], [700, 'unknown'])
  assert.equal(errorOfVerdicts([BAD])!.outcome, 'not-applied')
  assert.equal(errorOfVerdicts([BAD])!.retryAfterMs, undefined)
})

test('a request of millions of bad profiles is refused as one of a single one', () => {
  const error = errorOfVerdicts(Array.from({ length: 2_000_000 }, () => BAD))!
  assert.deepEqual([error.kind, error.message], ['invalid_argument', 'bad'])
})
