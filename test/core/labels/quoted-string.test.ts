import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readQuoted, SelectorFault } from '#core/labels/quoted-string.ts'

describe('readQuoted', () => {
  const good: [text: string, value: string][] = [
    ['""', ''],
    ['"plain é"', 'plain é'],
    ["'it\"s'", 'it"s'],
    ["'it\\'s'", "it's"],
    ['"say \\"x\\""', 'say "x"'],
    ['"\\a\\b\\f\\n\\r\\t\\v\\\\"', '\x07\b\f\n\r\t\v\\'],
    ['"\\x41\\101\\u0041\\U00000041"', 'AAAA'],
    ['"\\xc3\\xa9"', 'é'],
    ['"\\303\\251"', 'é'],
    ['"\\U0001F600"', '😀'],
    ['"\\\\"', '\\'],
    ['`\\n"\'\n`', '\\n"\'\n'],
    ['"\\ufeffx"', '\ufeffx'],
  ]
  for (const [text, value] of good) {
    it(text, () => {
      assert.deepEqual(readQuoted(text, 0), { value, end: text.length })
      assert.deepEqual(readQuoted(`{a=${text} tail`, 3), { value, end: text.length + 3 })
    })
  }

  const bad: [text: string, message: RegExp][] = [
    ['"abc', /unterminated quoted string/],
    ['"abc\\"', /unterminated quoted string/],
    ['"ab\nc"', /unterminated quoted string/],
    ['`abc', /unterminated raw string/],
    ['"\\q"', /unknown escape sequence '\\q'/],
    ['"\\\'"', /unknown escape sequence '\\''/],
    ["'\\\"'", /unknown escape sequence '\\"'/],
    ['"\\x4"', /needs 2 digits of base 16/],
    ['"\\x4g"', /needs 2 digits of base 16/],
    ['"\\u+041"', /needs 4 digits of base 16/],
    ['"\\08"', /needs 3 digits of base 8/],
    ['"\\777"', /octal escape 777 is over the limit 377/],
    ['"\\ud800"', /invalid Unicode code point/],
    ['"\\U00110000"', /invalid Unicode code point/],
    ['"\\xff"', /not valid UTF-8/],
  ]
  for (const [text, message] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => readQuoted(text, 0),
        (error: unknown) => {
          assert.ok(error instanceof SelectorFault)
          assert.match(error.message, message)
          return true
        },
      )
    })
  }
})
