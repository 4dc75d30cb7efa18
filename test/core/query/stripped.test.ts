import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileMatchers } from '#core/labels/matcher.ts'
import { parseSelector } from '#core/labels/selector.ts'
import { withoutStripped } from '#core/query/stripped.ts'
import { createRegexCompiler } from '#platform/regex.ts'

test('what sampling left behind is read where it is asked for', () => {
  const cases: [selector: string, whole: boolean, stripped: boolean][] = [
    ['{}', true, false],
    ['{service_name="a"}', true, false],
    ['{__sampled__="true"}', false, true],
    ['{__sampled__=~".*"}', true, true],
    ['{__sampled__!="true"}', true, false],
  ]
  const service = { name: 'service_name', value: 'a' }
  for (const [selector, whole, stripped] of cases) {
    const accepts = compileMatchers(withoutStripped(parseSelector(selector)), createRegexCompiler())
    assert.equal(accepts([service]), whole, selector)
    assert.equal(accepts([{ name: '__sampled__', value: 'true' }, service]), stripped, selector)
  }
})
