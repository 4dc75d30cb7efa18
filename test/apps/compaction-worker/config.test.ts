import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig, workerCapacity } from '../../../apps/compaction-worker/config.ts'
import { JOB_BUDGET_BYTES } from '../../../apps/compaction-worker/run-job.ts'

const ENV = { METASTORE_URL: 'http://m:1', STORAGE_URL: './data' }

test('what is needed is given, the rest has defaults', () => {
  const config = readConfig(ENV)
  assert.deepEqual([config.port, config.host, config.storageUrl], [4044, '127.0.0.1', './data'])
  assert.equal(readConfig({ ...ENV, PORT: '9' }).port, 9)
})

test('a setting that is missing or wrong is named', () => {
  assert.throws(() => readConfig({ ...ENV, STORAGE_URL: undefined }), /STORAGE_URL/)
  assert.throws(() => readConfig({ ...ENV, PORT: 'x' }), /PORT/)
  assert.throws(() => readConfig({ ...ENV, METASTORE_URL: 'nowhere' }), /METASTORE_URL/)
})

test('a job a core, as far as memory holds their budgets, and one at least', () => {
  assert.equal(workerCapacity(4, 100 * JOB_BUDGET_BYTES), 4)
  assert.equal(workerCapacity(64, 10 * JOB_BUDGET_BYTES), 8)
  assert.equal(workerCapacity(2, JOB_BUDGET_BYTES / 2), 1)
})
