import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as invariant, unreachable } from '#core/assert.ts'

test('assert names the invariant that broke', () => {
  invariant(true, 'never seen')
  assert.throws(() => invariant(false, 'rows are sorted'), /assertion failed: rows are sorted/)
})

test('unreachable names the value', () => {
  assert.throws(() => unreachable('other' as never), /unreachable: other/)
})
