import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultThreads, THREADS_MAX } from '../../../apps/segment-writer/shards.ts'

test('small machines have no threads of their own, large ones all cores but two, within the bound', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 8, 64].map((cores) => defaultThreads(cores)),
    [0, 0, 0, 2, 6, THREADS_MAX],
  )
})
