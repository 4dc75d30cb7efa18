import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { objectKey } from '#core/block/object-key.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'

test('keys of plain segments are valid', () => {
  for (const key of ['a', 'A.b-c_9', 'objects/ab/x.cb', '...', 'a/.hidden', 'a..b/c', 'x'.repeat(512)])
    assert.equal(isValidObjectKey(key), true, key)
  assert.equal(isValidObjectKey(objectKey('01JAB3VW7Z0000000000000000')), true)
})

test('no key leaves its folder, is absolute, or means something to a store, a shell or a URL (H76)', () => {
  const bad = [
    '',
    '.',
    '..',
    '/',
    '/etc/passwd',
    'a/',
    'a//b',
    '../a',
    'a/../b',
    'a/..',
    'a/./b',
    'a\\..\\b',
    'a\0b',
    'a\nb',
    'a\n',
    'a b',
    'a%2e%2e/b',
    'a?b',
    'a#b',
    'a:b',
    '~/a',
    'ä',
    'a/\u2025/b',
    '\uFF0E\uFF0E/a',
    'x'.repeat(513),
    `${'a/'.repeat(256)}b`,
  ]
  for (const key of bad) assert.equal(isValidObjectKey(key), false, JSON.stringify(key))
})

test('a valid key, resolved as a path, is itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '.', '/', '-', '\\', '\n', '%', 'Z') }), (key) => {
      if (isValidObjectKey(key)) assert.equal(new URL(key, 'file:///root/').pathname, `/root/${key}`)
    }),
    { numRuns: 2_000 },
  )
})
