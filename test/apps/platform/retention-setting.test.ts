import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRetention } from '#platform/retention-setting.ts'

const DAY_MS = 86_400_000

test('31 days and a day of delay; 0 keeps for ever', () => {
  assert.deepEqual(readRetention({}), { retentionMs: 31 * DAY_MS, deletionDelayMs: DAY_MS })
  assert.deepEqual(readRetention({ CINDER_RETENTION: '0', CINDER_DELETION_DELAY: '0' }), {
    retentionMs: 0,
    deletionDelayMs: 0,
  })
  assert.equal(readRetention({ CINDER_RETENTION: '1d12h' }).retentionMs, 1.5 * DAY_MS)
})

const refused: [Record<string, string>, RegExp][] = [
  [{ CINDER_RETENTION: '31' }, /setting CINDER_RETENTION is "31": a duration such as/],
  [{ CINDER_RETENTION: '30m' }, /CINDER_RETENTION is "30m": at least "1h"/],
  [{ CINDER_DELETION_DELAY: '-1d' }, /CINDER_DELETION_DELAY is "-1d"/],
]
for (const [picked, message] of refused) {
  test(`refused at the start: ${JSON.stringify(picked)} (H63)`, () => {
    assert.throws(() => readRetention(picked), { kind: 'invalid_argument', message })
  })
}
