import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { asyncKey, asyncRunOf, readAsyncObject, writeAsyncObject } from '#core/retention/async-key.ts'
import { makeUlid } from '#core/wire/ulid.ts'

test('a key names its run and when it began', () => {
  const runId = makeUlid(1_760_000_000_123, new Uint8Array(10))
  for (const part of ['begun', 'ended'] as const) {
    assert.ok(isValidObjectKey(asyncKey(runId, part)))
    assert.deepEqual(asyncRunOf(asyncKey(runId, part)), { runId, beganMs: 1_760_000_000_123 })
  }
  assert.equal(asyncRunOf('async/readme.txt'), undefined)
})

test('an object is a line and bytes, which may hold ends of lines', () => {
  const head = { tenants: 'a|b', errorMessage: 'no\nanswer', warnings: ['w'] }
  const body = Uint8Array.of(10, 0, 10)
  assert.deepEqual(readAsyncObject(writeAsyncObject(head, body)), { head, body })
  assert.deepEqual(readAsyncObject(writeAsyncObject({ tenants: 'a' })), {
    head: { tenants: 'a' },
    body: new Uint8Array(0),
  })
})
