import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRegexCompiler } from '#platform/regex.ts'

const compiler = createRegexCompiler()

test('anchored, dotall, RE2 syntax', () => {
  const cases: [string, string, boolean][] = [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a|ab', 'ab', true],
    ['', '', true],
    ['', 'a', false],
    ['.*', '', true],
    ['.+', '', false],
    ['a.c', 'a\nc', true],
    ['(?i)ABC', 'abc', true],
    ['[[:digit:]]+', '123', true],
    ['\\pL+', 'äß', true],
    ['^x$', 'x', true],
    ['checkout|cart', 'cart2', false],
  ]
  for (const [pattern, text, expected] of cases) {
    assert.equal(compiler.compile(pattern)!(text), expected, `${pattern} on ${JSON.stringify(text)}`)
  }
})

test('what RE2 does not have does not compile', () => {
  for (const pattern of ['(', '\\1', '(?=a)', '(a)\\1', '*', '[z-a]', 'a{2000}']) {
    assert.equal(compiler.compile(pattern), undefined, pattern)
  }
})

test('a pattern that backtracks for ever elsewhere is linear here', () => {
  const matches = compiler.compile('(a*)*(a*)*b')!
  const started = performance.now()
  assert.equal(matches('a'.repeat(20_000)), false)
  // Backtracking would need 2^20000 steps; linear time is a few milliseconds, and the machine may be shared.
  assert.ok(performance.now() - started < 5_000)
})
