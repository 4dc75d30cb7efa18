import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { labelsFromPairs } from '#core/labels/labels.ts'
import { compileMatchers, equalityOf } from '#core/labels/matcher.ts'
import { countingRegex, jsRegex } from './js-regex.ts'

const API = labelsFromPairs(['region', 'eu', 'service_name', 'api'])

describe('compileMatchers', () => {
  const cases: [name: string, op: string, value: string, matches: boolean][] = [
    ['region', '=', 'eu', true],
    ['region', '=', 'us', false],
    ['region', '!=', 'us', true],
    ['region', '!=', 'eu', false],
    ['region', '=~', 'e.', true],
    ['region', '=~', 'e', false],
    ['region', '!~', 'e', true],
    ['region', '!~', 'eu|us', false],
    ['absent', '=', '', true],
    ['absent', '=', 'x', false],
    ['absent', '!=', 'x', true],
    ['absent', '!=', '', false],
    ['absent', '=~', '.*', true],
    ['absent', '=~', '.+', false],
    ['absent', '!~', '.+', true],
    ['region', '!=', '', true],
  ]
  for (const [name, op, value, matches] of cases) {
    it(`{${name}${op}"${value}"} is ${matches}`, () => {
      assert.equal(compileMatchers([{ name, op, value }], jsRegex)(API), matches)
    })
  }

  it('holds only if all hold; none hold everything', () => {
    assert.equal(compileMatchers([], jsRegex)(API), true)
    const service = { name: 'service_name', op: '=~', value: 'a.*' }
    assert.equal(compileMatchers([service, { name: 'service_name', op: '!=', value: 'api' }], jsRegex)(API), false)
    assert.equal(compileMatchers([service, { name: 'region', op: '=', value: 'eu' }], jsRegex)(API), true)
  })

  it('compiles an expression once, however many sets are asked', () => {
    const regex = countingRegex()
    const matches = compileMatchers([{ name: 'region', op: '=~', value: 'eu' }], regex)
    for (let i = 0; i < 10; i++) matches(API)
    assert.equal(regex.compiled, 1)
  })

  it('names the label and the expression that does not compile', () => {
    for (const op of ['=~', '!~']) {
      assert.throws(
        () => compileMatchers([{ name: 'a', op, value: '(' }], jsRegex),
        (error: unknown) => {
          assert.ok(error instanceof CinderError)
          assert.equal(error.kind, 'invalid_argument')
          assert.match(error.message, /label "a": "\("/)
          return true
        },
      )
    }
  })

  it('refuses an unknown operator', () => {
    assert.throws(() => compileMatchers([{ name: 'a', op: '==', value: 'b' }], jsRegex), { kind: 'invalid_argument' })
  })
})

describe('equalityOf', () => {
  it('is the value an equality allows', () => {
    const regexOnly = [{ name: 'service_name', op: '=~', value: 'api' }]
    assert.equal(equalityOf(regexOnly, 'service_name'), undefined)
    assert.equal(equalityOf([...regexOnly, { name: 'service_name', op: '=', value: 'api' }], 'service_name'), 'api')
    assert.equal(equalityOf([{ name: 'service_name', op: '=', value: '' }], 'service_name'), undefined)
  })
})
