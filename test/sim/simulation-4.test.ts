import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstFailure, slice } from './run-seeds.ts'

for (const seeds of slice(4)) {
  test(`${seeds.length} worlds from seed ${seeds[0]}: accepted is queryable, exactly once, whatever breaks`, {
    timeout: 60_000,
  }, async () => {
    const story = await firstFailure(seeds)
    assert.ok(story === undefined, story ?? '')
  })
}
