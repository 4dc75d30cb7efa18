import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectDataset } from '#core/block/write.ts'
import { NotConserved } from '#core/compaction/not-conserved.ts'

test('it has the output, or none where that cannot be encoded', () => {
  const dataset = { tenant: 'a' } as ObjectDataset
  const error = new NotConserved('a total is wrong', () => dataset)
  assert.equal(error.dataset, dataset)
  assert.deepEqual([error.kind, error.reason, error.message], ['data_loss', 'conservation', 'a total is wrong'])
  const refuses = (): never => {
    throw new Error('out of order')
  }
  assert.equal(new NotConserved('a total is wrong', refuses).dataset, undefined)
})
