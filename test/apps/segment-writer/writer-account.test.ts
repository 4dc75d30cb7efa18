import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BATCH_HEADERS_LIMIT, WriterAccount } from '../../../apps/segment-writer/writer-account.ts'

test('bytes are exact over shards and past 4 GiB, and two views of one account agree', () => {
  const account = new WriterAccount(3)
  const other = new WriterAccount(account.buffers)
  account.add(0, 'pushes', 5_000_000_001)
  other.add(2, 'pushes', 7)
  other.add(2, 'symbols', 11)
  account.add(1, 'waiting', 13)
  assert.deepEqual(
    [other.bytesOf('pushes'), other.bytesOf('symbols'), other.bytesOf('waiting')],
    [5_000_000_008, 11, 13],
  )
  assert.equal(account.heldBytes(), 5_000_000_032)
  account.add(0, 'pushes', -5_000_000_001)
  assert.equal(other.heldBytes(), 31)
})

test('a shard that is gone holds nothing; what waits for it does, and so do the others', () => {
  const account = new WriterAccount(2)
  for (const slot of [0, 1]) for (const cell of ['pushes', 'symbols', 'waiting'] as const) account.add(slot, cell, 10)
  account.clear(1)
  assert.deepEqual([account.bytesOf('pushes'), account.bytesOf('symbols'), account.bytesOf('waiting')], [10, 10, 20])
})

test('ids are reserved up to what a commit takes, over all shards, and a refusal reserves nothing', () => {
  const account = new WriterAccount(1)
  account.beginBatch(3)
  assert.equal(account.reserveHeaders(3, BATCH_HEADERS_LIMIT - 1), true)
  assert.equal(account.reserveHeaders(3, 2), false)
  assert.equal(account.headersOf(3), BATCH_HEADERS_LIMIT - 1)
  account.returnHeaders(3, 1)
  assert.equal(account.reserveHeaders(3, 2), true)
  assert.equal(account.reserveHeaders(4, 5), true, 'another batch has its own')
  account.addHeads(4, 2)
  assert.deepEqual([account.headersOf(4), account.headsOf(4), account.headsOf(3)], [5, 2, 0])
  account.beginBatch(4)
  assert.deepEqual([account.headersOf(4), account.headsOf(4)], [0, 0])
})
