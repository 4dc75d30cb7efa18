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

/** CPU of this process alone: the machine is shared. */
function cpuMs(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** Each takes exponential or cubic time where matching backtracks, or a large program where it is compiled naively. */
const HOSTILE = [
  '(a*)*(a*)*b',
  '(a|a)*b',
  '(a|aa)+b',
  '(.*)(.*)(.*)(.*)(.*)(.*)b',
  `${'a?'.repeat(500)}${'a'.repeat(500)}b`,
  '((a{0,10}){0,10}){0,10}b',
  '(x?){1000}b',
  '(?:.*a){20}b',
  '([a-z]+)*[^a-z]',
  `${'(?:a|b)*'.repeat(200)}c`,
]

test('patterns that stall others cost little here', () => {
  const text = 'a'.repeat(20_000)
  for (const pattern of HOSTILE) {
    const matches = compiler.compile(pattern)!
    const spent = cpuMs(() => assert.equal(matches(text), false, pattern))
    // A few hundred ms at most; cubic time would be hours.
    assert.ok(spent < 10_000, `${pattern.slice(0, 40)}: ${spent} ms for 20,000 characters`)
  }
})

test('a program that would be too large is refused, however it is written', () => {
  for (const pattern of [
    '((a{0,100}){0,100})b',
    '(((a{1,10}){1,10}){1,10}){1,10}b',
    `${'('.repeat(1500)}a${')'.repeat(1500)}`,
  ]) {
    assert.equal(compiler.compile(pattern), undefined, pattern.slice(0, 40))
  }
})
