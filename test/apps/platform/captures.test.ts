import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCaptureCompiler } from '#platform/captures.ts'

test('groups by number and by name; anchored at both ends, the dot matches a newline', () => {
  const match = createCaptureCompiler().captures('(?P<app>[a-z]+)-(\\d+)?.*')!
  const found = match('shop-7\nrest')!
  assert.deepEqual(
    ['0', '1', '2', 'app', '3', 'none', ''].map((name) => found.group(name)),
    ['shop-7\nrest', 'shop', '7', 'shop', '', '', ''],
  )
  assert.equal(match('shop-x')!.group('2'), '')
  assert.equal(match('Xshop-7'), undefined)
})

test('a pattern that does not parse, and one that would take exponential time elsewhere', () => {
  const compiler = createCaptureCompiler()
  assert.equal(compiler.captures('('), undefined)
  assert.equal(compiler.captures('(a+)+b')!('a'.repeat(5_000)), undefined)
})
