import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { formatIntArray, formatTextArray, parseIntArray, parseTextArray } from '#db/array-literal.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase({ empty: true })
})
after(() => database.close())

const cases: [string[], string][] = [
  [[], '{}'],
  [[''], '{""}'],
  [['NULL', 'a,b'], '{"NULL","a,b"}'],
  [['"', '\\'], '{"\\"","\\\\"}'],
  [['a\0b'], '{"a\uFFFDb"}'],
]
for (const [values, literal] of cases) {
  test(`text array ${JSON.stringify(values)}`, () => assert.equal(formatTextArray(values), literal))
}

test('a literal may be given as it is', () => {
  assert.equal(formatTextArray('{a}'), '{a}')
  assert.equal(formatIntArray('{1}'), '{1}')
})

test('Postgres writes bare elements too', () => {
  assert.deepEqual(parseTextArray('{a,"b c",d}'), ['a', 'b c', 'd'])
  assert.throws(() => parseTextArray('{"open'), /assertion/)
  assert.throws(() => parseTextArray('plain'), /assertion/)
})

test('numbers of typed arrays and bigints', () => {
  assert.equal(formatIntArray(Int32Array.of(1, -2)), '{1,-2}')
  assert.equal(formatIntArray([9_007_199_254_740_993n]), '{9007199254740993}')
  assert.deepEqual(parseIntArray('{}'), [])
})

test('text of any kind survives the database', async () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { maxLength: 5 }),
      fc.array(fc.maxSafeInteger(), { maxLength: 5 }),
      async (texts, ints) => {
        const [row] = await database.sql`select ${texts}::text[] as texts, ${ints}::bigint[] as ints`
        assert.deepEqual({ ...row }, { texts, ints })
      },
    ),
    { numRuns: 50 },
  )
})
