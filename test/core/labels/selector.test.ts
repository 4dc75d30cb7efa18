import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { parseSelector, parseSelectors, SELECTOR_LENGTH_MAX } from '#core/labels/selector.ts'

/** `name op value` lines, easy to read in a table. */
function show(text: string): string[] {
  return parseSelector(text).map(({ name, op, value }) => `${name} ${op} ${value}`)
}

describe('parseSelector accepts', () => {
  const good: [text: string, matchers: string[]][] = [
    ['{}', []],
    [' { } ', []],
    ['up', ['__name__ = up']],
    ['up{}', ['__name__ = up']],
    ['{service_name="api"}', ['service_name = api']],
    ["{service_name='api'}", ['service_name = api']],
    ['{service_name=`a\\pi`}', ['service_name = a\\pi']],
    ['{ service_name = "api" , region = "eu" , }', ['service_name = api', 'region = eu']],
    ['{a!="1",b=~"x|y",c!~".*"}', ['a != 1', 'b =~ x|y', 'c !~ .*']],
    ['{"service.name"="x"}', ['service.name = x']],
    ["{'a b'='x'}", ['a b = x']],
    ['{`raw.name`=~"x"}', ['raw.name =~ x']],
    ['{"up"}', ['__name__ = up']],
    ['{"up", a="1"}', ['__name__ = up', 'a = 1']],
    [
      'process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="x"}',
      ['__name__ = process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'service_name = x'],
    ],
    ['m{__name__="x"}', ['__name__ = m', '__name__ = x']],
    ['{or="1",by="2"}', ['or = 1', 'by = 2']],
    ['{a="}",b=","}', ['a = }', 'b = ,']],
    ['{a=""}', ['a = ']],
    ['{service_name="a\\u0070i"}', ['service_name = api']],
    ['{\n\ta="1",\r\n b="2"\n}\n', ['a = 1', 'b = 2']],
    ['{a=~"(x)\\\\d"}', ['a =~ (x)\\d']],
  ]
  for (const [text, matchers] of good) it(text, () => assert.deepEqual(show(text), matchers))
})

describe('parseSelector refuses, with a place,', () => {
  const bad: [text: string, fault: string][] = [
    ['', 'unknown position: parse error: unexpected end of input'],
    ['  ', 'unknown position: parse error: unexpected end of input'],
    ['{', '1:2: parse error: unexpected end of input inside braces'],
    ['{a=', '1:4: parse error: unexpected end of input inside braces'],
    ['{a', '1:3: parse error: unexpected end of input inside braces'],
    ['{a="b"', '1:7: parse error: unexpected end of input inside braces'],
    ['service_name="x"', '1:13: parse error: unexpected "="'],
    ['{a==b}', '1:4: parse error: unexpected "=" in label matching, expected string'],
    ['{a=b}', '1:4: parse error: unexpected identifier "b" in label matching, expected string'],
    ['{a}', '1:3: parse error: unexpected "}" in label matching, expected label matching operator'],
    ['{a="b"} x', '1:9: parse error: unexpected identifier "x"'],
    ['{1a="b"}', "1:2: parse error: unexpected character inside braces: '1'"],
    ['{a:b="c"}', "1:3: parse error: unexpected character inside braces: ':'"],
    ['{,}', '1:2: parse error: unexpected "," in label matching, expected identifier or "}"'],
    ['{a="b",,}', '1:8: parse error: unexpected "," in label matching, expected identifier or "}"'],
    ['{a="b" or b="c"}', '1:8: parse error: unexpected identifier "or" in label matching, expected "," or "}"'],
    ['{a="b" "c"}', '1:8: parse error: unexpected string "c" in label matching, expected "," or "}"'],
    ['{a="b"}[5m]', '1:8: parse error: unexpected "["'],
    ['{a="b"}}', '1:8: parse error: unexpected "}"'],
    ['{{}', '1:2: parse error: unexpected "{" in label matching, expected identifier or "}"'],
    ['{a!"b"}', "1:3: parse error: unexpected character inside braces: '!'"],
    ['{a="b}', '1:4: parse error: unterminated quoted string'],
    ['{a="b\n"}', '1:4: parse error: unterminated quoted string'],
    ['{a=`b}', '1:4: parse error: unterminated raw string'],
    ['{""="x"}', '1:2: parse error: a label name must not be empty'],
    ['{\n a="b"\n c}', '3:2: parse error: unexpected identifier "c" in label matching, expected "," or "}"'],
    ['😀', '1:1: parse error: unexpected "😀"'],
  ]
  for (const [text, fault] of bad) {
    it(JSON.stringify(text), () => {
      assert.throws(
        () => parseSelector(text),
        (error: unknown) => {
          assert.ok(error instanceof CinderError)
          assert.equal(error.kind, 'invalid_argument')
          assert.equal(error.message, `parsing label selector ${JSON.stringify(text)}: ${fault}`)
          return true
        },
      )
    })
  }

  it('a text over the length limit, naming it', () => {
    const text = `{a="${'x'.repeat(SELECTOR_LENGTH_MAX)}"}`
    assert.throws(() => parseSelector(text), /length 65542 is over the limit 65536/)
  })
})

describe('parseSelector', () => {
  it('reads back any matchers that are written with quotes', () => {
    const fields = {
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
      op: fc.constantFrom('=', '!=', '=~', '!~'),
      value: fc.string({ unit: 'grapheme', maxLength: 8 }),
    }
    const matcher = fc.record(fields, { noNullPrototype: true })
    fc.assert(
      fc.property(fc.array(matcher, { maxLength: 4 }), (matchers) => {
        const text = matchers.map(({ name, op, value }) => `${goQuote(name)}${op}${goQuote(value)}`).join(' ,')
        assert.deepEqual(parseSelector(`{${text}}`), matchers)
      }),
    )
  })

  it('answers any text with matchers or an error of the client', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      ',',
      '=',
      '!=',
      '=~',
      '"',
      "'",
      '`',
      '\\',
      'a',
      'b:c',
      '"x"',
      ' ',
      '\n',
      '1',
      '\\u',
      'é',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          assert.ok(Array.isArray(parseSelector(pieces.join(''))))
        } catch (error) {
          assert.ok(error instanceof CinderError, String(error))
          assert.equal(error.kind, 'invalid_argument')
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('parseSelectors', () => {
  it('ANDs its entries and takes an empty one as {}', () => {
    assert.deepEqual(parseSelectors([]), [])
    assert.deepEqual(parseSelectors(['', ' ', '{}']), [])
    assert.deepEqual(
      parseSelectors(['{a="1"}', '', '{b!="2"}']).map(({ name }) => name),
      ['a', 'b'],
    )
    assert.throws(() => parseSelectors(['{}', '{a=']), { kind: 'invalid_argument' })
  })
})

function goQuote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n')}"`
}
