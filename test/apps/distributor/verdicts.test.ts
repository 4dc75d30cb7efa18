/** One answer from many verdicts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { errorOfVerdicts } from '../../../apps/distributor/verdicts.ts'
import { STORED } from '../../support/verdicts.ts'

const BAD: ProfileVerdict = { ...STORED, status: 'rejected', kind: 'invalid_argument', reason: 'bad', message: 'bad' }

test('a rejection that a retry mends decides, else the first; all are told, and the longest time counts', () => {
  const full = { ...BAD, kind: 'unavailable', reason: 'full', message: 'full', retryAfterMs: 700 }
  assert.equal(errorOfVerdicts([STORED, { ...STORED, status: 'duplicate' }]), undefined)
  const error = errorOfVerdicts([STORED, BAD, full, BAD])!
  assert.deepEqual([error.kind, error.reason, error.message], ['unavailable', 'full', 'bad\nfull'])
  assert.deepEqual([error.retryAfterMs, error.outcome], [700, 'unknown'])
  const final = errorOfVerdicts([STORED, BAD, { ...BAD, reason: 'worse', message: 'worse' }])!
  assert.deepEqual([final.kind, final.reason, final.message], ['invalid_argument', 'bad', 'bad\nworse'])
  assert.equal(errorOfVerdicts([BAD])!.outcome, 'not-applied')
  assert.equal(errorOfVerdicts([BAD])!.retryAfterMs, undefined)
})

test('of several services each message names its own, of one none', () => {
  const series = (name: string, profiles: number): WriteSeries => ({
    labels: [{ name: 'service_name', value: name }],
    profiles: Array.from({ length: profiles }, () => ({ bytes: new Uint8Array(), clientId: '' })),
  })
  const error = errorOfVerdicts([STORED, BAD, BAD, BAD], [series('cart', 1), series('shop', 2), series('pay', 1)])!
  assert.equal(error.message, 'service "shop": bad\nservice "pay": bad')
  assert.equal(errorOfVerdicts([STORED, BAD], [series('shop', 2)])!.message, 'bad')
  assert.equal(errorOfVerdicts([BAD, BAD], [series('shop', 1), series('shop', 1)])!.message, 'bad')
})

test('a request of millions of bad profiles is refused as one of a single one', () => {
  const error = errorOfVerdicts(Array.from({ length: 2_000_000 }, () => BAD))!
  assert.deepEqual([error.kind, error.message], ['invalid_argument', 'bad'])
})
