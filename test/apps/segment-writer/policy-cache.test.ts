import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PolicyCache } from '../../../apps/segment-writer/policy-cache.ts'

test('a policy is compiled once, and the one not used for longest makes room', () => {
  const cache = new PolicyCache()
  assert.equal(cache.of(undefined), cache.of(undefined))
  const text = (i: number) => JSON.stringify({ relabelRules: [{ target_label: `l${i}`, replacement: 'x' }] })
  const first = cache.of(text(0))
  assert.equal(cache.of(text(0)), first)
  for (let i = 1; i < 256; i++) cache.of(text(i))
  assert.equal(cache.of(text(0)), first)
  cache.of(text(256))
  assert.equal(cache.of(text(0)), first, 'it was used last')
  for (let i = 300; i < 556; i++) cache.of(text(i))
  assert.notEqual(cache.of(text(0)), first)
})

test('a text that was never checked is refused', () => {
  assert.throws(() => new PolicyCache().of('{"x":1}'), /unknown key x/)
})
