import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { viewString, withAddedStrings } from '#core/pprof/added-strings.ts'
import { decodeProfile } from '../../support/decoded-profile.ts'

test('old strings keep their index and bytes, new ones follow, and the given table is not changed', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 5 }), (added) => {
      const profile = decodeProfile({ samples: [{ stack: ['leaf', 'root'], values: [1] }] })
      const before = profile.raw.slice()
      const table = withAddedStrings(profile, added)
      assert.equal(table.stringCount, profile.stringCount + added.length)
      for (let i = 0; i < profile.stringCount; i++) assert.deepEqual(viewString(table, i), viewString(profile, i))
      added.forEach((bytes, i) => assert.deepEqual(viewString(table, profile.stringCount + i), bytes))
      assert.deepEqual(profile.raw, before)
      assert.deepEqual(table.raw.subarray(0, before.length), before, 'runs of tables stay where they are')
    }),
    { numRuns: 30 },
  )
})
