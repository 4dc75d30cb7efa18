import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countJsonObjects } from '#platform/connect/json-objects.ts'

test('objects and lists count, wherever they begin', () => {
  const cases: [string, number][] = [
    ['', 0],
    ['"text"', 0],
    ['{}', 1],
    ['[{},{"a":[]}]', 4],
  ]
  for (const [text, count] of cases) assert.equal(countJsonObjects(new TextEncoder().encode(text)), count, text)
})
