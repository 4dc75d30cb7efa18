import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DictionaryCache } from '#core/segment/dictionary-cache.ts'
import { RowScratch } from '#core/segment/rows.ts'
import { MIB } from '#core/units.ts'
import { ShardBatch } from '../../../apps/segment-writer/shard-batch.ts'

const KEY = { tenant: 't', service: 's', windowStartMs: 0, windowMs: 3_600_000 }

function createScene() {
  const dictionaries = new DictionaryCache(MIB)
  let next = 7
  const tools = { dictionaries, scratch: new RowScratch(), nextHeadNumber: () => next++ }
  return { dictionaries, batch: new ShardBatch({ number: 0, objectId: 'object' }, tools) }
}

test('a profile of which nothing is left leaves no head behind, and no dictionary in use', () => {
  const { batch, dictionaries } = createScene()
  const entry = batch.headOf(KEY)
  assert.equal(batch.headOf(KEY), entry)
  assert.deepEqual([batch.headCount, entry.number], [1, 7])
  assert.equal(dictionaries.dictionaryOf('t', 's').isInUse, true)
  batch.dropEmpty(entry)
  assert.equal(batch.headCount, 0)
  assert.equal(dictionaries.dictionaryOf('t', 's').isInUse, false)
})

test('heads are handed out once, by tenant, service and window; empty ones never', () => {
  const { batch } = createScene()
  const keys = [
    { ...KEY, tenant: 'u' },
    { ...KEY, windowStartMs: 3_600_000 },
    { ...KEY, service: 'r' },
    KEY,
    { ...KEY, service: 'empty' },
  ]
  for (const key of keys) {
    const { head } = batch.headOf(key)
    if (key.service !== 'empty') Object.defineProperty(head, 'profileCount', { value: 1 })
  }
  assert.deepEqual(
    batch.takeHeads().map(({ head }) => head.key),
    [keys[2], keys[3], keys[1], keys[0]],
  )
  assert.deepEqual(batch.takeHeads(), [])
})

test('what a batch holds is more than bytes: profiles, series and heads count', () => {
  const { batch } = createScene()
  const first = batch.account({ decompressedBytes: 1_000, headers: 1 }, 1)
  const second = batch.account({ decompressedBytes: 1_000, headers: 1 }, 0)
  const third = batch.account({ decompressedBytes: 1_000, headers: 11 }, 0)
  assert.ok(second > 3_000)
  assert.ok(first > second + 10_000)
  assert.ok(third > second + 5_000)
  assert.equal(batch.memoryBytes, first + second + third)
})
